"""A timeline for the terminal: rows of characters, each for one or more seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from linqi_storm.schema.results import Second, StormRun

__all__ = ["sparkline", "timeline_rows"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "_.-=+*#@"
_GAP, _SHADE = " ", "~"


def sparkline(values: Sequence[float | None], width: int, *, is_ascii: bool = False) -> str:
    """Return a character for each of at most `width` parts, by its highest value."""
    marks = _ASCII if is_ascii else _BLOCKS
    parts = list(_parts(values, width))
    highest = max((value for value in parts if value is not None), default=0.0)
    return "".join(
        _GAP
        if value is None
        else marks[min(len(marks) - 1, int(value / highest * len(marks)))]
        if highest > 0
        else marks[0]
        for value in parts
    )


def timeline_rows(run: StormRun, width: int, *, is_ascii: bool = False) -> Iterator[str]:
    """Yield the rows of the timeline, each with its highest value; none without seconds.

    Each character shows the highest value of its seconds, so that no peak is hidden. The last row
    marks the seconds inside `StormRun.windows`.
    """
    seconds = run.timeline
    if not seconds:
        return
    room = max(10, width - 34)
    for name, unit, values in (
        ("renewals", "/s", [float(second.renewals) for second in seconds]),
        ("requests", "/s", [float(second.requests) for second in seconds]),
        ("p99 latency", " ms", [_p99(second) for second in seconds]),
        ("loop lag", " ms", [_lag(second) for second in seconds]),
        ("5xx, silent", "/s", [_broken(second) for second in seconds]),
    ):
        known = [value for value in values if value is not None]
        if known and (any(known) or name != "5xx, silent"):
            highest = f"max {max(known):.4g}{unit}"
            yield f"{name:<12}{sparkline(values, room, is_ascii=is_ascii)}  {highest}"
    inside = [1.0 if _is_inside(run, second) else None for second in seconds]
    if any(inside):
        labels = ", ".join(dict.fromkeys(window.label for window in run.windows))
        shade = "".join(_GAP if part is None else _SHADE for part in _parts(inside, room))
        yield f"{'':<12}{shade}  {labels}".rstrip()


def _parts(values: Sequence[float | None], width: int) -> Iterator[float | None]:
    """Yield the highest value of each of at most `width` parts of about equal length."""
    count = min(width, len(values))
    for place in range(count):
        part = values[place * len(values) // count : (place + 1) * len(values) // count]
        yield max((value for value in part if value is not None), default=None)


def _p99(second: Second) -> float | None:
    return None if second.intended is None else second.intended.p99_ms


def _lag(second: Second) -> float | None:
    return max(second.loop_lag_ms, default=None)


def _broken(second: Second) -> float:
    kinds = ("failed", "unavailable", "timeout", "broken")
    return float(sum(second.outcomes.get(kind, 0) for kind in kinds))


def _is_inside(run: StormRun, second: Second) -> bool:
    return any(window.begins <= second.second + 0.5 < window.ends for window in run.windows)
