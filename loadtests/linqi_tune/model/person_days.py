"""Persons and days in a log, and how many pauses each pause that it holds stands for."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from typing import Final

__all__ = ["BLOCKS", "DAY", "PersonDays"]

DAY: Final = 86_400.0
"""Seconds of a day."""
BLOCKS: Final = 16
"""Parts of a log between which traffic may change."""
_MOST_WEIGHT: Final = 8.0


class PersonDays:
    """The person-days of a log, counted in two ways.

    A person-day is a day of 24 hours in which a person sent a request, averaged over all instants
    at which days may begin: each pause adds ``min(pause, day) / day``, and the first request 1.

    *Alone*, as if no person had been there before the log began. *Weighted*, as if persons had
    come before it as they do in it: a pause of g seconds lies within a log of L seconds only with
    the chance ``1 - g/L``, so it stands for ``L / (L - g)`` pauses (Horvitz and Thompson, JASA 47,
    1952). Those beyond the first are returns from before the log, and their requests are no first
    ones.

    Attributes:
        alone: The person-days, counted alone.
        weighted: By person, the weighted person-days of each part of the log.

    """

    def __init__(self, pages: Sequence[array[float]], seconds: float) -> None:
        self._seconds = seconds
        self.alone = 0.0
        self.weighted: list[dict[int, float]] = []
        firsts = [self._add(own) for own in pages]
        # Returns from before the log cannot be more than the persons who were seen in it.
        if sum(firsts) > 0:
            for own, first, days in zip(pages, firsts, self.weighted, strict=True):
                block = self.block(own[0])
                days[block] = days.get(block, 0.0) + first

    def _add(self, pages: array[float]) -> float:
        """Add a person, and return the weighted person-days of the first request."""
        weighted: dict[int, float] = {}
        first, alone = 1.0, 1.0
        for before, at in itertools.pairwise(pages):
            pause, block = at - before, self.block(at)
            weight = self.weight(pause)
            days = min(1.0, pause / DAY)
            alone += days
            weighted[block] = weighted.get(block, 0.0) + days * weight
            first -= weight - 1
        self.alone += alone
        self.weighted.append(weighted)
        return first

    def block(self, at: float) -> int:
        """Return the part of the log that holds the instant `at`."""
        return min(BLOCKS - 1, int(at / self._seconds * BLOCKS)) if self._seconds > 0 else 0

    def weight(self, pause: float) -> float:
        """Return how many pauses a pause of so many seconds stands for, at most 8."""
        left = self._seconds - pause
        return min(_MOST_WEIGHT, self._seconds / left) if left > 0 else _MOST_WEIGHT
