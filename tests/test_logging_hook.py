"""Events as log lines."""

import logging

import pytest

from linqi import LoggingHook
from linqi.events import RevocationFailed, SocketClosed, TokenRefused


def test_cve_2020_7694_a_path_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Control characters and escapes arrive escaped."""
    caplog.set_level(logging.INFO)
    LoggingHook("linqi")(
        TokenRefused(
            status=401,
            code="no_token",
            detail="-",
            path="/x\r\nroot logged in\x1b[2J",
            token_digest="",
        )
    )
    line = caplog.records[0].getMessage()
    assert "\n" not in line
    assert "\x1b" not in line
    assert "/x\\r\\nroot" in line


def test_fields_are_there_for_structured_formatters(caplog: pytest.LogCaptureFixture) -> None:
    """record.linqi has the event's fields by name."""
    caplog.set_level(logging.INFO)
    LoggingHook("linqi")(SocketClosed(user="a", code="token_expired", path="/ws"))
    assert caplog.records[0].linqi == {"user": "a", "code": "token_expired", "path": "/ws"}  # type: ignore[attr-defined]


def test_a_silent_logger_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Below the logger's level nothing is written, and verbose events are not wanted."""
    caplog.set_level(logging.CRITICAL, "linqi")
    hook = LoggingHook("linqi")
    hook(RevocationFailed(detail="OSError"))
    assert caplog.records == []
    assert not hook.is_verbose()
