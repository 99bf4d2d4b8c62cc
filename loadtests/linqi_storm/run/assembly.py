"""The result of one storm, assembled from the counts of clients and servers."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from linqi_report.machine import describe_machine, versions_of
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.load_counts import (
    LoadTotals,
    new_histogram,
    sparse,
)
from linqi_storm.run.invariants import InvariantRules, RunFacts, check_invariants
from linqi_storm.run.peaks import peak_of, sliding_rates
from linqi_storm.run.timeline import latencies_by_window, timeline_of
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import (
    Generator,
    Histogram,
    Lags,
    Peak,
    Rates,
    RequestLoad,
    SessionCounts,
    Setup,
    StormRun,
    Target,
    Traffic,
    Window,
)
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = [
    "assemble",
    "facts_of",
    "generator_of",
    "memory_growth",
    "rates_of",
]

_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "msgspec", "cachetools", "uvicorn", "uvloop", "httptools"),
    *("locust", "gevent", "hdrhistogram", "starlette", "redis", "asyncpg"),
)
_MOST_SESSIONS: Final = 2_000
_SOAK_SECONDS: Final = 300


def peaks_of(totals: LoadTotals, load: StormLoad) -> tuple[Peak, ...]:
    """Return the storm factor of the first cycle and of the whole run; empty without renewals."""
    renewals = totals.tally.renewed_at
    if not renewals:
        return ()
    first = min(load.lifetime, load.duration)
    spans = [("first cycle", 0.0, first)]
    if load.duration > first:
        spans.append(("whole run", 0.0, load.duration))
    return tuple(
        peak_of(label, renewals, begins, ends, sessions=load.sessions, period=load.period)
        for label, begins, ends in spans
    )


def rates_of(totals: LoadTotals, load: StormLoad) -> Rates | None:
    """Return the renewal rate over the window of the peaks; None without renewals."""
    renewals = totals.tally.renewed_at
    return sliding_rates(renewals, load.duration, load.period) if renewals else None


def sessions_of(
    totals: LoadTotals, load: StormLoad, samples: Sequence[ServerSample]
) -> SessionCounts:
    """Return the counts over all honest sessions."""
    tally = totals.tally
    refused = new_histogram()
    for seconds in tally.refused_seconds:
        refused.record_value(max(1, int(seconds * 1000)))
    return SessionCounts(
        total=load.sessions,
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


def lags_of(totals: LoadTotals) -> Lags:
    """Return the times from due for renewal to the first request."""
    lags = new_histogram()
    by_session: defaultdict[int, list[float]] = defaultdict(list)
    for index, lag in totals.tally.lags:
        lags.record_value(max(1, int(lag * 1000)))
        by_session[index].append(round(lag, 4))
    kept = sorted(by_session)[:_MOST_SESSIONS]
    return Lags(
        lags=sparse(lags, 0.001),
        by_session=tuple(tuple(by_session[index]) for index in kept),
        expired_presented=totals.tally.expired_presented,
        silent=totals.tally.silent,
    )


def traffic_of(totals: LoadTotals) -> Traffic:
    """Return the load as it was measured."""
    pages = sorted(totals.parallel.items())
    return Traffic(
        gaps=sparse(totals.gaps, 0.001),
        parallel=Histogram(
            values=tuple(float(size) for size, _ in pages),
            counts=tuple(count for _, count in pages),
        ),
        pages=sum(count for _, count in pages),
        requests=sum(sum(totals.counts(second).outcomes.values()) for second in totals.seconds),
    )


def generator_of(totals: LoadTotals) -> Generator:
    """Return the health of the generators, with the reasons if the run is void."""
    at = totals.lag.get_value_at_percentile
    cpu = sorted(totals.counts(second).cpu for second in totals.seconds if second >= 0)
    cpu_p95 = cpu[math.ceil(0.95 * len(cpu)) - 1] if cpu else 0.0
    lag_p99 = at(99) / 1000
    faults = []
    if lag_p99 > LAG_LIMIT_MS:
        faults.append(
            f"the generator sent requests {lag_p99:.1f} ms late (p99),"
            f" expected at most {LAG_LIMIT_MS:g} ms"
        )
    if cpu_p95 > CPU_LIMIT:
        faults.append(
            f"the generator used {cpu_p95:.0%} of a core, expected at most {CPU_LIMIT:.0%}"
        )
    if not totals.lag.get_total_count():
        faults.append("no request was sent")
    return Generator(
        lag_p50_ms=at(50) / 1000,
        lag_p99_ms=lag_p99,
        lag_max_ms=totals.lag.get_max_value() / 1000,
        cpu_p95=round(cpu_p95, 4),
        is_valid=not faults,
        faults=tuple(faults),
    )


def facts_of(
    totals: LoadTotals, samples: Sequence[ServerSample], issuer_requests: int | None
) -> RunFacts:
    """Return the counts that the invariants are checked against."""
    outcomes, hostile = Counter[str](), Counter[str]()
    for second in totals.seconds:
        outcomes.update(totals.counts(second).outcomes)
        hostile.update(totals.counts(second).hostile)
    tally = totals.tally

    def total(name: str) -> int | None:
        return sum(getattr(sample, name) for sample in samples) if samples else None

    return RunFacts(
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


def memory_growth(samples: Sequence[ServerSample]) -> float | None:
    """Return the largest growth of a worker's memory in the second half of its life, as a share.

    That is the median of its last fifth over that of its middle fifth, minus 1. None if no worker
    lived for five minutes, because caches fill up at first.
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


def not_kept(load: StormLoad) -> tuple[str, ...]:
    """Return the properties that compression distorts."""
    if load.compression == 1:
        return ()
    return (
        "noise: a window has fewer renewals than in the real system",
        "cache sizes: memory is not compressed",
        "latency and network delay: they are longer relative to a compressed lifetime",
        *(
            ()
            if load.lifetime >= 60
            else ("whole-second exp: tokens have fractions, as rounding would bundle renewals",)
        ),
    )


def assemble(
    storm: StormConfig,
    scenario: Scenario,
    target: Target,
    totals: LoadTotals,
    *,
    begins_at: float,
    samples: Sequence[ServerSample] = (),
    windows: Sequence[Window] = (),
    notes: Sequence[str] = (),
    issuer_requests: int | None = None,
) -> StormRun:
    """Return the result of a storm.

    Args:
        storm: Its settings.
        scenario: Its scenario, with the load.
        target: The service under test.
        totals: The counts of all generators.
        begins_at: The barrier, in Unix seconds.
        samples: Measurements of the server workers.
        windows: Parts of the run that the scenario marked.
        notes: What the scenario reported.
        issuer_requests: Fetches from the outside issuer during the load; None without one.

    """
    load = storm.load
    samples = [sample for sample in samples if sample.at >= begins_at]
    pids = list(dict.fromkeys(sample.pid for sample in samples))
    every = [*scenario.windows(), *windows]
    overall, inside, outside = latencies_by_window(totals, every, load.duration)
    rules = InvariantRules(
        workers=max(1, target.workers),
        may_be_unavailable=scenario.may_be_unavailable,
        most_issuer_requests=scenario.most_issuer_requests(target.workers),
        is_sliding=scenario.mode == "sliding",
        is_agreed=scenario.mode != "sliding" or target.policy in ("", "grid"),
        is_comparison=target.mode == "naive",
    )
    return StormRun(
        setup=Setup(
            scenario=scenario.name,
            summary=scenario.summary,
            load=_load(scenario),
            target=target,
            generators=storm.generators,
            began_at=begins_at,
            machine=describe_machine(),
            versions=versions_of(_LIBRARIES),
            command=storm.command,
        ),
        timeline=timeline_of(totals, samples, begins_at, pids),
        windows=tuple(every),
        peaks=peaks_of(totals, load),
        rates=rates_of(totals, load),
        sessions=sessions_of(totals, load, samples),
        latencies=overall,
        inside=inside,
        outside=outside,
        lags=lags_of(totals),
        traffic=traffic_of(totals),
        workers=tuple(f"worker {number}" for number, _ in enumerate(pids, 1)),
        checks=check_invariants(facts_of(totals, samples, issuer_requests), rules),
        generator=generator_of(totals),
        notes=(*notes, *totals.tally.examples),
    )


def _load(scenario: Scenario) -> RequestLoad:
    load = scenario.load
    return RequestLoad(
        sessions=load.sessions,
        duration_seconds=load.duration,
        lifetime_seconds=load.lifetime,
        buffer_seconds=load.buffer,
        compression=load.compression,
        not_kept=not_kept(load),
        seed=load.seed,
        gaps=str(scenario.gaps),
        mean_gap_seconds=scenario.gaps.mean,
        mean_parallel=scenario.pages.mean,
        login_spread_seconds=load.login_spread,
        hostile_per_second=scenario.hostile_per_second,
        options=scenario.settings,
    )
