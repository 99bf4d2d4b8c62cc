"""The axes of a chart: labels, ticks, and the mapping of values to pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Axis", "Scale", "number", "percentile_axis"]

_LEAST_TICKS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: what it shows, in which unit, from where to where.

    `low` and `high` are taken from the data where they are None; a linear axis then starts at 0
    when nothing lies below. `ticks` are values with their texts, chosen here where None.
    """

    label: str
    unit: str = ""
    is_log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] | None = None

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


class Scale:
    """Maps values to pixels."""

    def __init__(self, axis: Axis, values: Iterable[float], start: float, end: float) -> None:
        known = [value for value in values if math.isfinite(value)]
        if axis.is_log:
            known = [value for value in known if value > 0]
        low = min(known, default=1.0) if axis.low is None else axis.low
        high = max(known, default=1.0) if axis.high is None else axis.high
        if not axis.is_log and axis.low is None and low > 0:
            low = 0.0
        if high <= low:
            high = low * 10 if axis.is_log else low + 1
        self.is_log = axis.is_log
        self.low, self.high, self._start, self._end = low, high, start, end
        self.ticks = (
            [(value, text) for value, text in axis.ticks if low <= value <= high]
            if axis.ticks is not None
            else [(value, number(value)) for value in _ticks(low, high, is_log=axis.is_log)]
        )

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`; a value below a logarithmic axis is drawn on its edge."""
        if self.is_log:
            value = max(value, self.low)
            # Differences, since the ratio of the largest to the smallest float is infinite.
            share = (math.log(value) - math.log(self.low)) / (
                math.log(self.high) - math.log(self.low)
            )
        else:
            share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)


def percentile_axis(highest: float = 99.99) -> Axis:
    """Return the x axis of a percentile spectrum, ``1 / (1 - p)``: each nine has the same width.

    `highest` is the last percentile that the data supports, below 100.
    """
    high = 100 / (100 - highest)
    shown = [p for p in (0, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999) if p <= highest]
    return Axis(
        label="percentile",
        is_log=True,
        low=1,
        high=high,
        ticks=[(100 / (100 - p), f"{p:g}") for p in shown],
    )


def number(value: float) -> str:
    """Return a short text: three significant digits, thousands separated."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M"
    if size >= 1000:
        return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}"


def _ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    """Return round values within the range: powers of ten, or steps of 1, 2 or 5."""
    if is_log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        powers = [10.0**power for power in range(first, last + 1)]
        if last - first < _LEAST_TICKS:
            powers = [power * factor for power in powers for factor in (1, 2, 5)]
        return [value for value in powers if low * 0.999 <= value <= high * 1.001]
    rough = (high - low) / (_LEAST_TICKS + 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
