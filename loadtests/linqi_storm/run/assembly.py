"""Puts what clients and servers told of one storm together into its result."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from linqi_report.machine import describe_machine, versions_of
from linqi_storm.apps.sampler import Sample
from linqi_storm.clients.ledger import Book, new_histogram, percentiles_of, sparse, spectrum_of
from linqi_storm.run.invariants import Facts, Rules, judge
from linqi_storm.run.peaks import peak_of, sliding_rates
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.order import Order
from linqi_storm.schema.results import (
    Generator,
    Histogram,
    Lags,
    Latencies,
    Load,
    Peak,
    Rates,
    Second,
    SessionCounts,
    Setup,
    StormRun,
    Target,
    Traffic,
    Window,
)
from linqi_storm.schema.shape import Shape
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = [
    "assemble",
    "facts_of",
    "generator_of",
    "latencies_by_window",
    "memory_growth",
    "rates_of",
    "timeline_of",
]

_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "msgspec", "cachetools", "uvicorn", "uvloop", "httptools"),
    *("locust", "gevent", "hdrhistogram", "starlette", "redis", "asyncpg"),
)
_MOST_SESSIONS: Final = 2_000
_SOAK_SECONDS: Final = 300
_WARM_UP: Final = 3
"""Seconds of cold caches and new connections that count to no window."""


def timeline_of(
    book: Book, samples: Sequence[Sample], begins_at: float, pids: Sequence[int]
) -> tuple[Second, ...]:
    """Give every second, seen from both sides."""
    by_second: defaultdict[int, dict[int, Sample]] = defaultdict(dict)
    for sample in samples:
        there = by_second[max(0, round(sample.at - begins_at) - 1)]
        earlier = there.get(sample.pid)  # where a sample was late, two share a second
        there[sample.pid] = sample if earlier is None else earlier.joined(sample)
    renewals = Counter[int]()
    for millisecond, count in book.tally.renewed_at.items():
        renewals[millisecond // 1000] += count
    return tuple(
        _second(book, second, renewals[second], by_second[second], pids)
        for second in book.seconds
        if second >= 0
    )


def _second(
    book: Book, second: int, renewals: int, seen: Mapping[int, Sample], pids: Sequence[int]
) -> Second:
    counts = book.counts(second)
    service, intended = book.latencies([second])
    told = [seen.get(pid) for pid in pids]
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
        cpu=tuple(0.0 if one is None else round(one.cpu, 4) for one in told),
        loop_lag_ms=tuple(0.0 if one is None else round(one.loop_lag_ms, 3) for one in told),
        memory_mb=tuple(0.0 if one is None else round(one.memory_mb, 2) for one in told),
        signatures=total("signatures"),
        renewals_served=total("renewals"),
        cache_hits=total("cache_hits"),
        cache_misses=total("cache_misses"),
        store_calls=total("store_calls"),
        budget_queue=total("budget_queue"),
    )


def latencies_by_window(
    book: Book, windows: Sequence[Window], duration: float
) -> tuple[Latencies, Latencies | None, Latencies | None]:
    """Give the latencies of everything, of what lies inside `windows`, and of the rest.

    A second belongs to a window if its middle does. The first seconds, when caches are cold and
    connections new, belong to neither, but to a window that begins with them: a rush.
    """
    seconds = [second for second in book.seconds if 0 <= second < math.ceil(duration)]
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
        _latencies(book, seconds),
        _latencies(book, inside) if inside else None,
        _latencies(book, outside) if inside and outside else None,
    )


def _is_inside(second: int, windows: Sequence[Window]) -> bool:
    return any(window.begins <= second + 0.5 < window.ends for window in windows)


def _latencies(book: Book, seconds: Iterable[int]) -> Latencies:
    service, intended = book.latencies(seconds)
    return Latencies(service=spectrum_of(service), intended=spectrum_of(intended))


def peaks_of(book: Book, shape: Shape) -> tuple[Peak, ...]:
    """Give the storm factor of the first cycle and of the whole run; empty without renewals."""
    renewals = book.tally.renewed_at
    if not renewals:
        return ()
    first = min(shape.lifetime, shape.duration)
    spans = [("first cycle", 0.0, first)]
    if shape.duration > first:
        spans.append(("whole run", 0.0, shape.duration))
    return tuple(
        peak_of(label, renewals, begins, ends, sessions=shape.sessions, period=shape.period)
        for label, begins, ends in spans
    )


def rates_of(book: Book, shape: Shape) -> Rates | None:
    """Give the renewal rate over the window of the peaks; None without renewals."""
    renewals = book.tally.renewed_at
    return sliding_rates(renewals, shape.duration, shape.period) if renewals else None


def sessions_of(book: Book, shape: Shape, samples: Sequence[Sample]) -> SessionCounts:
    """Give what became of the honest sessions."""
    tally = book.tally
    refused = new_histogram()
    for seconds in tally.refused_seconds:
        refused.record_value(max(1, int(seconds * 1000)))
    return SessionCounts(
        total=shape.sessions,
        logins=tally.logins,
        renewals=tally.renewals,
        cycles=tally.cycles,
        lapsed=tally.lapsed,
        forced_out=tally.forced_out,
        by_lost_reply=tally.by_lost_reply,
        duplicate_successors=tally.duplicate_successors,
        quiet=tally.quiet,
        quiet_unsent=tally.quiet_unsent,
        families_killed=sum(sample.families_killed for sample in samples),
        refused_seconds=sparse(refused, 0.001),
    )


def lags_of(book: Book) -> Lags:
    """Give the time from due to the first request after it."""
    lags = new_histogram()
    by_session: defaultdict[int, list[float]] = defaultdict(list)
    for index, lag in book.tally.lags:
        lags.record_value(max(1, int(lag * 1000)))
        by_session[index].append(round(lag, 4))
    kept = sorted(by_session)[:_MOST_SESSIONS]
    return Lags(
        lags=sparse(lags, 0.001),
        by_session=tuple(tuple(by_session[index]) for index in kept),
        expired_presented=book.tally.expired_presented,
        silent=book.tally.silent,
    )


def traffic_of(book: Book) -> Traffic:
    """Give what the clients did."""
    pages = sorted(book.parallel.items())
    return Traffic(
        gaps=sparse(book.gaps, 0.001),
        parallel=Histogram(
            values=tuple(float(size) for size, _ in pages),
            counts=tuple(count for _, count in pages),
        ),
        pages=sum(count for _, count in pages),
        requests=sum(sum(book.counts(second).outcomes.values()) for second in book.seconds),
    )


def generator_of(book: Book) -> Generator:
    """Tell whether the generators kept up with their plan."""
    at = book.lag.get_value_at_percentile
    cpu = sorted(book.counts(second).cpu for second in book.seconds if second >= 0)
    cpu_p95 = cpu[math.ceil(0.95 * len(cpu)) - 1] if cpu else 0.0
    lag_p99 = at(99) / 1000
    faults = []
    if lag_p99 > LAG_LIMIT_MS:
        faults.append(
            f"requests began {lag_p99:.1f} ms late (p99), expected at most {LAG_LIMIT_MS:g} ms"
        )
    if cpu_p95 > CPU_LIMIT:
        faults.append(
            f"the generator used {cpu_p95:.0%} of a core, expected at most {CPU_LIMIT:.0%}"
        )
    if not book.lag.get_total_count():
        faults.append("no request was sent")
    return Generator(
        lag_p50_ms=at(50) / 1000,
        lag_p99_ms=lag_p99,
        lag_max_ms=book.lag.get_max_value() / 1000,
        cpu_p95=round(cpu_p95, 4),
        is_valid=not faults,
        faults=tuple(faults),
    )


def facts_of(book: Book, samples: Sequence[Sample], issuer_requests: int | None) -> Facts:
    """Give what the invariants are judged by."""
    outcomes, hostile = Counter[str](), Counter[str]()
    for second in book.seconds:
        outcomes.update(book.counts(second).outcomes)
        hostile.update(book.counts(second).hostile)
    tally = book.tally

    def total(name: str) -> int | None:
        return sum(getattr(sample, name) for sample in samples) if samples else None

    return Facts(
        forced_out=tally.forced_out,
        failed=outcomes["failed"],
        unavailable=outcomes["unavailable"],
        unanswered=outcomes["timeout"] + outcomes["broken"],
        limited=outcomes["limited"],
        duplicate_successors=tally.duplicate_successors,
        renewals=tally.renewals,
        signatures=total("signatures"),
        signed_twice=total("signed_twice"),
        families_killed=total("families_killed"),
        accepted_expired=tally.accepted_expired,
        accepted_revoked=tally.accepted_revoked,
        accepted_forged=tally.accepted_forged,
        quiet=tally.quiet,
        quiet_renewed=tally.quiet_renewed,
        hostile=sum(hostile.values()),
        memory_growth=memory_growth(samples),
        issuer_requests=issuer_requests,
    )


def memory_growth(samples: Sequence[Sample]) -> float | None:
    """Give how much the memory of a worker grew after the first half of its life, at most.

    The median of its last fifth over that of the middle one; None where no worker lived for five
    minutes, because caches fill up in the beginning.
    """
    by_worker: defaultdict[int, list[float]] = defaultdict(list)
    for sample in samples:
        by_worker[sample.pid].append(sample.memory_mb)
    growths = [
        statistics.median(seen[-len(seen) // 5 :])
        / statistics.median(seen[2 * len(seen) // 5 : 3 * len(seen) // 5])
        - 1
        for seen in by_worker.values()
        if len(seen) >= _SOAK_SECONDS
    ]
    return max(growths, default=None)


def not_kept(shape: Shape) -> tuple[str, ...]:
    """Give what compression changes."""
    if shape.compression == 1:
        return ()
    return (
        "noise: fewer renewals fall into a window than in the real system",
        "cache sizes: entries do not shrink with time",
        "latency and network delay, which are longer beside a compressed lifetime",
        *(
            ()
            if shape.lifetime >= 60
            else ("whole-second exp: fractions are issued, as rounding would bundle renewals",)
        ),
    )


def assemble(
    order: Order,
    scenario: Scenario,
    target: Target,
    book: Book,
    *,
    begins_at: float,
    samples: Sequence[Sample] = (),
    windows: Sequence[Window] = (),
    notes: Sequence[str] = (),
    issuer_requests: int | None = None,
) -> StormRun:
    """Give the result of a storm; `windows` and `notes` are what came up during it."""
    shape = order.shape
    samples = [sample for sample in samples if sample.at >= begins_at]
    pids = list(dict.fromkeys(sample.pid for sample in samples))
    every = [*scenario.windows(), *windows]
    overall, inside, outside = latencies_by_window(book, every, shape.duration)
    rules = Rules(
        workers=max(1, target.workers),
        may_be_unavailable=scenario.may_be_unavailable,
        most_issuer_requests=scenario.most_issuer_requests(target.workers),
        is_sliding=scenario.mode == "sliding",
        is_agreed=scenario.mode != "sliding" or target.policy in ("", "grid"),
        is_rival=target.mode == "naive",
    )
    return StormRun(
        setup=Setup(
            scenario=scenario.name,
            summary=scenario.summary,
            load=_load(scenario),
            target=target,
            generators=order.generators,
            began_at=begins_at,
            machine=describe_machine(),
            versions=versions_of(_LIBRARIES),
            command=order.command,
        ),
        timeline=timeline_of(book, samples, begins_at, pids),
        windows=tuple(every),
        peaks=peaks_of(book, shape),
        rates=rates_of(book, shape),
        sessions=sessions_of(book, shape, samples),
        latencies=overall,
        inside=inside,
        outside=outside,
        lags=lags_of(book),
        traffic=traffic_of(book),
        workers=tuple(f"worker {number}" for number, _ in enumerate(pids, 1)),
        checks=judge(facts_of(book, samples, issuer_requests), rules),
        generator=generator_of(book),
        notes=(*notes, *book.tally.examples),
    )


def _load(scenario: Scenario) -> Load:
    shape = scenario.size
    return Load(
        sessions=shape.sessions,
        duration_seconds=shape.duration,
        lifetime_seconds=shape.lifetime,
        buffer_seconds=shape.buffer,
        compression=shape.compression,
        not_kept=not_kept(shape),
        seed=shape.seed,
        gaps=str(scenario.gaps),
        mean_gap_seconds=scenario.gaps.mean,
        mean_parallel=scenario.pages.mean,
        login_spread_seconds=shape.login_spread,
        hostile_per_second=scenario.hostile_per_second,
        options=scenario.settings,
    )
