"""The result of one storm, assembled from the counts of clients and servers."""

from __future__ import annotations

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
from linqi_storm.run.evenness import chance_of
from linqi_storm.run.facts import InvariantRules, RunFacts
from linqi_storm.run.generator_health import generator_of
from linqi_storm.run.invariants import check_invariants
from linqi_storm.run.kept_resources import kept_per_renewal
from linqi_storm.run.memory import kept_per_request, memory_growth
from linqi_storm.run.paired_latency import renewal_delay
from linqi_storm.run.peaks import peak_of, sliding_rates
from linqi_storm.run.timeline import latencies_by_window, timeline_of
from linqi_storm.run.worker_stalls import (
    blocked_percent,
    overdue_notes,
    overdue_of,
    stalled_seconds,
)
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import (
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

__all__ = [
    "assemble",
    "facts_of",
    "rates_of",
    "request_load",
]

_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "msgspec", "cachetools", "uvicorn", "uvloop", "httptools"),
    *("locust", "gevent", "hdrhistogram", "starlette", "redis", "asyncpg"),
)
_MOST_SESSIONS: Final = 2_000


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
        peak_of(label, renewals, begins, ends, sessions=load.active, period=load.period)
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
        families_killed=max(0, sum(one.families_killed for one in samples) - tally.thefts),
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


def facts_of(
    totals: LoadTotals,
    samples: Sequence[ServerSample],
    issuer_requests: int | None,
    scenario: Scenario,
    target: Target,
    begins_at: float,
) -> RunFacts:
    """Return the counts that the invariants are checked against."""
    outcomes = Counter[str]()
    for second in totals.seconds:
        outcomes.update(totals.counts(second).outcomes)
    tally = totals.tally
    wrong, unknown, _ = overdue_of(tally, samples, begins_at, scenario.revocation_bound)

    def total(name: str) -> int | None:
        return sum(getattr(sample, name) for sample in samples) if samples else None

    def kept(name: str) -> float | None:
        return kept_per_renewal(
            samples,
            name,
            renewals=tally.renewals,
            workers=max(1, target.workers),
            is_embedded=target.kind == "embedded",
        )

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
        violations=tally.violations + wrong,
        checked=tally.checked - unknown,
        probe_renewals=tally.probe_renewals,
        thefts=tally.thefts,
        quiet=tally.quiet,
        quiet_renewed=tally.quiet_renewed,
        store_calls_per_refresh=_store_calls(totals, samples, scenario, outcomes["refreshed"]),
        chance=chance_of(totals, scenario),
        renewal_delay=renewal_delay(totals),
        cached_above_limit=max((one.cached_above_limit for one in samples), default=None),
        kept_per_request=kept_per_request(
            samples,
            requests=sum(outcomes.values()),
            renewals=tally.renewals,
            workers=max(1, target.workers),
            is_embedded=target.kind == "embedded",
        ),
        threads_per_renewal=kept("threads"),
        files_per_renewal=kept("files"),
        blocked_percent=blocked_percent(samples),
        is_waiting_counted=any(sample.starved_ms for sample in samples),
        memory_growth=memory_growth(samples),
        issuer_requests=issuer_requests,
        stalled_seconds=max(totals.lag.get_max_value() / 1e6, stalled_seconds(samples)),
    )


def _store_calls(
    totals: LoadTotals, samples: Sequence[ServerSample], scenario: Scenario, refreshed: int
) -> float | None:
    """Return the store calls per refresh of a flood of refused ones; None without either."""
    calls = sum(sample.store_calls for sample in samples)
    refused = sum(sum(totals.counts(second).hostile.values()) for second in totals.seconds)
    return calls / (refreshed + refused) if calls and scenario.forgeries == "dead" else None


def not_kept(load: StormLoad) -> tuple[str, ...]:
    """Return the properties that compression distorts."""
    if load.compression == 1:
        return ()
    return (
        "noise: a window has fewer renewals than in the real system",
        "cache sizes: memory is not compressed",
        "latency and network delay: they are longer relative to a compressed lifetime",
        "whole-second exp: tokens have fractions, as rounding would bundle renewals",
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
    peaks = peaks_of(totals, load)
    generator = generator_of(totals, load.duration, every, peaks)
    overall, inside, outside = latencies_by_window(
        totals, every, load.duration, generator.late_seconds
    )
    rules = InvariantRules(
        workers=max(1, target.workers),
        may_be_unavailable=scenario.may_be_unavailable,
        may_be_limited=scenario.refreshes_per_second is not None,
        most_issuer_requests=scenario.most_issuer_requests(target.workers),
        is_sliding=scenario.mode == "sliding",
        is_agreed=scenario.mode != "sliding" or target.policy != "plain",
        is_even=target.policy == "grid" and scenario.mode != "outside",
        answers_every_due=target.kind == "embedded" and target.budget_per_second is None,
        is_comparison=target.mode == "naive",
    )
    return StormRun(
        setup=Setup(
            scenario=scenario.name,
            summary=scenario.summary,
            load=request_load(scenario),
            target=target,
            generators=storm.generators,
            began_at=begins_at,
            machine=describe_machine(),
            versions=versions_of(_LIBRARIES),
            command=storm.command,
            tags=storm.tags,
        ),
        timeline=timeline_of(totals, samples, begins_at, pids),
        windows=tuple(every),
        peaks=peaks,
        rates=rates_of(totals, load),
        sessions=sessions_of(totals, load, samples),
        latencies=overall,
        inside=inside,
        outside=outside,
        lags=lags_of(totals),
        traffic=traffic_of(totals),
        workers=tuple(f"worker {number}" for number, _ in enumerate(pids, 1)),
        checks=check_invariants(
            facts_of(totals, samples, issuer_requests, scenario, target, begins_at), rules
        ),
        generator=generator,
        notes=(
            *notes,
            *totals.tally.examples,
            *overdue_notes(totals.tally, samples, begins_at, scenario.revocation_bound),
        ),
    )


def request_load(scenario: Scenario) -> RequestLoad:
    """Return the load of `scenario` as it is configured."""
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
        stages=load.stages,
        options=scenario.settings,
    )
