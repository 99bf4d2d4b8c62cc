"""Single flight: one shared task per key, whose result all callers wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["SingleFlight"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Runs at most one task per key on the running event loop.

    A waiter that is cancelled does not cancel the task: it runs on for the others. An exception
    reaches every waiter, and the next call starts a new task.
    """

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}
        self._waiters: dict[K, list[asyncio.Future[V]]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def has(self, key: K) -> bool:
        """Return whether a task of `key` is running."""
        return key in self._tasks

    def start(self, key: K, make: Callable[[], Awaitable[V]]) -> tuple[asyncio.Task[V], bool]:
        """Return the task of `key`, and whether this call started it."""
        task = self._tasks.get(key)
        if task is not None:
            return task, False
        task = asyncio.get_running_loop().create_task(_run(make))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._land(key, done))
        return task, True

    async def __call__(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """Return the result of the task of `key`, starting it if there is none."""
        task, _ = self.start(key, make)
        # A future of this waiter's own, as of `asyncio.shield`, whose callbacks cost more.
        waiter: asyncio.Future[V] = task.get_loop().create_future()
        self._waiters.setdefault(key, []).append(waiter)
        return await waiter

    def close(self) -> None:
        """Cancel all tasks, and with them their waiters."""
        for task in self._tasks.values():
            task.cancel()

    def _land(self, key: K, task: asyncio.Task[V]) -> None:
        del self._tasks[key]
        waiters = self._waiters.pop(key, ())
        # Asked for in any case: asyncio reports an error that no waiter is left for.
        error = None if task.cancelled() else task.exception()
        for waiter in waiters:
            if waiter.done():  # its caller was cancelled
                continue
            if task.cancelled():
                waiter.cancel()
            elif error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(task.result())


async def _run(make: Callable[[], Awaitable[V]]) -> V:
    return await make()
