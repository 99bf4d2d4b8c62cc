"""One line of an access log: who came when, and what was answered."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi_tune.evidence.quiet_paths import QuietPaths

__all__ = ["FORMATS", "Parser", "Visit", "parser_of"]

FORMATS: Final = ("combined", "json")
_COMBINED: Final = re.compile(
    rb"(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]{20,32})\] "
    rb'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3}) (?P<size>[0-9]+|-)'
    rb'(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?(?P<rest>.*)'
)
_REST: Final = re.compile(
    rb'(?:([A-Za-z_][A-Za-z0-9_.-]{0,63})=)?(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))'
)
_TIMES: Final = ("time", "timestamp", "@timestamp", "ts", "time_iso8601", "msec", "time_local")
_STATUSES: Final = ("status", "status_code", "response.status", "http_status")
_TARGETS: Final = tuple(
    name.split(".")
    for name in ("path", "uri", "request_uri", "url", "request.uri", "request.path", "request")
)
_MONTHS: Final = {
    month: number
    for number, month in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_MILLISECONDS: Final = 1e11
"""A number above this counts milliseconds: as seconds it would be the year 5138."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one session."""

    at: float
    """Unix seconds."""
    session: int
    """64 bits of a keyed hash of the session's name; the key dies with the process."""
    status: int
    is_quiet: bool = False
    """Whether the page asked by itself: no sign that somebody was there."""


Parser = Callable[[bytes], Visit | None]
"""Gives the visit of a line, None for one without a session; ValueError for a malformed one."""


def parser_of(
    form: str, session_field: str, time_field: str = "", quiet: Iterable[str] = ()
) -> Parser:
    """Give a parser for lines of `form`, ``combined`` or ``json``.

    `session_field`: for JSON a member, dotted where it lies deeper; for combined ``user``,
    ``host``, a number that counts what follows the user agent from 1, or the name of a
    ``name=value`` there. What it holds is hashed at once and never kept: it may be a session id.
    `quiet`: paths whose requests extend no session, as the middleware's own.
    """
    if form not in FORMATS:
        raise ConfigurationError([f"the log format is {form!r}, expected combined or json"])
    if not session_field:
        raise ConfigurationError(["name the field of the log that tells sessions apart"])
    if form == "json":
        return _json_parser(session_field.split("."), time_field, QuietPaths(quiet))
    return _combined_parser(session_field, QuietPaths(quiet))


def _hasher() -> Callable[[bytes], int]:
    key = secrets.token_bytes(32)

    def hashed(value: bytes) -> int:
        digest = hashlib.blake2b(value, digest_size=8, key=key).digest()
        return int.from_bytes(digest, "big")

    return hashed


def _combined_parser(session_field: str, quiet: QuietPaths) -> Parser:
    hashed, times = _hasher(), _CombinedTimes()
    is_named = session_field in ("user", "host")

    def parse(line: bytes) -> Visit | None:
        found = _COMBINED.fullmatch(line)
        if found is None:
            raise ValueError("no line of the combined format")
        at = times.at(found["time"])
        value = found[session_field] if is_named else _of_rest(found["rest"], session_field)
        if not value or value == b"-":
            return None
        request = found["request"].decode("latin-1")
        is_quiet = not quiet.is_empty and quiet.include(_target_of(request))
        return Visit(at, hashed(value), int(found["status"]), is_quiet)

    return parse


def _target_of(request: str) -> str:
    """Return the target of a request line, or of what is the target alone."""
    parts = request.split(" ")
    return parts[1] if len(parts) > 1 else request


def _target_in(told: Mapping[str, Any]) -> str:
    """Return the target of the request in a line of JSON; empty where it says none."""
    found = (_at_path(told, path) for path in _TARGETS)
    return _target_of(next((value for value in found if isinstance(value, str)), ""))


def _of_rest(rest: bytes, wanted: str) -> bytes:
    for number, part in enumerate(_REST.finditer(rest), 1):
        name = (part[1] or b"").decode()
        if wanted in (name, str(number)):
            return part[2] if part[2] is not None else part[3]
    return b""


class _CombinedTimes:
    """Reads ``25/Nov/2026:19:12:31 +0000``; lines of the same second are read once."""

    def __init__(self) -> None:
        self._text, self._at = b"", 0.0

    def at(self, text: bytes) -> float:
        if text != self._text:
            clock, zone = text.split(b" ")
            day, month, rest = clock.split(b"/")
            year, hour, minute, second = map(int, rest.split(b":"))
            number = _MONTHS.get(month)
            if number is None or len(zone) != 5 or zone[:1] not in (b"+", b"-"):
                raise ValueError("no time of the combined format")
            ahead = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
            read = datetime(year, number, int(day), hour, minute, second, tzinfo=UTC)
            self._at = read.timestamp() - (ahead if zone[:1] == b"+" else -ahead)
            self._text = text
        return self._at


def _json_parser(path: list[str], time_field: str, quiet: QuietPaths) -> Parser:
    hashed = _hasher()
    names = [time_field.split(".")] if time_field else [name.split(".") for name in _TIMES]
    statuses = [name.split(".") for name in _STATUSES]

    def parse(line: bytes) -> Visit | None:
        try:
            told = json.loads(line)
        except RecursionError:
            raise ValueError("too deep") from None
        if not isinstance(told, dict):
            raise ValueError("no JSON object")
        at = _instant(_first(told, names))
        value = _at_path(told, path)
        if value is None or value in ("", "-") or isinstance(value, dict | list):
            return None
        status = _first(told, statuses)
        is_number = isinstance(status, int | str) and str(status).isdecimal()
        is_quiet = not quiet.is_empty and quiet.include(_target_in(told))
        session = hashed(str(value).encode())
        return Visit(at, session, int(str(status)) if is_number else 0, is_quiet)

    return parse


def _first(told: Mapping[str, Any], paths: list[list[str]]) -> Any:
    found = (_at_path(told, path) for path in paths)
    return next((value for value in found if value is not None), None)


def _at_path(told: Any, path: list[str]) -> Any:
    whole = ".".join(path)
    if isinstance(told, dict) and whole in told:  # "response.status" may be one name
        return told[whole]
    for name in path:
        if not isinstance(told, dict):
            return None
        told = told.get(name)
    return told


def _instant(value: object) -> float:
    """Read Unix seconds or milliseconds, or ISO 8601; a time without a zone is UTC."""
    if isinstance(value, bool) or value is None:
        raise ValueError("no time")
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            read = datetime.fromisoformat(str(value))
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if not isinstance(value, int | float) or not 0 <= value < 1e14:
        raise ValueError("no time")
    return value / 1000 if value > _MILLISECONDS else float(value)
