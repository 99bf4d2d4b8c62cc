"""Which unknown key id is fetched next, where each has a URL of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

__all__ = ["KidQueue"]

_MOST_WAITING: Final = 1024
"""Of more the one that was not named for longest is forgotten: a key id that five requests a second
name outlasts a flood of 5,000 a second."""
_WAITING_SECONDS: Final = 5.0
"""How long a key id counts as waiting after it was named: one that requests no longer name must
not keep others from their turn."""


class KidQueue:
    """Admits a bounded number of unknown key ids in each period.

    Any client can invent key ids, and each costs a fetch. Made-up ones differ from request to
    request, while a key that a load balancer has just begun to use is named by all of its requests:
    where several wait, the one that was named most often is admitted first. A flood of made-up
    ones delays it by one period, unless it names some of them more often than clients do the key.

    Args:
        most: The number of key ids in a period.
        period: Its length in seconds.
        monotonic: Returns a monotonic clock in seconds.

    """

    def __init__(self, most: int, period: float, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._admitted: TTLCache[str, bool] = TTLCache(most, period, monotonic)
        self._waiting: dict[str, tuple[int, float]] = {}
        """How often each was named, and when it was the last time; the oldest first."""

    def admits(self, kid: str) -> bool:
        """Return whether `kid` may be fetched now; if so, it counts."""
        now = self._monotonic()
        while self._waiting and now - next(iter(self._waiting.values()))[1] >= _WAITING_SECONDS:
            del self._waiting[next(iter(self._waiting))]
        named = self._waiting.pop(kid, (0, now))[0] + 1
        self._admitted.expire()
        if len(self._admitted) < self._most and named >= self._most_named():
            self._admitted[kid] = True
            return True
        if len(self._waiting) >= _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[kid] = named, now
        return False

    def _most_named(self) -> int:
        return max(self._waiting.values(), default=(0, 0.0))[0]
