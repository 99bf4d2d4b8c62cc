"""The plane of a chart: where its values lie in the figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from figures.svg import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """A horizontal axis from `begins` to `ends`, a vertical one from 0 to `highest`.

    Attributes:
        begins: The value at the left edge.
        ends: The value at the right edge.
        highest: The value at the upper edge.
        left: Units from the figure's left edge; right, top and bottom likewise.

    """

    begins: float = 0
    ends: float
    highest: float
    left: float = 78
    right: float = 580
    top: float = 56
    bottom: float = 300

    def across(self, value: float) -> float:
        """Return where a value of the horizontal axis is."""
        width = self.right - self.left
        return self.left + width * (value - self.begins) / (self.ends - self.begins)

    def up(self, value: float) -> float:
        """Return where a value of the vertical axis is."""
        return self.bottom - (self.bottom - self.top) * value / self.highest

    def draw(
        self, figure: Figure, levels: Iterable[int], ticks: Iterable[tuple[float, str]], name: str
    ) -> None:
        """Add lines at `levels`, the texts of `ticks` below their values, and the axis' name."""
        for level in levels:
            figure.line([(self.left, self.up(level)), (self.right, self.up(level))], "grid")
            figure.text(self.left - 8, self.up(level) + 5, f"{level:,}", "tick", "end")
        for value, text in ticks:
            figure.text(self.across(value), self.bottom + 21, text, "tick", "middle")
        figure.text((self.left + self.right) / 2, self.bottom + 48, name, "tick", "middle")

    def fill(self, figure: Figure, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add the area between `points` and the horizontal axis, and the line of that axis."""
        ends = (self.left, self.bottom), (self.right, self.bottom)
        figure.area([ends[0], *points, ends[1]], kind)
        figure.line(ends, "edge")

    def bars(self, values: Sequence[float], width: float) -> list[tuple[float, float]]:
        """Return the upper edge of bars of `width`, the first of which begins at `begins`."""
        points: list[tuple[float, float]] = []
        for number, value in enumerate(values):
            if number and values[number - 1] == value:
                points.pop()  # a level stretch has two points
            else:
                points.append((self.across(self.begins + number * width), self.up(value)))
            points.append((self.across(self.begins + (number + 1) * width), self.up(value)))
        return points
