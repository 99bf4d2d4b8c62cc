"""Access logs of any size: the law of the visitors, their histories, and what they requested."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linqi_tune.evidence.log_detection import detect_format, first_malformed
from linqi_tune.evidence.log_engine import LogEngine, UnreadableLog
from linqi_tune.evidence.log_files import LogFiles
from linqi_tune.evidence.log_formats import check_format
from linqi_tune.evidence.log_pages import DAY, build_pages, count_requests, mark_quiet_paths
from linqi_tune.evidence.log_requests import requests_of
from linqi_tune.evidence.log_selection import LogSelection
from linqi_tune.evidence.log_traffic import traffic_of
from linqi_tune.evidence.log_visitors import histories_of, visitors_of
from linqi_tune.evidence.person_field import PersonField
from linqi_tune.evidence.populations import Population, find_populations, select_kinds
from linqi_tune.evidence.quiet_paths import QuietPaths
from linqi_tune.model.histories import Histories
from linqi_tune.model.logged_traffic import LoggedTraffic
from linqi_tune.model.measurements import Visitors

__all__ = ["LogMeasurements", "LogSource", "LogSummary", "UnreadableLog", "read_logs"]

_MOST_MALFORMED: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Which logs to read, and how.

    Attributes:
        paths: Files or patterns, in any order; ``.gz`` and ``.zst`` are unpacked.
        format: One of `linqi_tune.evidence.log_formats.FORMATS`, a format string of nginx or
            Apache, or empty to detect it.
        session: The field that names the person; see `PersonField`.
        time: The field with the time, where it has none of the usual names.
        quiet: Paths whose requests extend no session, as the middleware's own.
        selection: Which requests count.
        with_traffic: Whether to read what was requested, too.

    """

    paths: Sequence[str | Path]
    format: str = ""
    session: str = ""
    time: str = ""
    quiet: Sequence[str] = ()
    selection: LogSelection = field(default_factory=LogSelection)
    with_traffic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """What a log holds, beside the law of the visitors.

    Attributes:
        format: The format that was taken.
        lines: Lines, comments and empty ones left out.
        malformed: Lines that have not the format, or no time.
        nameless: Requests without a session: public pages.
        left_out: Requests that ``--exclude`` and ``--only`` left out.
        visits: Requests that count.
        sessions: Persons, each counted again after a day of silence.
        began: The first request of a person, in Unix seconds.
        ended: The last request of a person.
        refused: Answers of 401.
        quiet: Requests to quiet paths, which are no visits: they count in the peak rate only.
        out_of_order: Lines that are earlier than the line before; they were sorted.
        farthest_back: The longest such step, in seconds.
        left: Persons that were silent for a day, or for a lifetime until the end; whether they
            meant to return is unknown.

    """

    format: str
    lines: int
    malformed: int
    nameless: int
    left_out: int
    visits: int
    sessions: int
    began: float
    ended: float
    refused: int
    quiet: int
    out_of_order: int
    farthest_back: float
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMeasurements:
    """What logs told; `traffic` only if it was asked for."""

    visitors: Visitors
    histories: Histories
    summary: LogSummary
    populations: Sequence[Population]
    traffic: LoggedTraffic | None = None


def read_logs(
    source: LogSource,
    *,
    lifetime: float = 900.0,
    buffer: float = 300.0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> LogMeasurements:
    """Read logs; the order of files and of lines does not matter.

    `lifetime` and `buffer` are those in force, in seconds. `progress` hears how many bytes of the
    files were read, and how many there are. What names a person is hashed as it is read, with a key
    that dies with the process. Requests are held in a folder that only this user can read, and that
    is removed at the end; no line is held.

    Raises:
        ConfigurationError: An option is none, or DuckDB is not installed.
        UnreadableLog: A file is missing or torn, most lines are malformed, or none names a session.

    """
    person = PersonField(source.session)
    source.selection.check_kinds(person.is_address)
    check_format(source.format)
    quiet = QuietPaths(source.quiet)
    files = LogFiles(source.paths)
    with LogEngine() as engine:
        form = detect_format(engine, files, source.format, source.time)
        total = files.bytes
        engine.run(
            "CREATE TABLE requests AS "
            + requests_of(form.lines, form.layout, person, source.time, source.selection),
            [secrets.token_hex(32)],
            lambda share: progress(round(share * total), total),
        )
        lines, malformed, nameless = _counts(engine)
        if malformed > lines * _MOST_MALFORMED or not lines:
            shown = first_malformed(engine, form, source.time)
            raise UnreadableLog(
                f"{files.names}: {malformed} of {lines} lines are not of the format {form.text};"
                f" name another with --log-format. The first of them: {shown}"
            )
        if nameless == lines - malformed:
            raise UnreadableLog(
                f"{files.names}: no line has the field {source.session!r}; name the field that"
                " tells persons apart with --log-session"
            )
        mark_quiet_paths(engine, quiet)
        count_requests(engine)
        build_pages(engine)
        populations = find_populations(engine, buffer, person.is_address)
        select_kinds(engine, source.selection)
        progress(total, total)
        return _measured(engine, source, files, form.text, lifetime, populations)


def _counts(engine: LogEngine) -> tuple[int, int, int]:
    """Return the lines, the malformed ones, and those without a session."""
    lines, malformed, nameless = engine.row(
        "SELECT count(*), count(*) - count(instant),"
        " count(*) FILTER (instant IS NOT NULL AND person IS NULL) FROM requests"
    )
    rejected = engine.rejected()
    return lines + rejected, malformed + rejected, nameless


def _measured(
    engine: LogEngine,
    source: LogSource,
    files: LogFiles,
    form: str,
    lifetime: float,
    populations: Sequence[Population],
) -> LogMeasurements:
    visits, refused, quiet = engine.row(
        "SELECT count(*) FILTER (NOT is_quiet), count(*) FILTER (status = 401 AND NOT is_quiet),"
        " count(*) FILTER (is_quiet) FROM counted"
    )
    if not visits:
        raise UnreadableLog(
            f"{files.names}: no request is left; see --exclude, --only and --quiet-path"
        )
    lines, malformed, nameless = _counts(engine)
    disordered, back = engine.row(_DISORDER)
    began, ended, sessions = engine.row(
        "SELECT min(began), max(ended), count(*) FILTER (coalesce(pause >= ?, true)) FROM pages",
        [DAY],
    )
    (left,) = engine.row(_LEFT, [lifetime])
    summary = LogSummary(
        format=form,
        lines=lines,
        malformed=malformed,
        nameless=nameless,
        left_out=lines - malformed - nameless - visits - quiet,
        visits=visits,
        sessions=sessions,
        began=began,
        ended=ended,
        refused=refused,
        quiet=quiet,
        out_of_order=disordered,
        farthest_back=back or 0.0,
        left=left,
    )
    traffic = (
        traffic_of(engine, ended - began, lifetime, files.names) if source.with_traffic else None
    )
    return LogMeasurements(
        visitors=visitors_of(engine, lifetime, files.names),
        histories=histories_of(engine, ended - began),
        summary=summary,
        populations=populations,
        traffic=traffic,
    )


_DISORDER: Final = """
SELECT count(*), max(back) FROM (
  SELECT lag(instant) OVER () - instant AS back FROM requests WHERE instant IS NOT NULL
) WHERE back > 0"""
_LEFT: Final = f"""
SELECT (SELECT count(*) FROM pages WHERE pause >= {DAY}) + (
  SELECT count(*) FROM (
    SELECT (SELECT max(ended) FROM pages) - max(ended) AS silent FROM pages GROUP BY number
  ) WHERE silent >= ?
)"""
