"""Wait for what must come, for as long as a busy machine may need."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from linqi.errors import Unavailable

__all__ = ["answered", "others_wait", "until", "wait_until"]

_T = TypeVar("_T")


async def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `holds()` is true; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def wait_until(
    holds: Callable[[], object], seconds: float = 60, what: Callable[[], object] = str
) -> None:
    """Wait for another thread or process until `holds()` is true; fail with `what()`."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, what()
        time.sleep(0.05)


async def answered(call: Callable[[], Awaitable[_T]]) -> _T:
    """Call a store until it answers: the limit of its calls is short for a busy machine."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except Unavailable:
                await asyncio.sleep(0.01)


async def others_wait() -> None:
    """Let tasks that have just received what they waited for go on to their next wait.

    A clock that is moved before wakes no sleep that begins after.
    """
    for _ in range(10):
        await asyncio.sleep(0)
