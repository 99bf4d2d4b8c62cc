"""Events as log lines."""

import logging

import pytest

from linqi import LoggingHook
from linqi.events import KeyFileRead, RevocationFailed, SocketClosed, TokenRefused


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


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ("alice", "alice"),
        ("alice status=200", '"alice status=200"'),
        ("a=b", '"a=b"'),
        ('"', '"\\""'),
        ('a" code=token_expired x="', '"a\\" code=token_expired x=\\""'),
        ("a \\", '"a \\\\"'),
        ("\\", '"\\\\"'),
        ("a\nb", '"a\\nb"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("Jos\u00e9", "Jos\\xe9"),
        ("", ""),
    ],
)
def test_a_field_cannot_forge_another(
    caplog: pytest.LogCaptureFixture, user: str, field: str
) -> None:
    """A space, an equals sign, a quote or a backslash: the field is quoted, as in logfmt."""
    caplog.set_level(logging.INFO)
    LoggingHook("linqi")(SocketClosed(user=user, code="token_expired", path="/ws"))
    line = caplog.records[0].getMessage()
    assert line == f"socket closed with 4401: user={field} code=token_expired path=/ws"


def test_names_of_a_list_are_one_field(caplog: pytest.LogCaptureFixture) -> None:
    """Key ids are an issuer's own words: a space in one quotes them all."""
    caplog.set_level(logging.INFO)
    event = KeyFileRead(path="/k", keys=2, added=("a", "b c"), removed=("d",))
    LoggingHook("linqi")(event)
    assert caplog.records[0].getMessage().endswith('added="a,b c" removed=d')
    assert caplog.records[0].linqi["added"] == "a,b c"  # type: ignore[attr-defined]


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
