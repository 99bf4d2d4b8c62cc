"""A limit on renewals per second in one process, the most urgent first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["RenewalBudget"]


@dataclass(slots=True)
class RenewalBudget:
    """A token bucket that reserves its last tokens for the most urgent renewals.

    ``rate`` is in renewals per second, at least 1.5 times the steady rate
    ``sessions / (lifetime - buffer)`` of this process: near the steady rate a budget loses
    sessions. ``burst`` is how many are allowed at once. A renewal that has just become due passes
    only while the bucket is at least half full. The nearer its token is to the hard margin, the
    less has to be left. Within the margin it always passes, and the level becomes negative.
    """

    RANGES: ClassVar[Ranges] = {
        "rate": Range(0, 1e9, "renewals per second", is_above=True),
        "burst": Range(1, 1e9, "renewals"),
    }

    rate: float
    burst: float = 10.0
    _level: float = 0.0
    _at: float = -math.inf

    def __post_init__(self) -> None:
        if faults := range_faults(self.RANGES, self):
            raise ConfigurationError(faults)

    def affords(self, now: float, left: float, buffer: float, hard_margin: float) -> bool:
        """Return whether `take` would succeed now; nothing is taken."""
        self._fill(now)
        if left <= hard_margin:
            return True
        patience = min(1.0, (left - hard_margin) / (buffer - hard_margin))
        return self._level >= max(1.0, self.burst * patience / 2)

    def take(self, now: float, left: float, buffer: float, hard_margin: float) -> bool:
        """Take a renewal for a token with `left` seconds to live; return False if it must wait."""
        if not self.affords(now, left, buffer, hard_margin):
            return False
        self._level = max(self._level - 1, -self.burst)
        return True

    def _fill(self, now: float) -> None:
        gone = max(0.0, now - self._at)  # a clock that steps back adds nothing
        self._level = min(
            self.burst, self._level + min(gone, self.burst / self.rate * 2) * self.rate
        )
        self._at = now
