"""One shared task per key: whoever asks while it runs waits for the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["SingleFlight"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Runs at most one task per key on the running event loop.

    The task belongs to nobody who waits: a waiter that is cancelled leaves it running for the
    others. An exception reaches every waiter and is forgotten with the task.
    """

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def has(self, key: K) -> bool:
        """Tell whether a task of `key` is running."""
        return key in self._tasks

    def start(self, key: K, make: Callable[[], Awaitable[V]]) -> tuple[asyncio.Task[V], bool]:
        """Give the task of `key` and whether this call started it."""
        task = self._tasks.get(key)
        if task is not None:
            return task, False
        task = asyncio.ensure_future(_run(make))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._land(key, done))
        return task, True

    async def __call__(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """Wait for the answer of `key`, starting its task if there is none."""
        task, _ = self.start(key, make)
        return await asyncio.shield(task)

    def close(self) -> None:
        """Cancel what is running; whoever waits for it is cancelled too."""
        for task in self._tasks.values():
            task.cancel()

    def _land(self, key: K, task: asyncio.Task[V]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # read, so that a task whose waiters all left is not reported


async def _run(make: Callable[[], Awaitable[V]]) -> V:
    return await make()
