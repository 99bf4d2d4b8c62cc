"""Charts as SVG text: lines over time, percentiles on a logarithmic axis, and bars.

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
from linqi_report.bars import Bar, bar_chart
from linqi_report.svg import (
    CHARACTER,
    RIGHT,
    TOP,
    drawing,
    in_both_widths,
    stroke,
    text_at,
    vertical_grid,
)

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

_LEFT: Final = 64
_COLORS: Final = 6
_DASHES: Final = ("", "6 3", "2 3", "9 3 2 3", "1 3", "12 4")
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
    said = description or _described(series, x, y)
    return in_both_widths(
        lambda width: drawing(title, said, width, *_plot(series, x, y, bands, marks, height, width))
    )


def _plot(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    bands: Sequence[Band],
    marks: Sequence[Mark],
    height: int,
    width: int,
) -> tuple[float, list[str]]:
    """Return the bottom of the plot and its parts."""
    xs = [at for each in series for at, _ in each.points]
    ys = [value for each in series for _, value in each.points if value is not None]
    ys += [end for each in series for _, low, high in each.interval for end in (low, high)]
    across = Scale(x, xs, _LEFT, width - RIGHT)
    notes = _notes(bands, marks, across, width)
    head = TOP + _legend_height(series, width)
    top = head + _NOTE_ROW * len({row for _, _, _, row in notes})
    bottom = top + height
    up = Scale(_with_headroom(y, ys), ys, bottom, top)
    parts = [*_legend(series, width), *_bands(bands, across, top, bottom)]
    parts += _grid(across, up, top, bottom, x, y, width)
    styles = [(_hue(each, index), _dash(each, index)) for index, each in enumerate(series)]
    for each, (hue, dash) in zip(series, styles, strict=True):
        parts += _line(each, hue, dash, across, up)
    parts += [stroke("mark", across(m.at), top, across(m.at), bottom) for m in marks]
    parts += [
        text_at(at, head + 11 + _NOTE_ROW * row, text, "note", anchor)
        for at, text, anchor, row in notes
    ]
    return bottom, parts


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


def _grid(
    across: Scale, up: Scale, top: float, bottom: float, x: Axis, y: Axis, width: int
) -> list[str]:
    parts = vertical_grid(across, top, bottom, x, (_LEFT, width - RIGHT))
    for value, text in up.ticks:
        at = up(value)
        parts.append(stroke("grid", _LEFT, at, width - RIGHT, at))
        parts.append(text_at(_LEFT - 7, at + 4, text, "tick", "end"))
    middle = (top + bottom) / 2
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(14 {middle:.0f})'
        f' rotate(-90)">{escape(y.title)}</text>'
    )
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
    bands: Sequence[Band], marks: Sequence[Mark], across: Scale, page: int
) -> list[tuple[float, str, str, int]]:
    """Lay the labels of bands and marks out above the plot, in rows where none meets another."""
    wanted = [(max(band.start, across.low), band.label) for band in bands if band.label]
    wanted += [(mark.at, mark.label) for mark in marks if mark.label]
    notes: list[tuple[float, str, str, int]] = []
    ends: list[float] = []
    for value, text in sorted(wanted):
        at, width = across(value), CHARACTER * len(text) + 10
        is_last = at + width > page
        start = at - width if is_last else at
        row = next((i for i, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + width]
        notes.append((at, text, "end" if is_last else "start", row))
    return notes


def _legend_rows(series: Sequence[Series], width: int) -> list[list[tuple[int, str]]]:
    rows: list[list[tuple[int, str]]] = [[]]
    used = 0.0
    for index, each in enumerate(series):
        needed = 44 + CHARACTER * len(each.name)
        if used + needed > width - _LEFT - RIGHT and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append((index, each.name))
        used += needed
    return rows


def _legend_height(series: Sequence[Series], width: int) -> int:
    return 20 * len(_legend_rows(series, width)) if len(series) > 1 else 0


def _legend(series: Sequence[Series], width: int) -> list[str]:
    if len(series) < 2:
        return []
    parts = []
    for row, entries in enumerate(_legend_rows(series, width)):
        at, down = float(_LEFT), TOP + 6 + 20 * row
        for index, name in entries:
            parts.append(_sample(series[index], index, at, down))
            parts.append(text_at(at + 30, down + 4, name, "label"))
            at += 44 + CHARACTER * len(name)
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
