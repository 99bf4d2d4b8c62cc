"""Requests added to Locust's own statistics, many at once."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import locust.stats
from locust.env import Environment
from locust.stats import StatsEntry

__all__ = ["LocustStatistics"]

_LOCUST_ITSELF: Final = "locust.runners"
_BATCHES_PER_SECOND: Final = 4


@dataclass(slots=True, eq=False)
class _Row:
    """The requests of one kind and path in a batch."""

    times: list[float] = field(default_factory=list)
    size: int = 0
    last: float = 0.0


class LocustStatistics:
    """Reports requests to Locust, as its ``request`` event does.

    The event costs 20 us a request, mostly in two calls of `StatsEntry.log`. The requests of a
    quarter of a second are therefore added up here and merged into Locust's entries, as its master
    merges those of its workers. Counts, sums, extremes, buckets and requests per second come to the
    same. With a listener other than Locust's own runner each request fires the event.

    Args:
        environment: Locust's, with its runner.
        clock: Returns Unix seconds.

    """

    def __init__(self, environment: Environment, clock: Callable[[], float] = time.time) -> None:
        self._environment = environment
        self._clock = clock
        self._rows: defaultdict[tuple[str, str], _Row] = defaultdict(_Row)
        self._batch = 0
        self._is_heard = False

    def __call__(
        self, method: str, name: str, milliseconds: float, size: int, fault: Exception | None
    ) -> None:
        """Report one request; it is counted in the second of this call."""
        now = self._clock()
        batch = int(now * _BATCHES_PER_SECOND)
        if batch != self._batch:
            self.flush()
            self._batch = batch
            self._is_heard = self._has_other_listeners()
        if self._is_heard:
            self._fire(method, name, milliseconds, size, fault)
            return
        row = self._rows[name, method]
        row.times.append(milliseconds)
        row.size += size
        row.last = now
        if fault is not None:
            self._environment.stats.log_error(method, name, fault)

    def flush(self) -> None:
        """Add the requests of the last batch to Locust's entries."""
        stats = self._environment.stats
        for (name, method), row in self._rows.items():
            times: Any = row.times  # Locust annotates them as integers
            entry = StatsEntry(stats, name, method)
            entry.num_requests = len(times)
            entry.total_response_time = sum(times)
            entry.min_response_time, entry.max_response_time = min(times), max(times)
            # Looked up here: Locust lets its users replace it.
            entry.response_times = Counter(map(locust.stats.bucket_response_time, times))
            entry.num_reqs_per_sec = {int(row.last): len(times)}
            entry.last_request_timestamp = row.last
            entry.total_content_length = row.size
            stats.entries[name, method].extend(entry)
            stats.total.extend(entry)
        self._rows.clear()

    def _has_other_listeners(self) -> bool:
        listeners = self._environment.events.request._handlers
        return any(listener.__module__ != _LOCUST_ITSELF for listener in listeners)

    def _fire(
        self, method: str, name: str, milliseconds: float, size: int, fault: Exception | None
    ) -> None:
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=method,
            name=name,
            response_time=milliseconds,
            response_length=size,
            exception=fault,
            context={},
        )
