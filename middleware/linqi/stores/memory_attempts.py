"""Counters of sign-in attempts in this process only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from linqi.sessions.attempts import Counter, Full, full_counter

__all__ = ["MemoryAttempts"]

_MOST_COUNTERS: Final = 200_000
"""At most about 60 MB."""
_SWEPT_AT_ONCE: Final = 4


class MemoryAttempts:
    """An `AttemptStore` in a dict; atomic, as no check is separated from its write by an await."""

    def __init__(self, *, most_counters: int = _MOST_COUNTERS) -> None:
        self._most_counters = most_counters
        self._counters: OrderedDict[str, tuple[float, dict[str, float]]] = OrderedDict()

    async def reserve(
        self, attempt: str, counters: Sequence[Counter], now: float
    ) -> Sequence[Full]:
        """Count the attempt in all `counters` or in none; see `AttemptStore`."""
        full = [found for counter in counters if (found := self._full(counter, attempt, now))]
        if full:
            return full
        for counter in counters:
            _, entries = self._counters.pop(counter.key, (0.0, {}))
            entries[attempt] = now
            self._counters[counter.key] = now + counter.limit.seconds, entries
        self._sweep(now)
        return ()

    async def release(self, attempt: str, counters: Sequence[Counter]) -> None:
        """Remove the entries of `attempt`; see `AttemptStore`."""
        for counter in counters:
            _, entries = self._counters.get(counter.key, (0.0, {}))
            entries.pop(attempt, None)

    async def close(self) -> None:
        """Do nothing: counters stay until the process ends."""

    def _full(self, counter: Counter, attempt: str, now: float) -> Full | None:
        _, entries = self._counters.get(counter.key, (0.0, {}))
        for name in [n for n, at in entries.items() if abs(now - at) >= counter.limit.seconds]:
            del entries[name]
        return full_counter(counter, (at for n, at in entries.items() if n != attempt), now)

    def _sweep(self, now: float) -> None:
        """Delete a few of the counters used longest ago, if they are over or too many."""
        for _ in range(_SWEPT_AT_ONCE):
            oldest = next(iter(self._counters))
            until, entries = self._counters[oldest]
            if entries and until > now and len(self._counters) <= self._most_counters:
                return
            if len(self._counters) == 1:
                return
            del self._counters[oldest]
