"""The parts of a chart as SVG text, and the two widths in which every chart is drawn.

Scaled to a phone, text of 11 pixels has 5: a chart is therefore drawn twice, for wide and for
narrow pages, and the style of `linqi_report.page` shows one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from linqi_report.axes import Axis, Scale

__all__ = [
    "CHARACTER",
    "NARROW",
    "RIGHT",
    "TOP",
    "drawing",
    "in_both_widths",
    "stroke",
    "text_at",
    "vertical_grid",
]

_WIDE: Final = 760
NARROW: Final = 376
"""The width of a page of 400 pixels without its margins."""
TOP, RIGHT, _BOTTOM = 12, 28, 46
CHARACTER: Final = 6.3
"""Pixels of an average character at 11 px; only legends and labels are laid out by it."""


def in_both_widths(draw: Callable[[int], str]) -> str:
    """Return what `draw` returns for a wide and for a narrow page, as one element."""
    return f'<div class="drawn">{draw(_WIDE)}{draw(NARROW)}</div>'


def stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line of the class `kind`."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text_at(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    """Return `text`, escaped, of the class `kind`; `anchor` is its part that is at `x`."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}"{where} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def vertical_grid(
    across: Scale, top: float, bottom: float, axis: Axis, ends: tuple[float, float]
) -> list[str]:
    """Return the ticks of a horizontal axis with their lines, and its title below."""
    parts = []
    for value, text in across.ticks:
        at = across(value)
        parts.append(stroke("grid", at, top, at, bottom))
        parts.append(text_at(at, bottom + 16, text, "tick", "middle"))
    parts.append(stroke("edge", ends[0], bottom, ends[1], bottom))
    parts.append(text_at(sum(ends) / 2, bottom + 36, axis.title, "axis", "middle"))
    return parts


def drawing(title: str, description: str, width: int, bottom: float, parts: Sequence[str]) -> str:
    """Return the SVG of `parts`, whose plot ends at `bottom`, above the axis."""
    size = "narrow" if width == NARROW else "full"
    return (
        f'<svg class="chart {size}" role="img" viewBox="0 0 {width} {bottom + _BOTTOM:.0f}"'
        f' aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )
