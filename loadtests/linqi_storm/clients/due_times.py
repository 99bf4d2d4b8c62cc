"""The due times of many members in one heap."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["DueTimes"]

T = TypeVar("T")


class DueTimes(Generic[T]):
    """A heap of due times, in seconds since the barrier.

    A member is due again one gap after its due time, whenever it was handled: a slow server does
    not slow its clients down (open loop).

    Args:
        gap: Returns the next pause of a member, in seconds.

    """

    def __init__(self, gap: Callable[[T], float]) -> None:
        self._gap = gap
        self._heap: list[tuple[float, int, T]] = []
        self._entries = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, member: T, due: float) -> None:
        """Add `member`, due at `due` and again after each of its gaps."""
        # The number decides between equal times: members need not be comparable.
        heapq.heappush(self._heap, (due, self._entries, member))
        self._entries += 1

    @property
    def next_due(self) -> float:
        """The earliest due time; infinity without members."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self, now: float) -> Iterator[tuple[float, T]]:
        """Yield each due time up to `now` with its member, and plan the member's next one."""
        while self._heap and self._heap[0][0] <= now:
            due, number, member = self._heap[0]
            heapq.heapreplace(self._heap, (due + self._gap(member), number, member))
            yield due, member
