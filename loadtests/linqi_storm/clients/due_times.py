"""Who does something next: many clients, driven by one heap of due times."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["DueTimes"]

T = TypeVar("T")


class DueTimes(Generic[T]):
    """A heap of due times, in seconds since the barrier.

    A member comes up again one gap after it *should* have come up, not after its answer: a slow
    server does not slow its clients down (open loop). `gap` gives the next pause of a member.
    """

    def __init__(self, gap: Callable[[T], float]) -> None:
        self._gap = gap
        self._heap: list[tuple[float, int, T]] = []
        self._entries = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, member: T, due: float) -> None:
        """Let `member` come up at `due`, and again after each of its gaps."""
        # The number decides between equal times, so that members need no order.
        heapq.heappush(self._heap, (due, self._entries, member))
        self._entries += 1

    @property
    def next_due(self) -> float:
        """When the next one comes up; infinity when nobody does."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self, now: float) -> Iterator[tuple[float, T]]:
        """Yield everybody whose time has come with the time, and plan their next ones."""
        while self._heap and self._heap[0][0] <= now:
            due, number, member = self._heap[0]
            heapq.heapreplace(self._heap, (due + self._gap(member), number, member))
            yield due, member
