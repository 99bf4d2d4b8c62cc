"""A time limit that holds where a driver ignores a cancellation."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

__all__ = ["TimeLimit"]

_AGAIN_SECONDS: Final = 0.1


class TimeLimit:
    """Cancels what runs in its context at an instant, and then every 0.1 s until it has ended.

    It raises `TimeoutError` then, as `asyncio.timeout` does, which cancels once. redis-py sends
    each command with `asyncio.wait_for`, and before Python 3.12 that loses a cancellation which
    comes in the same turn of the event loop as the end of what it waits for
    (https://github.com/python/cpython/issues/86296): a call would last for as long as all retries
    of the driver.

    Args:
        when: The instant, by the clock of the event loop.

    """

    def __init__(self, when: float) -> None:
        self._when = when
        self._cancelled = 0

    @classmethod
    def after(cls, seconds: float) -> TimeLimit:
        """Return a limit that ends so many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds)

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._cancelling = task.cancelling()
        self._timer = self._loop.call_at(self._when, self._cancel)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if not self._cancelled:
            return
        for _ in range(self._cancelled):
            left = self._task.uncancel()
        if left <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _cancel(self) -> None:
        self._cancelled += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_AGAIN_SECONDS, self._cancel)
