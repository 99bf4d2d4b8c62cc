"""The renewals of the story of nine o'clock, before and after the tuned settings.

The data are those of two measured storms (``docs/examples/nine_oclock/README.md``): the renewals
a minute of real time, in each of 80 minutes.
"""

import json
from pathlib import Path

from figures.axes import Axes
from figures.svg import Figure

_AXES = Axes(ends=80, highest=70, left=60, bottom=270)
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
    clock = [(minute, f"{9 + minute // 60}:{minute % 60:02}") for minute in range(0, 80, 20)]
    _AXES.draw(figure, (0, 20, 40, 60), clock, "time of day")
    _AXES.fill(figure, _points(before), "plain")
    figure.line(_points(after), "level")
    figure.text(_AXES.left + 14, 112, "before: plain, buffer 300 s", "strong plain")
    figure.text(_AXES.left + 14, 136, "after: grid, buffer 1764 s", "strong level")
    return figure


def _points(rates: list[float]) -> list[tuple[float, float]]:
    # The last minute is left out: the storm ended in it.
    return [(_AXES.across(number + 0.5), _AXES.up(rate)) for number, rate in enumerate(rates[:-1])]
