"""Threads and files that workers keep."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from linqi_storm.apps.sampler import ServerSample

__all__ = ["kept_per_renewal"]

_LEAST_SAMPLES: Final = 9
_POOLS: Final = {True: 16, False: 64}
"""Threads and files that a worker may add after the first third of a run, as embedded application
or not: pools of a known size that fill up, and files of the store."""


def kept_per_renewal(
    samples: Sequence[ServerSample], name: str, *, renewals: int, workers: int, is_embedded: bool
) -> float | None:
    """Return how many more of a resource a worker has after each renewal.

    The growth is that from the end of the first third of the run to its end, as for memory: two
    thirds of the worker's renewals. None in very short runs, and without renewals.

    Args:
        samples: Of all workers.
        name: Of the resource in `ServerSample`: ``threads`` or ``files``.
        renewals: Distinct ones, of all workers.
        workers: Server processes.
        is_embedded: Whether an embedded application is tested.

    """
    by_worker: defaultdict[int, list[int]] = defaultdict(list)
    for sample in samples:
        by_worker[sample.pid].append(getattr(sample, name))
    lives = [seen for seen in by_worker.values() if len(seen) >= _LEAST_SAMPLES]
    if not lives or not renewals:
        return None
    grown = max(
        statistics.median(seen[-3:]) - statistics.median(seen[len(seen) // 3 :][:3])
        for seen in lives
    )
    return max(0.0, grown - _POOLS[is_embedded]) / (renewals * 2 / 3 / workers)
