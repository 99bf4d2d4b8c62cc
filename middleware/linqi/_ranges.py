"""Ranges of numeric settings, stated once by the class that takes them.

A class states its ranges as ``RANGES``, by parameter. Its constructor checks them, and the schema
of ``linqi.toml`` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

__all__ = ["DAY", "Range", "Ranges", "range_faults"]

DAY: Final = 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `least` to `most`, both included.

    Attributes:
        least: The smallest number allowed, or the bound that a number must exceed if `is_above`.
        most: The largest number allowed; it may be infinite.
        unit: For messages, such as ``seconds``; empty for a share or a count.
        is_whole: Whether only integers are allowed.
        is_above: Whether `least` itself is outside the range.

    """

    least: float
    most: float
    unit: str = ""
    is_whole: bool = False
    is_above: bool = False

    def __contains__(self, value: object) -> bool:
        """Return whether `value` is a number in the range; a bool and NaN never are."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return False
        number: Any = value
        return bool(
            (self.least < number if self.is_above else self.least <= number) and number <= self.most
        )

    @property
    def span(self) -> str:
        """Return the two ends in words, without the unit: ``above 0 to 3600``."""
        above = "above " if self.is_above else ""
        return f"{above}{_digits(self.least)} to {_digits(self.most)}"

    def __str__(self) -> str:
        """Return the range in words: ``above 0 to 3600 seconds``."""
        return f"{self.span} {self.unit}".rstrip()


Ranges: TypeAlias = Mapping[str, Range]
"""Ranges by the name of the parameter."""


def range_faults(ranges: Ranges, values: Mapping[str, object] | object) -> list[str]:
    """Return one fault for each value outside its range.

    Args:
        ranges: The ranges to check.
        values: The values by name, or an object that has them as attributes.

    """
    named = values if isinstance(values, Mapping) else {n: getattr(values, n) for n in ranges}
    return [
        f"{name} is {value!r}, expected {ranges[name]}"
        for name, value in named.items()
        if value not in ranges[name]
    ]


def _digits(number: float) -> str:
    return str(int(number)) if number % 1 == 0 else f"{number:g}"
