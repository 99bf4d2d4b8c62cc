"""Access logs of any size, read as a stream."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linqi.errors import LinqiError
from linqi_tune.evidence.log_lines import Parser
from linqi_tune.evidence.visits import VisitCounter, VisitSummary
from linqi_tune.model.measurements import Visitors

__all__ = ["LogMeasurements", "UnreadableLog", "read_logs"]

_LONGEST_LINE: Final = 65_536
_TELL_EVERY: Final = 20_000
_MOST_MALFORMED: Final = 0.5


class UnreadableLog(LinqiError):
    """A log in which most lines are none, or none names a session; the message says which."""

    code = "unreadable_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMeasurements:
    """What logs told."""

    visitors: Visitors
    summary: VisitSummary
    lines: int
    malformed: int
    nameless: int
    """Lines without a session: public pages."""


def read_logs(
    paths: Sequence[Path],
    parse: Parser,
    *,
    lifetime: float = 900.0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> LogMeasurements:
    """Read logs, oldest first; names that end in ``.gz`` are unpacked on the way.

    `progress` hears how many bytes of the files were read, and how many there are. A malformed
    line is counted and passed over; `UnreadableLog` when most are. No line is kept.
    """
    counter = VisitCounter(lifetime)
    lines = malformed = nameless = 0
    total = sum(path.stat().st_size for path in paths)
    before = 0
    for path in paths:
        for line, done in _lines(path):
            lines += 1
            if lines % _TELL_EVERY == 0:
                progress(before + done, total)
            try:
                visit = parse(line)
            except (ValueError, OverflowError):
                malformed += 1
                continue
            if visit is None:
                nameless += 1
            else:
                counter.add(visit)
        before += path.stat().st_size
    progress(total, total)
    names = ", ".join(path.name for path in paths)
    if lines == 0:
        raise UnreadableLog(f"{names}: there is no line in it")
    if malformed > lines * _MOST_MALFORMED:
        raise UnreadableLog(
            f"{names}: {malformed} of {lines} lines are not of the format; expected the combined"
            " format of Apache and nginx, or one JSON object a line (--log-format json)"
        )
    if nameless == lines - malformed:
        raise UnreadableLog(f"{names}: no line names a session; see --log-session")
    return LogMeasurements(
        visitors=counter.visitors(names),
        summary=counter.summary(),
        lines=lines,
        malformed=malformed,
        nameless=nameless,
    )


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield each line with how much of the file was read; an endless one is cut, and malformed."""
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            while line := file.readline(_LONGEST_LINE):
                yield line.rstrip(b"\r\n"), raw.tell()
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST_LINE)
        except (EOFError, gzip.BadGzipFile) as error:
            raise UnreadableLog(f"{path}: {error}") from error
