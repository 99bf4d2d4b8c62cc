"""Wait for what must come, for as long as a busy machine may need."""

import asyncio
import time
from collections.abc import Callable

__all__ = ["until", "wait_until"]


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
