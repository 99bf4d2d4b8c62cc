"""The background task that deletes what is over from a store."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from linqi._background import BackgroundTask
from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError, Unavailable
from linqi.events import Dispatcher, Event, PurgeFellBehind
from linqi.sessions.purge_pace import PurgePace
from linqi.sessions.store import SessionStore

__all__ = ["Purger"]

_logger = logging.getLogger("linqi")
_CHECK_SECONDS: Final = 30.0
_BEHIND_SECONDS: Final = 600.0


class Purger:
    """Deletes sessions and revocations that are over, in small pieces.

    Where there are always more for ten minutes, `PurgeFellBehind` says so, and again every ten
    minutes.

    Args:
        store: The store. Each worker has a purger; the store lets one of them delete at a time.
        purge_per_second: The most rows that this worker deletes in a second; 1 to 100,000.
        check: Called every 30 s, for what must agree with the store; it may raise `Unavailable`.
        events: Receives `PurgeFellBehind`.
        clock: Returns Unix seconds.
        sleep: Waits for the given seconds.
        monotonic: Returns seconds that never step back.

    Raises:
        ConfigurationError: A number is out of range.

    """

    RANGES: ClassVar[Ranges] = {"purge_per_second": Range(1, 100_000)}

    def __init__(
        self,
        store: SessionStore,
        purge_per_second: float,
        *,
        check: Callable[[], Awaitable[None]],
        events: Dispatcher[Event],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if faults := range_faults(self.RANGES, {"purge_per_second": purge_per_second}):
            raise ConfigurationError(faults)
        self._store = store
        self._check = check
        self._events = events
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._pace = PurgePace(per_second=purge_per_second)
        self._checked_in = _CHECK_SECONDS
        self._behind_since: float | None = None
        self._deleted = 0
        self._task = BackgroundTask("purge of sessions", self._purge, events=events, sleep=sleep)

    def start(self) -> None:
        """Start on the running event loop, unless it runs there already."""
        self._task.start()

    async def close(self) -> None:
        """Stop; a purge that is under way is finished or rolled back by the store."""
        await self._task.close()

    async def _purge(self) -> None:
        while True:
            await self._sleep(self._pace.pause)
            self._checked_in -= self._pace.pause
            try:
                await self._purge_once()
                if self._checked_in <= 0:
                    self._checked_in = _CHECK_SECONDS
                    await self._check()
            except Unavailable as error:
                self._pace, self._behind_since = self._pace.after_failure(), None
                _logger.warning("sessions that are over were not deleted: %s", error.detail)

    async def _purge_once(self) -> None:
        began = self._monotonic()
        # A revocation ends by the clocks of the workers, a session by the store's.
        now = min(self._clock(), self._store.now())
        deleted = await self._store.purge(now, self._pace.most)
        self._pace = self._pace.after(deleted, self._monotonic() - began)
        self._tell(deleted, began)

    def _tell(self, deleted: int, began: float) -> None:
        """Send an event if one purge has followed the other for too long."""
        if not self._pace.is_behind:
            self._behind_since = None
            return
        if self._behind_since is None:
            self._behind_since, self._deleted = began, 0
        self._deleted += deleted
        seconds = self._monotonic() - self._behind_since
        if seconds >= _BEHIND_SECONDS:
            self._behind_since = None
            self._events(PurgeFellBehind(deleted=self._deleted, seconds=seconds))
