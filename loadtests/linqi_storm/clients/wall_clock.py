"""The clock that the clients of a storm share with its barrier."""

from __future__ import annotations

import time

__all__ = ["WallClock"]


class WallClock:
    """Wall time that never steps back: read once, then carried on by the monotonic clock."""

    def __init__(self, zero: float) -> None:
        self._shift = time.time() - time.perf_counter() - zero

    def __call__(self) -> float:
        """Give the seconds since `zero`, in Unix seconds."""
        return time.perf_counter() + self._shift
