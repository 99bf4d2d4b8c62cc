"""Which format a log has, by its first lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from linqi_tune.evidence.line_layout import LineLayout
from linqi_tune.evidence.log_engine import LogEngine, UnreadableLog, literal
from linqi_tune.evidence.log_fields import VENDORS
from linqi_tune.evidence.log_files import LogFiles
from linqi_tune.evidence.log_formats import LINE_FORMATS, PREFIXES, W3C_FORMATS
from linqi_tune.evidence.log_requests import Layout, fitting_times
from linqi_tune.evidence.record_layouts import JsonLayout, TableLayout, W3CLayout

__all__ = ["DetectedFormat", "detect_format", "first_malformed", "masked"]

_ENOUGH: Final = 0.5
_DOCKER: Final = "docker json-file"
_LONGEST_SHOWN: Final = 160
_SECRETS: Final = (
    # Values of query fields and cookies, JSON members that sound secret, and long random text.
    (re.compile(r"([?&;][A-Za-z0-9_.-]+=)[^&;\s\"]+"), r"\1***"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s\"]+"), r"\1***"),
    (
        re.compile(
            r"(?i)([\w-]*(?:cookie|token|secret|passw|auth|session|sid|key)[\w-]*\"?\s*[:=]\s*\"?)"
            r"[^\s\",;}]+"
        ),
        r"\1***",
    ),
    (re.compile(r"[A-Za-z0-9_+/=.-]*(?=[A-Za-z0-9_+/=-]{20})[A-Za-z0-9_+/=.-]+"), "***"),
    (re.compile(r"[\x00-\x1f\x7f-\x9f]"), "?"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedFormat:
    """How the lines of a log are read.

    Attributes:
        layout: The format.
        lines: SQL with the column `line`, without what a collector wrote before or around it; for
            tables SQL with their columns.
        wrapper: What was taken away, or empty.

    """

    layout: Layout
    lines: str
    wrapper: str = ""

    @property
    def text(self) -> str:
        """The name of the format, for reports."""
        return f"{self.layout.name} in {self.wrapper}" if self.wrapper else self.layout.name


def detect_format(engine: LogEngine, files: LogFiles, name: str, time: str) -> DetectedFormat:
    """Return the format called `name`, or that of most of the first lines.

    Raises:
        UnreadableLog: There is no line, or too few lines have any format; the message shows the
            first line that has none, with its secrets masked.

    """
    if name in ("csv", "parquet") or (not name and files.table_format):
        table = files.table(name or files.table_format)
        columns = {row[0]: row[1] for row in engine.rows(f"DESCRIBE {table}")}
        return DetectedFormat(layout=TableLayout(name or files.table_format, columns), lines=table)
    sample = files.sample(engine)
    if not any(line.strip() for line in sample):
        raise UnreadableLog(f"{files.names}: there is no line in it")
    best, most = None, 0
    lines = sum(not line.startswith("#") for line in sample)
    for found in _candidates(engine, files, name, sample):
        if best is not None and best.wrapper != found.wrapper and most >= lines * _ENOUGH:
            break
        fitting = _fitting(engine, found, sample, time)
        if fitting > most:
            best, most = found, fitting
        if most == lines:
            break
    if best is None or most < lines * _ENOUGH:
        raise UnreadableLog(_refusal(engine, files, best, name, time, sample))
    return best


def _candidates(
    engine: LogEngine, files: LogFiles, name: str, sample: Sequence[str]
) -> Iterator[DetectedFormat]:
    """Yield every format with every wrapper; Docker's first, which is JSON itself."""
    layouts = [layout for layout in _layouts(sample) if not name or layout.name == name]
    if name and not layouts:
        layouts = [LineLayout("given by --log-format", name)]
    for wrapper in (_DOCKER, "", *_prefixes(engine, sample)):
        lines = _unwrapped(files.lines(), wrapper)
        for layout in layouts:
            yield DetectedFormat(layout=layout, lines=lines, wrapper=wrapper)


def _prefixes(engine: LogEngine, sample: Sequence[str]) -> list[str]:
    """Return the prefixes that most of the lines have."""
    counts = ", ".join(
        f"count(*) FILTER (regexp_matches(line, {literal(prefix)}))" for prefix in PREFIXES.values()
    )
    found = engine.row(f"SELECT {counts} FROM (SELECT unnest(?) AS line)", [list(sample)])
    return [
        name for name, count in zip(PREFIXES, found, strict=True) if count >= len(sample) * _ENOUGH
    ]


def _layouts(sample: Sequence[str]) -> Iterator[Layout]:
    for name, members in VENDORS.items():
        yield JsonLayout(name, members)
    for name, text in LINE_FORMATS.items():
        yield LineLayout(name, text)
    header = next((line for line in sample if line.startswith("#Fields:")), "")
    for name, fields in W3C_FORMATS.items():
        named = header.removeprefix("#Fields:").split() or fields
        # What the two services write differs in the separator only.
        yield W3CLayout(name, named, "\t" if name == "cloudfront" else " ")


def _unwrapped(lines: str, wrapper: str) -> str:
    if not wrapper:
        return lines
    if wrapper == _DOCKER:
        log = "CASE WHEN starts_with(line, '{') THEN try(json_extract_string(line, '/log')) END"
        return f"SELECT rtrim({log}, chr(10) || chr(13)) AS line FROM ({lines})"
    prefix = literal(PREFIXES[wrapper])
    return f"SELECT regexp_replace(line, {prefix}, '') AS line FROM ({lines})"


def _fitting(engine: LogEngine, found: DetectedFormat, sample: Sequence[str], time: str) -> int:
    lines = _unwrapped("SELECT unnest(?) AS line", found.wrapper)
    return int(engine.row(fitting_times(lines, found.layout, time), [list(sample)])[0])


def _refusal(
    engine: LogEngine,
    files: LogFiles,
    best: DetectedFormat | None,
    name: str,
    time: str,
    sample: Sequence[str],
) -> str:
    lines = [line for line in sample if line.strip() and not line.startswith("#")]
    first = next(
        (one for one in lines if best is None or not _fitting(engine, best, [one], time)), ""
    )
    what = f"the lines are not of --log-format {name}" if name else "the lines have no known format"
    when = f", or their time is not in --log-time {time}" if time else ""
    remedy = (
        "name it with --log-format: a name, or the format string of nginx or Apache"
        if not name
        else "without --log-format the format is detected"
    )
    return f"{files.names}: {what}{when}; {remedy}. The first line of another form: {masked(first)}"


def first_malformed(engine: LogEngine, found: DetectedFormat, time: str) -> str:
    """Return the first line that has not the format, with its secrets masked."""
    if isinstance(found.layout, TableLayout):
        return "a row whose time is none; see --log-time"
    for batch in engine.batches(found.lines):
        for (line,) in batch:
            fitting = fitting_times("SELECT ? AS line", found.layout, time)
            if not engine.row(fitting, [line])[0]:
                return masked(line)
    return "a line that is no UTF-8"


def masked(line: str) -> str:
    """Return the beginning of a line without what may be a token, a cookie or an id."""
    shown = line[:1_000]
    for pattern, replacement in _SECRETS:
        shown = pattern.sub(replacement, shown)
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."
