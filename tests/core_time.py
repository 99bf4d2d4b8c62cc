"""A clock for limits of time that a busy machine must not break."""

import time
from collections.abc import Awaitable

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
