"""Timing in turn, so that the drift of a shared machine cancels out of a comparison."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["TimedBlocks", "batch_size", "differences", "ratios", "summarize", "time_in_turn"]

_LEAST_ROUNDS: Final = 20
_BLOCK_MICROSECONDS: Final = 200.0
"""How long one timed block should take: the two clock readings then weigh 0.1 %."""
_LARGEST_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBlocks:
    """The summary of one quantity that was timed block by block."""

    median: float
    low: float
    """Lower end of the 95 % interval of the median, by order statistics."""
    high: float
    """Upper end of it."""
    spread: float
    """Interquartile range over median."""
    rounds: int
    floor: float
    """The tenth percentile: other processes only ever add to a time."""

    @classmethod
    def single(cls, value: float) -> TimedBlocks:
        """Return the value of something counted or measured once."""
        return cls(median=value, low=value, high=value, spread=0.0, rounds=1, floor=value)

    def widened(self, share: float) -> TimedBlocks:
        """Return the same with an interval widened by `share` of the median to either side."""
        by = abs(self.median) * share
        return replace(self, low=self.low - by, high=self.high + by)

    def scaled(self, factor: float) -> TimedBlocks:
        """Return the same in another unit."""
        return replace(
            self,
            median=self.median * factor,
            low=self.low * factor,
            high=self.high * factor,
            floor=self.floor * factor,
        )


def summarize(values: Sequence[float]) -> TimedBlocks:
    """Return the median, its interval and the spread of at least one value."""
    ordered = sorted(values)
    count = len(ordered)
    reach = 0.98 * math.sqrt(count)
    median = statistics.median(ordered)
    quartiles = statistics.quantiles(ordered, n=4) if count > 1 else [median] * 3
    return TimedBlocks(
        median=median,
        low=ordered[max(0, math.floor((count - 1) / 2 - reach))],
        high=ordered[min(count - 1, math.ceil((count - 1) / 2 + reach))],
        spread=(quartiles[2] - quartiles[0]) / abs(median) if median else 0.0,
        rounds=count,
        floor=ordered[count // 10],
    )


def time_in_turn(
    blocks: Sequence[Callable[[], object]],
    calls: int,
    seconds: float,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[list[float]]:
    """Time `blocks` one after the other, over and over, for about `seconds`.

    Every other round runs backwards, so that no block always follows the same one.

    Args:
        blocks: Each makes `calls` calls.
        calls: The number of calls in a block, at least 1.
        seconds: The time in all; at least 20 rounds are made.
        clock: Returns nanoseconds.

    Returns:
        A list for each block: microseconds per call, one value a round. Values of the same index
        were taken within a moment of each other.

    """
    times: list[list[float]] = [[] for _ in blocks]
    turns = [*zip(blocks, times, strict=True)]
    scale = 1 / (1000 * calls)
    for block in blocks:
        block()
    with _quiet_collector():
        end = clock() + int(seconds * 1e9)
        rounds = 0
        while rounds < _LEAST_ROUNDS or clock() < end:
            for block, taken in turns if rounds % 2 else reversed(turns):
                start = clock()
                block()
                taken.append((clock() - start) * scale)
            rounds += 1
    return times


def differences(minuends: Sequence[float], subtrahends: Sequence[float]) -> TimedBlocks:
    """Return what one block takes longer than the other, round by round.

    The floor is the difference of the floors, because the lowest difference is of a round in which
    only the subtrahend was disturbed.
    """
    found = summarize([a - b for a, b in zip(minuends, subtrahends, strict=True)])
    return replace(found, floor=summarize(minuends).floor - summarize(subtrahends).floor)


def ratios(dividends: Sequence[float], divisors: Sequence[float]) -> TimedBlocks:
    """Return how many times as long one takes as the other, pair by pair.

    The floor is the ratio of the floors, since the lowest ratio is of a pair in which only the
    divisor was disturbed.
    """
    found = summarize([a / b for a, b in zip(dividends, divisors, strict=True)])
    return replace(found, floor=summarize(dividends).floor / summarize(divisors).floor)


def batch_size(
    call: Callable[[], object], *, clock: Callable[[], int] = time.perf_counter_ns
) -> int:
    """Return how many times to make `call` in one block: 1 to 64."""
    took = min(time_in_turn([call], 1, 0.002, clock=clock)[0])
    return max(1, min(_LARGEST_BATCH, round(_BLOCK_MICROSECONDS / took)))


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Leave the garbage collector on, but without the test runner's objects to walk."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
