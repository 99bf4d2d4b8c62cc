"""Events as log lines."""

import json
import logging
import typing

import pytest
from opentelemetry.sdk.trace import TracerProvider

from linqi import LoggingHook
from linqi.events import (
    Event,
    KeyFileRead,
    KeysRefreshed,
    RevocationFailed,
    SocketClosed,
    TokenRefused,
)


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


def test_a_json_line_is_one_object_with_the_names_of_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Names with their units, arrays for names of a list, and the time in UTC."""
    caplog.set_level(logging.INFO)
    LoggingHook(json=True, clock=lambda: 1_800_000_000.25)(
        KeysRefreshed(issuer="https://i", keys=2, added=("a", "b"), removed=(), lifetime=300.0)
    )
    assert json.loads(caplog.records[0].getMessage()) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "INFO",
        "event": "keys_refreshed",
        "issuer": "https://i",
        "keys": 2,
        "added": ["a", "b"],
        "removed": [],
        "lifetime_seconds": 300.0,
    }


@pytest.mark.parametrize("event", typing.get_args(Event), ids=lambda event: event.__name__)
def test_every_event_is_a_json_line(
    event: type[typing.Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each field is in it once, and what a field holds forges neither a line nor a member."""
    caplog.set_level(logging.DEBUG)
    text = 'a"\n{"event": "x"}\u2028%s'
    samples = {"int": 1, "float": 1.0, "bool": True, "float | None": None}
    fields = event.__annotations__
    hook = LoggingHook(json=True)
    hook(event(**{name: samples.get(str(kind), text) for name, kind in fields.items()}))
    line = caplog.records[0].getMessage()
    assert line.isascii()
    assert "\n" not in line
    told = json.loads(line, object_pairs_hook=list)
    assert len({name for name, _ in told}) == len(told) == len(fields) + 3


def test_a_duration_in_a_json_line_has_its_unit_in_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What leaves the process says its unit; instants end with ``_at`` or ``_end``."""
    caplog.set_level(logging.DEBUG)
    unnamed = set()
    for event in typing.get_args(Event):
        fields = event.__annotations__
        samples = {"int": 1, "float": 1.5, "bool": True, "float | None": 1.5}
        caplog.clear()
        LoggingHook(json=True)(event(**{n: samples.get(str(k), "x") for n, k in fields.items()}))
        told = json.loads(caplog.records[0].getMessage())
        unnamed |= {name for name, value in told.items() if value == 1.5 and "seconds" not in name}
    assert {name for name in unnamed if not name.endswith(("at", "_end"))} == set()


def test_a_json_line_has_the_trace_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """Both ids in the form of W3C Trace Context, so that a log leads to its trace."""
    caplog.set_level(logging.INFO)
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        LoggingHook(json=True)(RevocationFailed(detail="x"))
    LoggingHook(json=True)(RevocationFailed(detail="x"))
    inside, outside = (json.loads(record.getMessage()) for record in caplog.records)
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert inside["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert "trace_id" not in outside
