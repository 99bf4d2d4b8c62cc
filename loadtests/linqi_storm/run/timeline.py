"""The seconds of a run, and its latencies inside and outside of windows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.load_counts import LoadTotals, percentiles_of, spectrum_of
from linqi_storm.schema.results import Latencies, Second, Window

__all__ = ["latencies_by_window", "timeline_of"]

_WARM_UP: Final = 3
"""Seconds of cold caches and new connections that belong to no window."""


def timeline_of(
    totals: LoadTotals, samples: Sequence[ServerSample], begins_at: float, pids: Sequence[int]
) -> tuple[Second, ...]:
    """Return every second of the run, with the counts of clients and servers."""
    by_second: defaultdict[int, dict[int, ServerSample]] = defaultdict(dict)
    for sample in samples:
        workers = by_second[max(0, round(sample.at - begins_at) - 1)]
        earlier = workers.get(sample.pid)  # after a late sample, two are in one second
        workers[sample.pid] = sample if earlier is None else earlier.joined(sample)
    renewals = Counter[int]()
    for millisecond, count in totals.tally.renewed_at.items():
        renewals[millisecond // 1000] += count
    return tuple(
        _second(totals, second, renewals[second], by_second[second], pids)
        for second in totals.seconds
        if second >= 0
    )


def _second(
    totals: LoadTotals,
    second: int,
    renewals: int,
    seen: Mapping[int, ServerSample],
    pids: Sequence[int],
) -> Second:
    counts = totals.counts(second)
    service, intended = totals.latencies([second])
    by_worker = [seen.get(pid) for pid in pids]
    live = list(seen.values())

    def total(name: str) -> int | None:
        return sum(getattr(sample, name) for sample in live) if live else None

    return Second(
        second=second,
        requests=sum(counts.outcomes.values()),
        outcomes=dict(counts.outcomes),
        hostile=dict(counts.hostile),
        renewals=renewals,
        service=percentiles_of(service),
        intended=percentiles_of(intended),
        in_flight=counts.in_flight,
        generator_cpu=round(counts.cpu, 4),
        generator_lag_ms=totals.lags([second]).get_value_at_percentile(99) / 1000,
        cpu=tuple(0.0 if one is None else round(one.cpu, 4) for one in by_worker),
        loop_lag_ms=tuple(0.0 if one is None else round(one.loop_lag_ms, 3) for one in by_worker),
        memory_mb=tuple(0.0 if one is None else round(one.memory_mb, 2) for one in by_worker),
        signatures=total("signatures"),
        renewals_served=total("renewals"),
        cache_hits=total("cache_hits"),
        cache_misses=total("cache_misses"),
        store_calls=total("store_calls"),
        budget_queue=total("budget_queue"),
    )


def latencies_by_window(
    totals: LoadTotals,
    windows: Sequence[Window],
    duration: float,
    late: Collection[int] = (),
) -> tuple[Latencies, Latencies | None, Latencies | None]:
    """Return the latencies of the whole run, inside `windows`, and outside them, without `late`.

    A second belongs to a window if its middle does. The first seconds, with cold caches and new
    connections, count neither inside nor outside, unless a window begins with them.
    """
    seconds = [
        second
        for second in totals.seconds
        if 0 <= second < math.ceil(duration) and second not in late
    ]
    rushes = [window for window in windows if window.begins < _WARM_UP]
    inside = [
        second
        for second in seconds
        if _is_inside(second, windows if second >= _WARM_UP else rushes)
    ]
    outside = [
        second for second in seconds if second >= _WARM_UP and not _is_inside(second, windows)
    ]
    return (
        _latencies(totals, seconds),
        _latencies(totals, inside) if inside else None,
        _latencies(totals, outside) if inside and outside else None,
    )


def _is_inside(second: int, windows: Sequence[Window]) -> bool:
    return any(window.begins <= second + 0.5 < window.ends for window in windows)


def _latencies(totals: LoadTotals, seconds: Iterable[int]) -> Latencies:
    service, intended = totals.latencies(seconds)
    return Latencies(service=spectrum_of(service), intended=spectrum_of(intended))
