"""The clock of the clients of a storm."""

from __future__ import annotations

import time

__all__ = ["WallClock"]


class WallClock:
    """Wall time that never steps back: read once, then continued by the monotonic clock.

    Args:
        zero: The instant that the clock counts from, in Unix seconds.

    """

    def __init__(self, zero: float) -> None:
        self._shift = time.time() - time.perf_counter() - zero

    def __call__(self) -> float:
        """Return the seconds since `zero`."""
        return time.perf_counter() + self._shift
