"""Horizontal bars, each with its interval and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi_report.axes import Axis, Scale, number
from linqi_report.svg import (
    CHARACTER,
    NARROW,
    RIGHT,
    TOP,
    drawing,
    in_both_widths,
    stroke,
    text_at,
    vertical_grid,
)

__all__ = ["Bar", "bar_chart"]

_ROW: Final = 24
_LINE: Final = 15
_EDGE: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its value, the ends of its interval, its limit, and a note behind it."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    note: str = ""
    is_bad: bool = False


def bar_chart(title: str, bars: Sequence[Bar], axis: Axis, *, description: str = "") -> str:
    """Return horizontal bars, each with its interval and, where it has one, its limit."""
    said = description or "; ".join(f"{bar.label}: {_bar_text(bar, axis)}" for bar in bars)

    def draw(width: int) -> str:
        # On a narrow page the texts are above their bar: beside it they would leave no room.
        above = _LINE * 2 if width == NARROW else 0
        left, right = _sides(bars, axis, width)
        across = Scale(axis, [*_ends(bars), *_zero(axis)], left, right)
        bottom = TOP + (_ROW + above) * len(bars)
        parts = vertical_grid(across, TOP, bottom, axis, (left, right))
        for index, bar in enumerate(bars):
            parts += _bar(bar, axis, across, left, TOP + (_ROW + above) * index, above)
        return drawing(title, said, width, bottom, parts)

    return in_both_widths(draw)


def _sides(bars: Sequence[Bar], axis: Axis, width: int) -> tuple[float, float]:
    if width == NARROW:
        return _EDGE, width - RIGHT
    left = min(330.0, _EDGE + CHARACTER * max((len(bar.label) for bar in bars), default=0))
    room = 10 + CHARACTER * max((len(_bar_text(bar, axis)) for bar in bars), default=0)
    return left, width - RIGHT - room


def _ends(bars: Sequence[Bar]) -> list[float]:
    return [end for bar in bars for end in (bar.value, bar.high, bar.limit) if end is not None]


def _bar(bar: Bar, axis: Axis, across: Scale, left: float, top: float, above: float) -> list[str]:
    middle = top + above + _ROW / 2
    end = across(bar.value)
    start, width = min(left, end), max(1.0, abs(end - left))
    kind = "bad" if bar.is_bad else "f1"
    parts = [
        f'<rect class="{kind}" x="{start:.1f}" y="{middle - 7}" width="{width:.1f}"'
        f' height="{_ROW - 10}"/>',
    ]
    if bar.low is not None and bar.high is not None and bar.high > bar.low:
        parts.append(stroke("whisker", across(bar.low), middle, across(bar.high), middle))
    right = max(end, *(across(at) for at in (bar.limit, bar.high) if at is not None), end)
    if bar.limit is not None:
        at = across(bar.limit)
        parts.append(stroke("limit", at, middle - 10, at, middle + 10))
    if above:
        most = NARROW - _EDGE - RIGHT
        parts.append(text_at(left, top + _LINE, _cut(bar.label, most), "label"))
        parts.append(text_at(left, top + 2 * _LINE, _cut(_bar_text(bar, axis), most), "value"))
        return parts
    parts.append(text_at(left - 8, middle + 4, _cut(bar.label, left - _EDGE), "label", "end"))
    parts.append(text_at(right + 6, middle + 4, _bar_text(bar, axis), "value"))
    return parts


def _bar_text(bar: Bar, axis: Axis) -> str:
    text = f"{number(bar.value)} {axis.unit}".strip()
    return f"{text} {bar.note}" if bar.note else text


def _cut(text: str, width: float) -> str:
    most = int(width / CHARACTER) + 1
    return text if len(text) <= most else text[: most - 1] + "…"


def _zero(axis: Axis) -> tuple[float, ...]:
    return () if axis.is_log else (0.0,)
