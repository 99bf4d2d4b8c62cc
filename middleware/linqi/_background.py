"""A supervised background task: started again if it fails, and ended cleanly."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from linqi import events
from linqi.events.dispatcher import Dispatcher

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["BackgroundTask"]

_logger = logging.getLogger("linqi")
_FIRST_RETRY: Final = 0.1
_LONGEST_RETRY: Final = 30.0


class BackgroundTask:
    """Runs `work` on the event loop that calls `start` until it returns or `close` is called.

    If `work` raises, the traceback is logged, `BackgroundTaskFailed` is sent, and `work` is started
    again after a pause: 0.1 s, doubled up to 30 s, with jitter, and 0.1 s again after a run of
    30 s. The same happens if it is cancelled by anything but `close` or the end of the loop.

    Args:
        name: Its name in the log.
        work: The coroutine function of one run; the task ends when it returns.
        events: Receives `BackgroundTaskFailed`.
        sleep: Waits for a number of seconds; tests move time with it.

    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        events: Dispatcher[Event],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._work = work
        self._events = events
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_running(self) -> bool:
        """Whether the task is running on a loop that is not closed."""
        task, loop = self._task, self._loop
        return task is not None and not task.done() and loop is not None and not loop.is_closed()

    def start(self) -> None:
        """Start on the running event loop, unless it runs there already.

        A task on another loop is not touched.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop and self.is_running:
            return
        self._loop = loop
        self._task = loop.create_task(self._supervise(), name=f"linqi {self._name}")

    async def wait(self) -> None:
        """Wait until the work has returned or the task was closed."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Cancel the task and wait for its end; a task on another loop is not touched.

        If the caller is cancelled meanwhile, it gets its cancellation.
        """
        task, self._task = self._task, None
        if task is None or self._loop is not asyncio.get_running_loop():
            return
        task.cancel()
        await asyncio.wait([task])

    async def _supervise(self) -> None:
        retry = _FIRST_RETRY
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await self._work()
            except (Exception, asyncio.CancelledError) as error:
                if _is_being_cancelled():
                    raise
                if clock() - began >= _LONGEST_RETRY:
                    retry = _FIRST_RETRY
                wait = retry * (0.5 + random.random() / 2)  # noqa: S311 - spreads processes
                self._report(error, wait)
                await self._sleep(wait)
                retry = min(retry * 2, _LONGEST_RETRY)
            else:
                return

    def _report(self, error: BaseException, wait: float) -> None:
        _logger.error(
            "background task %s failed, starting it again in %.1f s",
            self._name,
            wait,
            exc_info=error,
        )
        kind = type(error).__name__
        self._events(events.BackgroundTaskFailed(name=self._name, detail=kind, retry_in=wait))


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
