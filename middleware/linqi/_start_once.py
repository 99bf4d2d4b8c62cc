"""A start that runs once per event loop, for any number of callers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from linqi._single_flight import SingleFlight
from linqi.errors import LinqiError, Unavailable

__all__ = ["StartOnce"]

_FIRST_RETRY: Final = 0.5
_LONGEST_RETRY: Final = 30.0


class StartOnce:
    """Runs `begin` once per event loop; concurrent callers share one run.

    On another loop it runs again: connections and tasks belong to one loop. Two loops that run at
    the same time need an object each.

    Args:
        begin: Starts something, or raises.
        on_failure: Receives the message of a failed start, and the seconds until the next attempt.
        monotonic: Returns seconds of a monotonic clock.

    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[None]],
        *,
        on_failure: Callable[[str, float], object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin = begin
        self._on_failure = on_failure
        self._monotonic = monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_done = False
        self._flight: SingleFlight[str, None] = SingleFlight()
        self._retry = _FIRST_RETRY
        self._retry_at = -math.inf
        self._error = ""

    @property
    def is_done(self) -> bool:
        """Whether it is started on the running event loop."""
        return self._is_done and self._loop is asyncio.get_running_loop()

    async def start(self) -> None:
        """Start unless it is started; raises what `begin` raised."""
        self._move_here()
        if not self._is_done:
            await self._flight("start", self._run)

    async def ensure(self) -> None:
        """Start with a request, unless the last start failed within the pause.

        Raises:
            Unavailable: The start failed now or within the pause after a failure, which is 0.5 s
                and doubles up to 30 s.

        """
        self._move_here()
        if not self._flight.has("start") and (left := self._retry_at - self._monotonic()) > 0:
            raise Unavailable(self._error, retry_after=left)
        try:
            await self.start()
        except Exception as error:
            raise Unavailable(self._error, retry_after=self._retry) from error

    def reset(self) -> None:
        """Start again at the next call; to be called after what was started has been closed."""
        self._is_done = False

    def _move_here(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._is_done, self._flight = loop, False, SingleFlight()
            self._retry, self._retry_at = _FIRST_RETRY, -math.inf

    async def _run(self) -> None:
        try:
            await self._begin()
        except Exception as error:
            is_ours = isinstance(error, LinqiError)
            self._error = str(error) if is_ours else f"{type(error).__name__}: {error}"
            retry, self._retry = self._retry, min(self._retry * 2, _LONGEST_RETRY)
            self._retry_at = self._monotonic() + retry
            if self._on_failure is not None:
                self._on_failure(self._error, retry)
            raise
        self._is_done, self._retry, self._retry_at = True, _FIRST_RETRY, -math.inf
