"""Recommendations for the servers: signing, the cache of verified tokens and the workers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from linqi_tune.model.advice import Recommendation, toml_number
from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor, costs_of
from linqi_tune.model.quantities import (
    count_text,
    days_text,
    number_text,
    rate_text,
    share_text,
)
from linqi_tune.model.worker_queue import SigningStorm

__all__ = ["cache_recommendations", "signing_recommendations", "worker_recommendation"]

_HIT_RATIO = "cache hit ratio, within the 15 % error of the model"
_MIB = 2**20
_LEAST_WAIT_MS = 0.01
"""Shorter waits are not worth a number."""


def signing_recommendations(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Recommendation]:
    """Yield ``signing.off_loop``, of sliding sessions only, and advice on the algorithm."""
    if predictor.measurements.current.slides:
        yield _off_loop(predictor, plan)
    if predictor.is_session_count_known:
        yield _algorithm(predictor, plan, outcome)


def _off_loop(predictor: Predictor, plan: SettingsPlan) -> Recommendation:
    costs = predictor.measurements.costs
    _, sign = costs_of(costs, plan.algorithm)
    is_auto = plan.algorithm.startswith(("RS", "PS")) == plan.off_loop
    between = costs.sign_between.get(plan.algorithm)
    effect = (
        "in a thread it does not block other requests on the event loop."
        if plan.off_loop
        else "less than the hand-over to a thread would cost."
    )
    return Recommendation(
        table="signing",
        key="off_loop",
        value="auto" if is_auto else plan.off_loop,
        unit="",
        reason=f"A signature of {plan.algorithm} takes {number_text(sign * 1e6)} us: {effect}",
        inputs=(predictor.cost_source,),
        interval=between and Interval(value=sign * 1e6, low=between[0], high=between[1]),
        interval_of="us per signature",
        would_change="another algorithm or key size",
    )


def _algorithm(predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome) -> Recommendation:
    """Return the algorithm that costs least at this load; the keys decide, not the file."""
    costs = predictor.measurements.costs
    misses = (1 - outcome.hit_ratio) * predictor.peak_rps
    signed = outcome.renewals_per_second * outcome.signatures_per_renewal

    def load(algorithm: str) -> float:
        verify, sign = costs_of(costs, algorithm)
        return misses * verify + signed * sign

    names = [name for name in ("RS256", "ES256", "EdDSA") if name in costs.sign or name == "EdDSA"]
    choices = {name: load(name) for name in names}
    cheapest = min(choices, key=lambda name: choices[name])
    own = load(plan.algorithm)
    is_dear = own > 1.5 * choices[cheapest] and own > 0.02
    compared = (
        "and no other takes less"
        if cheapest == plan.algorithm
        else f"{cheapest} {share_text(choices[cheapest])}"
    )
    memo = ""
    if predictor.measurements.current.slides:
        memo = _without_memo(predictor.without_memo(plan), predictor.measurements.targets.timeout)
    return Recommendation(
        table="",
        key="algorithm",
        value=cheapest if is_dear else plan.algorithm,
        unit="",
        reason=f"In the busiest second {plan.algorithm} takes {share_text(own)} of a core,"
        f" {compared}{memo}.",
        inputs=(predictor.cost_source, "requests", "renewals", "cache hit ratio"),
        interval=Interval(
            value=own, low=min(own, *choices.values()), high=max(own, *choices.values())
        ),
        interval_of="share of a core, over the algorithms",
        would_change="clients or partners that need another one; keys change by rotation",
    )


def _without_memo(storm: SigningStorm, timeout: float) -> str:
    """Return the backlog that the same load would have without a memo of successors."""
    piled = "no backlog"
    if math.isinf(storm.backlog):
        piled = "a backlog without end"
    elif storm.backlog > 0:
        piled = f"a backlog of {days_text(storm.backlog)}"
    collapse = "" if storm.is_safe(timeout) else ", which would collapse the service"
    return f"; without the memo of successors an expiry window would cause {piled}{collapse}"


def cache_recommendations(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Recommendation]:
    """Yield the recommendations of the table ``[cache]``."""
    entry_bytes = predictor.measurements.costs.entry_bytes
    hits = Interval(
        value=outcome.hit_ratio,
        low=max(0.0, outcome.hit_ratio * 0.85),
        high=min(1.0, outcome.hit_ratio * 1.15),
    )
    yield Recommendation(
        table="cache",
        key="max_entries",
        value=plan.cache_entries,
        unit="tokens in each process",
        reason=f"{count_text(outcome.entries_needed)} tokens are in use within a cache lifetime,"
        f" replaced ones included; {share_text(outcome.hit_ratio)} of verifications are hits.",
        inputs=("sessions", predictor.pause_source, "workers", "--memory-mb"),
        interval=hits,
        interval_of=_HIT_RATIO,
        would_change="more sessions, other pauses, or another --memory-mb",
    )
    yield Recommendation(
        table="cache",
        key="max_bytes",
        value=max(1, math.ceil(plan.cache_entries * entry_bytes * 1.5 / _MIB)) * _MIB,
        unit="bytes in each process",
        reason=f"A token takes {count_text(entry_bytes)} bytes; half as much again leaves room for"
        " larger tokens.",
        inputs=(predictor.cost_source,),
        would_change="larger tokens",
    )
    yield Recommendation(
        table="cache",
        key="lifetime_seconds",
        value=toml_number(plan.cache_lifetime),
        unit="seconds",
        reason="A longer cache lifetime would add less than 1 % of hits; every hit still checks exp"
        " and revocations.",
        inputs=(predictor.pause_source,),
        interval=hits,
        interval_of=_HIT_RATIO,
        would_change="longer pauses between requests",
    )


def worker_recommendation(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Recommendation:
    """Return advice on the number of server processes, which is no key of linqi.toml."""
    spare = "." if plan.workers > 1 else "; add a second one to restart without an outage."
    return Recommendation(
        table="",
        key="workers",
        value=plan.workers,
        unit="process" if plan.workers == 1 else "processes",
        reason=f"{rate_text(predictor.peak_rps, 'requests')} and"
        f" {rate_text(outcome.renewals_per_second, 'renewals')} keep each"
        f" {share_text(outcome.cpu_share)} busy; 99 of 100 requests wait at most"
        f" {number_text(max(_LEAST_WAIT_MS, outcome.p99_wait * 1e3), 2)} ms{spare}",
        inputs=("requests", "processor time of a request", "--cpu-share"),
        interval=Interval(
            value=outcome.cpu_share, low=outcome.cpu_share * 0.8, high=outcome.cpu_share * 1.2
        ),
        interval_of="share of a core, within the 20 % error of the model",
        would_change="more requests, a slower application, or another --cpu-share",
    )
