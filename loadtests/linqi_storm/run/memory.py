"""The growth of the workers' memory."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from linqi_storm.apps.sampler import ServerSample

__all__ = ["kept_per_request", "memory_growth"]

_SOAK_SECONDS: Final = 300
_LEAST_SAMPLES: Final = 9
_WARM_UP_BYTES: Final = {True: 4e6, False: 16e6}
"""What a worker takes while it warms up, as embedded application or not: allocator, threads,
connections, and the caches of an application of the user."""
_BYTES_PER_RENEWAL: Final = 4_096
"""What a renewal leaves in caches of bounded size: two verified tokens, a memo and its token."""


def memory_growth(samples: Sequence[ServerSample]) -> float | None:
    """Return the largest growth of a worker's memory in the second half of its life, as a share.

    That is the median of its last fifth over that of its middle fifth, minus 1. None if no worker
    lived for five minutes, because caches fill up at first.
    """
    growths = [
        statistics.median(seen[-len(seen) // 5 :])
        / statistics.median(seen[2 * len(seen) // 5 : 3 * len(seen) // 5])
        - 1
        for seen in _by_worker(samples)
        if len(seen) >= _SOAK_SECONDS
    ]
    return max(growths, default=None)


def kept_per_request(
    samples: Sequence[ServerSample],
    *,
    requests: int,
    renewals: int,
    workers: int,
    is_embedded: bool,
) -> float | None:
    """Return how many bytes a worker's memory grew per request, beyond its caches.

    The growth is that from the end of the first third of the run, when the worker is warm, to its
    end: two thirds of its requests. 0 if caches of bounded size explain it.

    Args:
        samples: Of all workers.
        requests: Of all clients.
        renewals: Distinct ones.
        workers: Server processes.
        is_embedded: Whether an embedded application is tested.

    """
    lives = [seen for seen in _by_worker(samples) if len(seen) >= _LEAST_SAMPLES]
    if not lives or not requests:
        return None
    grown = max(_median(seen[-3:]) - _median(seen[len(seen) // 3 :][:3]) for seen in lives) * 1e6
    share = 2 / 3 / max(1, workers)
    explained = _WARM_UP_BYTES[is_embedded] + _BYTES_PER_RENEWAL * renewals
    return max(0.0, grown - explained) / (requests * share)


_median = statistics.median


def _by_worker(samples: Sequence[ServerSample]) -> list[list[float]]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for sample in samples:
        found[sample.pid].append(sample.memory_mb)
    return [*found.values()]
