"""The requests of a log as a table: who came when, for what, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from linqi_tune.evidence.log_fields import FIELD_NAMES
from linqi_tune.evidence.log_selection import LogSelection
from linqi_tune.evidence.person_field import PersonField

__all__ = ["Layout", "fitting_times", "requests_of"]

_COLUMNS: Final = ("time", "status", "target", "request", "method", "agent", "cookies")
_LATEST: Final = 1e11
"""Unix seconds; a number above it counts milliseconds, microseconds or nanoseconds."""
_METHOD: Final = "CASE WHEN contains(request, ' ') THEN split_part(request, ' ', 1) END"
_TARGET: Final = (
    "CASE WHEN NOT starts_with(request, '{')"
    " THEN coalesce(nullif(split_part(request, ' ', 2), ''), request) END"
)
"""The target in a request line, or what is the target alone; not in an object of JSON."""


class Layout(Protocol):
    """How the lines of a log become columns of text."""

    name: str

    def select(self, lines: str, wanted: Mapping[str, Sequence[str]]) -> str:
        """Return SQL with the columns of `wanted`, ``rest`` and ``fits``."""


def requests_of(
    lines: str, layout: Layout, person: PersonField, time: str, selection: LogSelection
) -> str:
    """Return SQL for the table of requests; its one parameter is the key of the hash.

    The columns are `instant` (Unix seconds, NULL for a malformed line), `person` (64 bits of a
    keyed hash, NULL for a request without a session), `status`, `method`, `path` (without origin
    and query), `agent`, and `is_left_out`. What names a person leaves no trace but its hash.
    """
    return f"""
SELECT
  CASE WHEN fits THEN instant END AS instant,
  CASE WHEN fits AND has_person THEN hash(sha256(? || person)) END AS person,
  CASE WHEN fits THEN coalesce(try_cast(status AS USMALLINT), 0) END AS status,
  CASE WHEN fits THEN method END AS method,
  CASE WHEN fits THEN path END AS path,
  CASE WHEN fits THEN agent END AS agent,
  coalesce(fits AND ({selection.is_left_out()}), false) AS is_left_out
FROM (
  SELECT fits AND coalesce(instant BETWEEN 0 AND {_LATEST}, false) AS fits,
    instant, status, agent, method, person,
    coalesce(person NOT IN ('', '-', 'null') AND person[:1] NOT IN ('{{', '['), false)
      AS has_person,
    CASE WHEN starts_with(target, '/') THEN split_part(target, '?', 1)
      ELSE regexp_replace(split_part(target, '?', 1), '^[A-Za-z][A-Za-z0-9+.-]*://[^/]*', '')
      END AS path
  FROM (
    SELECT fits, {_instant()} AS instant, status, agent,
      coalesce(method, {_METHOD}) AS method,
      coalesce(target, {_TARGET}) AS target,
      {person.value()} AS person
    FROM ({layout.select(lines, _wanted(person, time))})
  )
)"""


def fitting_times(lines: str, layout: Layout, time: str) -> str:
    """Return SQL that counts the lines of the form whose time can be read."""
    wanted = {"time": (time,) if time else FIELD_NAMES["time"]}
    instants = f"SELECT fits, {_instant()} AS instant FROM ({layout.select(lines, wanted)})"
    return f"SELECT count(*) FROM ({instants}) WHERE fits AND instant BETWEEN 0 AND {_LATEST}"


def _wanted(person: PersonField, time: str) -> Mapping[str, Sequence[str]]:
    wanted: dict[str, Sequence[str]] = {name: FIELD_NAMES[name] for name in _COLUMNS}
    if time:
        wanted["time"] = (time,)
    return {**wanted, "person": person.names}


def _instant() -> str:
    """Return Unix seconds of the column `time`, NULL if it is none.

    Read are the common log format with a zone or milliseconds, ISO 8601, and numbers of seconds,
    milliseconds, microseconds or nanoseconds. A time without a zone is UTC.
    """
    # Not one list of formats: DuckDB 2.0.1 then takes a zone for the next line without one.
    clf = (
        "CASE WHEN contains(time, ' ') THEN epoch(try_strptime(time, '%d/%b/%Y:%H:%M:%S %z'))"
        " WHEN contains(time, '.') THEN epoch(try_strptime(time, '%d/%b/%Y:%H:%M:%S.%f'))"
        " ELSE epoch(try_strptime(time, '%d/%b/%Y:%H:%M:%S')) END"
    )
    iso = "epoch(try_cast(replace(time, ',', '.') AS TIMESTAMPTZ))"
    number = "try_cast(time AS DOUBLE)"
    units = " ".join(
        f"WHEN {number} < {_LATEST * scale} THEN {number} / {scale}" for scale in (1, 1e3, 1e6, 1e9)
    )
    return (
        f"CASE WHEN contains(time, '/') THEN {clf} WHEN contains(time, '-') THEN {iso}"
        f" ELSE CASE {units} END END"
    )
