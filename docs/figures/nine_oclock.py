"""The renewals of the story of nine o'clock, before and after the tuned settings.

The data are those of two measured storms (``docs/examples/nine_oclock/README.md``): the renewals
a minute of real time, in each of 80 minutes.
"""

import json
from pathlib import Path

from figures.svg import Figure

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 580, 56, 270
_HIGHEST = 70
_DATA = Path(__file__).with_name("nine_oclock.json")


def draw() -> Figure:
    """Return the figure."""
    rates: dict[str, list[float]] = json.loads(_DATA.read_text("utf-8"))
    before, after = rates["before"], rates["after"]
    figure = Figure(
        title="Renewals a minute, after 400 users signed in at nine",
        description=(
            f"Before, with a plain threshold and a buffer of 5 minutes, all renewals fall between"
            f" 9:55 and 10:00, at most {max(before):.0f} a minute. After, on the grid with a buffer"
            f" of 29 minutes, they are spread over the time, at most {max(after):.0f} a minute."
        ),
        height=336,
    )
    figure.text(20, 32, figure.title, "title")
    for value in (0, 20, 40, 60):
        figure.line([(_LEFT, _up(value)), (_RIGHT, _up(value))], "grid")
        figure.text(_LEFT - 8, _up(value) + 5, str(value), "tick", "end")
    for minute in range(0, 80, 20):
        clock = f"{9 + minute // 60}:{minute % 60:02}"
        figure.text(_across(minute), _BOTTOM + 21, clock, "tick", "middle")
    figure.area([(_LEFT, _BOTTOM), *_points(before), (_RIGHT, _BOTTOM)], "plain")
    figure.line([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], "edge")
    figure.line(_points(after), "level")
    figure.text(_LEFT + 14, 112, "before: plain, buffer 300 s", "strong plain")
    figure.text(_LEFT + 14, 136, "after: grid, buffer 1764 s", "strong level")
    figure.text((_LEFT + _RIGHT) / 2, _BOTTOM + 48, "time of day", "tick", "middle")
    return figure


def _across(minute: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * minute / 80


def _up(rate: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * rate / _HIGHEST


def _points(rates: list[float]) -> list[tuple[float, float]]:
    # The last minute is left out: the storm ended in it.
    return [(_across(number + 0.5), _up(rate)) for number, rate in enumerate(rates[:-1])]
