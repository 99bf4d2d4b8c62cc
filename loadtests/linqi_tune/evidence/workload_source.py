"""The workload of an access log, for ``linqi storm --gaps log:FILE``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from linqi.errors import ConfigurationError
from linqi_storm.schema.workload import Workload
from linqi_tune.evidence.access_log import LogSource, read_logs
from linqi_tune.evidence.log_selection import LogSelection
from linqi_tune.model.log_workload import workload_of_log

__all__ = ["log_source_at", "read_log_workload"]

_OPTIONS: Final = frozenset(("session", "format", "time", "quiet", "exclude", "only"))


def read_log_workload(
    place: str, progress: Callable[[int, int], object] = lambda done, total: None
) -> Workload:
    """Return the workload of the log at `place`, such as ``access.log?session=sid``.

    Args:
        place: A file or a pattern, and the options of ``linqi tune`` for logs as a query:
            ``session``, ``format``, ``time``, ``quiet``, ``exclude`` and ``only``; the last three
            may be repeated.
        progress: Hears how many bytes of the files were read, and how many there are.

    Raises:
        ConfigurationError: If an option is unknown, or the log has no pages.
        UnreadableLog: If the log cannot be read.

    """
    log = read_logs(log_source_at(place), progress=progress)
    assert log.traffic is not None  # noqa: S101 - asked for below
    return workload_of_log(log.histories, log.traffic)


def log_source_at(place: str) -> LogSource:
    """Return which log `place` names, and how it is read.

    Raises:
        ConfigurationError: If an option is unknown, or ``session`` is missing.

    """
    path, mark, query = place.rpartition("?")
    if not mark or "=" not in query:  # a question mark of a pattern
        path, query = place, ""
    options = parse_qs(query, keep_blank_values=True)
    if unknown := set(options) - _OPTIONS:
        raise ConfigurationError(
            [
                f"log:{place} has the option {name!r}, expected {', '.join(sorted(_OPTIONS))}"
                for name in sorted(unknown)
            ]
        )
    if "session" not in options:
        raise ConfigurationError(
            [
                f"log:{place} names no field that tells persons apart,"
                f" expected log:{path}?session=FIELD"
            ]
        )

    def last(name: str) -> str:
        return options.get(name, [""])[-1]

    return LogSource(
        paths=[path],
        format=last("format"),
        session=last("session"),
        time=last("time"),
        quiet=options.get("quiet", []),
        selection=LogSelection(options.get("exclude", []), options.get("only", [])),
        with_traffic=True,
    )
