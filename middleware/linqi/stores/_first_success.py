"""The first of several attempts that succeeds, each begun without waiting long for the others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["first_success"]

_T = TypeVar("_T")


async def first_success(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, _T]]],
    *,
    head_start: float,
    discard: Callable[[_T], object],
) -> _T:
    """Return the first result, and end the other attempts (RFC 8305, section 5).

    Args:
        attempts: Called in this order; the next one when those before have failed, or are under way
            for `head_start`.
        head_start: Seconds.
        discard: Receives the result of an attempt that succeeded beside the first.

    Raises:
        ExceptionGroup: Every attempt failed; the errors are in the order of the attempts.

    """
    tasks: list[asyncio.Task[_T]] = []
    chosen: asyncio.Task[_T] | None = None

    def settle(task: asyncio.Task[_T]) -> None:
        if not task.cancelled() and task.exception() is None and task is not chosen:
            discard(task.result())

    try:
        for place, attempt in enumerate(attempts):
            tasks.append(asyncio.create_task(attempt()))
            is_last = place == len(attempts) - 1
            chosen = await _first_of(tasks, None if is_last else head_start)
            if chosen is not None:
                return chosen.result()
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(settle)
    raise ExceptionGroup("every attempt failed", [_error_of(task) for task in tasks])


async def _first_of(
    tasks: Sequence[asyncio.Task[_T]], seconds: float | None
) -> asyncio.Task[_T] | None:
    """Return a task that succeeded; None when all have failed, or after `seconds`."""
    loop = asyncio.get_running_loop()
    end = math.inf if seconds is None else loop.time() + seconds
    while True:
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None:
                return task
        pending = [task for task in tasks if not task.done()]
        left = end - loop.time()
        if not pending or left <= 0:
            return None
        await asyncio.wait(
            pending,
            timeout=None if seconds is None else left,
            return_when=asyncio.FIRST_COMPLETED,
        )


def _error_of(task: asyncio.Task[Any]) -> Exception:
    error = None if task.cancelled() else task.exception()
    return error if isinstance(error, Exception) else TimeoutError()
