"""The comparison of this worker's clock with the store's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linqi.events import Dispatcher, Event, StoreClockDiffers
from linqi.sessions.store import SessionStore

__all__ = ["ClockCheck"]

_MOST_SECONDS: Final = 1.0
"""More than a round trip, by which the store's clock is uncertain; instants in tokens are whole
seconds."""


class ClockCheck:
    """Says in an event that the clocks differ; again only when the difference changes as much."""

    def __init__(
        self, store: SessionStore, events: Dispatcher[Event], *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._told = 0.0

    def __call__(self) -> None:
        """Compare the clocks now."""
        ahead = self._clock() - self._store.now()
        if abs(ahead - self._told) <= _MOST_SECONDS:
            return
        self._told = ahead if abs(ahead) > _MOST_SECONDS else 0.0
        self._events(StoreClockDiffers(ahead=ahead))
