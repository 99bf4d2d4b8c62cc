"""When a client may try to renew again after failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["Backoff"]

_FIRST: Final = 1.0
_LONGEST: Final = 30.0
_LONGEST_RETRY_AFTER: Final = 300.0
"""A longer ``Retry-After`` is cut to this: the session would end meanwhile. All in seconds."""


class Backoff:
    """Exponential backoff with jitter, from 0.5 to 30 seconds.

    Args:
        monotonic: Returns a monotonic clock in seconds.
        chance: Returns a random number from 0 to 1, for the jitter.

    """

    def __init__(self, monotonic: Callable[[], float], chance: Callable[[], float]) -> None:
        self.retry_at = -float("inf")
        """The monotonic instant before which no attempt is made."""
        self._failures = 0
        self._monotonic = monotonic
        self._chance = chance

    def reset(self) -> None:
        """Allow the next attempt at once."""
        self._failures, self.retry_at = 0, -float("inf")

    def delay(self, retry_after: float) -> None:
        """Count a failure; wait twice as long as after the last one, but at least `retry_after`."""
        backoff = min(_FIRST * 2.0 ** min(self._failures, 10), _LONGEST)
        jittered = backoff * (0.5 + self._chance() / 2)
        self._failures += 1
        self.retry_at = self._monotonic() + max(jittered, min(retry_after, _LONGEST_RETRY_AFTER))
