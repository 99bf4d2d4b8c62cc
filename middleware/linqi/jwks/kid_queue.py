"""Which unknown key id is fetched next, where each has a URL of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

__all__ = ["KidQueue"]

_MOST_WAITING: Final = 256
_WAITING_SECONDS: Final = 5.0
"""How long a key id counts as waiting after it was named: one that no request names any more must
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
        self._admitted: TTLCache[str, bool] = TTLCache(most, period, monotonic)
        self._waiting: TTLCache[str, int] = TTLCache(_MOST_WAITING, _WAITING_SECONDS, monotonic)

    def admits(self, kid: str) -> bool:
        """Return whether `kid` may be fetched now; if so, it counts."""
        named = self._waiting.get(kid, 0) + 1
        self._admitted.expire()
        if len(self._admitted) >= self._most or named < max(self._waiting.values(), default=0):
            self._waiting[kid] = named
            return False
        self._waiting.pop(kid, None)
        self._admitted[kid] = True
        return True
