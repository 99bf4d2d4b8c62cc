"""Limits of time, measured so that a busy machine does not break them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import pytest

from linqi.errors import Unavailable
from linqi_storm.apps.resource_use import CoreWait


def core_time() -> float:
    """Return monotonic seconds, less those in which this thread was ready and waited for a core.

    By it a call takes as long as it ran, slept or waited for others, however busy the machine is.
    Where the kernel does not count the waits, it is `time.monotonic`.
    """
    wait = CoreWait()
    try:
        return time.monotonic() - wait.seconds()
    finally:
        wait.close()


async def seconds_of(call: Awaitable[object]) -> float:
    """Return how long a call takes to fail for want of its store, by `core_time`."""
    began = core_time()
    with pytest.raises(Unavailable):
        await call
    return core_time() - began


async def shortest(measure: Callable[[], Awaitable[float]], limit: float) -> float:
    """Return the shortest of five times, or the first below `limit`.

    If the whole machine stood still meanwhile, `core_time` counts that, and says nothing of a call.
    """
    took = float("inf")
    for _ in range(5):
        took = min(took, await measure())
        if took < limit:
            break
    return took


async def longest_of(calls: Iterable[Awaitable[object]]) -> float:
    """Return how long the longest of `calls` takes, which begin together and find no store."""
    return max(await asyncio.gather(*map(seconds_of, calls)))
