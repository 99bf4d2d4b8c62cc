"""Charts as SVG text: lines over time, bars beside a limit, percentiles on a logarithmic axis.

No script and nothing from outside: colours are the CSS variables of `linqi_report.page`, so one
drawing serves light, dark and paper. Each chart has a title and a description for screen
readers, and series differ by dashes as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final

from linqi_report.axes import Axis, Scale, number, percentile_axis

__all__ = [
    "Axis",
    "Band",
    "Bar",
    "Mark",
    "Series",
    "bar_chart",
    "line_chart",
    "percentile_axis",
    "percentile_chart",
]

_WIDTH: Final = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 12, 46
_COLORS: Final = 6
_DASHES: Final = ("", "6 3", "2 3", "9 3 2 3", "1 3", "12 4")
_CHARACTER: Final = 6.3
"""Pixels of an average character at 11 px; only legends and labels are laid out by it."""
_ROW: Final = 24
_NOTE_ROW: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A named line; a y of None is a gap. `interval` draws a band around it.

    Colour and dash are those of its place among the others unless it names its own.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    interval: Sequence[tuple[float, float, float]] = ()
    """Points (x, low, high) of a shaded interval."""
    is_area: bool = False
    """Whether the interval is an area, as in stacks and histograms, not an uncertainty."""
    hue: str = ""
    """``1`` to ``6``, ``ok``, ``warn``, ``bad`` or ``soft``."""
    dash: int | None = None
    """0 for an unbroken line, to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A shaded stretch of the x axis, such as an outage."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line at an instant."""

    at: float
    label: str = ""


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


def line_chart(
    title: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    description: str = "",
    height: int = 260,
) -> str:
    """Return a chart of lines, with shaded bands and marked instants behind them."""
    xs = [at for each in series for at, _ in each.points]
    ys = [value for each in series for _, value in each.points if value is not None]
    ys += [end for each in series for _, low, high in each.interval for end in (low, high)]
    across = Scale(x, xs, _LEFT, _WIDTH - _RIGHT)
    notes = _notes(bands, marks, across)
    head = _TOP + _legend_height(series)
    top = head + _NOTE_ROW * len({row for _, _, _, row in notes})
    bottom = top + height
    up = Scale(_with_headroom(y, ys), ys, bottom, top)
    parts = [*_legend(series), *_bands(bands, across, top, bottom)]
    parts += _grid(across, up, top, bottom, x, y)
    styles = [(_hue(each, index), _dash(each, index)) for index, each in enumerate(series)]
    for each, (hue, dash) in zip(series, styles, strict=True):
        parts += _line(each, hue, dash, across, up)
    parts += [_stroke("mark", across(m.at), top, across(m.at), bottom) for m in marks]
    parts += [
        _text(at, head + 11 + _NOTE_ROW * row, text, "note", anchor)
        for at, text, anchor, row in notes
    ]
    said = description or _described(series, x, y)
    return _svg(title, said, bottom + _BOTTOM, parts)


def bar_chart(title: str, bars: Sequence[Bar], axis: Axis, *, description: str = "") -> str:
    """Return horizontal bars, each with its interval and, where it has one, its limit."""
    left = min(330.0, 14 + _CHARACTER * max((len(bar.label) for bar in bars), default=0))
    room = 10 + _CHARACTER * max((len(_bar_text(bar, axis)) for bar in bars), default=0)
    values = [end for bar in bars for end in (bar.value, bar.high, bar.limit) if end is not None]
    across = Scale(axis, [*values, *_zero(axis)], left, _WIDTH - _RIGHT - room)
    bottom = _TOP + _ROW * len(bars)
    parts = _vertical_grid(across, _TOP, bottom, axis, (left, _WIDTH - _RIGHT - room))
    for index, bar in enumerate(bars):
        parts += _bar(bar, axis, across, left, _TOP + _ROW * index)
    said = description or "; ".join(f"{bar.label}: {_bar_text(bar, axis)}" for bar in bars)
    return _svg(title, said, bottom + _BOTTOM, parts)


def percentile_chart(
    title: str,
    spectra: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    y: Axis,
    *,
    description: str = "",
    height: int = 260,
) -> str:
    """Return the spectrum of each named list of (percentile below 100, value) pairs."""
    highest = max((p for _, pairs in spectra for p, _ in pairs), default=99.0)
    series = [
        Series(name=name, points=[(100 / (100 - p), value) for p, value in pairs])
        for name, pairs in spectra
    ]
    axis = percentile_axis(max(highest, 90.0))
    return line_chart(title, series, axis, y, description=description, height=height)


def _with_headroom(axis: Axis, values: Sequence[float]) -> Axis:
    """Keep lines away from the top edge."""
    if axis.high is not None or not values:
        return axis
    highest = max(values)
    return replace(axis, high=highest * (1.3 if axis.is_log else 1.05) if highest > 0 else None)


def _grid(across: Scale, up: Scale, top: float, bottom: float, x: Axis, y: Axis) -> list[str]:
    parts = _vertical_grid(across, top, bottom, x, (_LEFT, _WIDTH - _RIGHT))
    for value, text in up.ticks:
        at = up(value)
        parts.append(_stroke("grid", _LEFT, at, _WIDTH - _RIGHT, at))
        parts.append(_text(_LEFT - 7, at + 4, text, "tick", "end"))
    middle = (top + bottom) / 2
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(14 {middle:.0f})'
        f' rotate(-90)">{escape(y.title)}</text>'
    )
    return parts


def _vertical_grid(
    across: Scale, top: float, bottom: float, axis: Axis, ends: tuple[float, float]
) -> list[str]:
    parts = []
    for value, text in across.ticks:
        at = across(value)
        parts.append(_stroke("grid", at, top, at, bottom))
        parts.append(_text(at, bottom + 16, text, "tick", "middle"))
    parts.append(_stroke("edge", ends[0], bottom, ends[1], bottom))
    parts.append(_text(sum(ends) / 2, bottom + 36, axis.title, "axis", "middle"))
    return parts


def _line(series: Series, hue: str, dash: str, across: Scale, up: Scale) -> list[str]:
    parts = []
    if series.interval:
        there = [f"{across(x):.1f},{up(high):.1f}" for x, _, high in series.interval]
        back = [f"{across(x):.1f},{up(low):.1f}" for x, low, _ in reversed(series.interval)]
        kind = "area" if series.is_area else "band"
        parts.append(f'<polygon class="f{hue} {kind}" points="{" ".join(there + back)}"/>')
    for run in _runs(series.points):
        drawn = [(across(x), up(y)) for x, y in run]
        if len(drawn) == 1:
            (x, y) = drawn[0]
            parts.append(f'<circle class="f{hue}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            continue
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline class="s{hue} line"{dash} points="{points}"/>')
    return parts


def _hue(series: Series, index: int) -> str:
    return series.hue or str(index % _COLORS + 1)


def _dash(series: Series, index: int) -> str:
    """Return the dash pattern; it differs where colours repeat."""
    usual = index + index // _COLORS
    if series.is_area:
        usual = 0
    dash = _DASHES[(usual if series.dash is None else series.dash) % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Return the stretches between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None or not math.isfinite(y):
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _bands(bands: Sequence[Band], across: Scale, top: float, bottom: float) -> list[str]:
    parts = []
    for band in bands:
        start = across(max(band.start, across.low))
        width = max(1.0, across(min(band.end, across.high)) - start)
        parts.append(
            f'<rect class="span" x="{start:.1f}" y="{top}" width="{width:.1f}"'
            f' height="{bottom - top}"/>'
        )
    return parts


def _notes(
    bands: Sequence[Band], marks: Sequence[Mark], across: Scale
) -> list[tuple[float, str, str, int]]:
    """Lay the labels of bands and marks out above the plot, in rows where none meets another."""
    wanted = [(max(band.start, across.low), band.label) for band in bands if band.label]
    wanted += [(mark.at, mark.label) for mark in marks if mark.label]
    notes: list[tuple[float, str, str, int]] = []
    ends: list[float] = []
    for value, text in sorted(wanted):
        at, width = across(value), _CHARACTER * len(text) + 10
        is_last = at + width > _WIDTH
        start = at - width if is_last else at
        row = next((i for i, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + width]
        notes.append((at, text, "end" if is_last else "start", row))
    return notes


def _bar(bar: Bar, axis: Axis, across: Scale, left: float, top: float) -> list[str]:
    middle = top + _ROW / 2
    end = across(bar.value)
    start, width = min(left, end), max(1.0, abs(end - left))
    kind = "bad" if bar.is_bad else "f1"
    parts = [
        _text(left - 8, middle + 4, _cut(bar.label, left), "label", "end"),
        f'<rect class="{kind}" x="{start:.1f}" y="{top + 5}" width="{width:.1f}"'
        f' height="{_ROW - 10}"/>',
    ]
    if bar.low is not None and bar.high is not None and bar.high > bar.low:
        parts.append(_stroke("whisker", across(bar.low), middle, across(bar.high), middle))
    right = end
    if bar.limit is not None:
        at = across(bar.limit)
        parts.append(_stroke("limit", at, top + 2, at, top + _ROW - 2))
        right = max(right, at)
    if bar.high is not None:
        right = max(right, across(bar.high))
    parts.append(_text(right + 6, middle + 4, _bar_text(bar, axis), "value"))
    return parts


def _bar_text(bar: Bar, axis: Axis) -> str:
    text = f"{number(bar.value)} {axis.unit}".strip()
    return f"{text} {bar.note}" if bar.note else text


def _cut(text: str, left: float) -> str:
    most = int((left - 14) / _CHARACTER) + 1
    return text if len(text) <= most else text[: most - 1] + "…"


def _zero(axis: Axis) -> tuple[float, ...]:
    return () if axis.is_log else (0.0,)


def _legend_rows(series: Sequence[Series]) -> list[list[tuple[int, str]]]:
    rows: list[list[tuple[int, str]]] = [[]]
    used = 0.0
    for index, each in enumerate(series):
        needed = 44 + _CHARACTER * len(each.name)
        if used + needed > _WIDTH - _LEFT - _RIGHT and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append((index, each.name))
        used += needed
    return rows


def _legend_height(series: Sequence[Series]) -> int:
    return 20 * len(_legend_rows(series)) if len(series) > 1 else 0


def _legend(series: Sequence[Series]) -> list[str]:
    if len(series) < 2:
        return []
    parts = []
    for row, entries in enumerate(_legend_rows(series)):
        at, down = float(_LEFT), _TOP + 6 + 20 * row
        for index, name in entries:
            parts.append(_sample(series[index], index, at, down))
            parts.append(_text(at + 30, down + 4, name, "label"))
            at += 44 + _CHARACTER * len(name)
    return parts


def _sample(series: Series, index: int, at: float, down: float) -> str:
    """Return the legend's sample of a series."""
    hue = _hue(series, index)
    if series.is_area or (series.interval and not series.points):
        kind = "area" if series.is_area else "band"
        return f'<rect class="f{hue} {kind}" x="{at:.0f}" y="{down - 5}" width="24" height="10"/>'
    return (
        f'<line class="s{hue} line"{_dash(series, index)}'
        f' x1="{at:.0f}" y1="{down}" x2="{at + 24:.0f}" y2="{down}"/>'
    )


def _described(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Return a description for readers who cannot see the chart."""
    said = []
    for each in series:
        values = [value for _, value in each.points if value is not None]
        if values:
            said.append(
                f"{each.name}: {number(min(values))} to {number(max(values))} {y.unit}".strip()
            )
    return f"{y.title} over {x.title}. " + "; ".join(said)


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}"{where} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {height:.0f}"'
        f' aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )
