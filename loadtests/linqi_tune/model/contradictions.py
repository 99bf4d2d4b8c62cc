"""Targets that cannot be met together, and the smallest change that resolves it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from linqi_tune.model.advice import Contradiction, Relaxation
from linqi_tune.model.lifetimes import (
    LifetimeChoice,
    fewest_sign_ins,
    lifetimes_for,
    longest_lifetime,
)
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import (
    causes_text,
    count_text,
    days_text,
    given_text,
    number_text,
    share_text,
    sign_ins_text,
)
from linqi_tune.model.refresh_option import RefreshOption
from linqi_tune.model.time_limits import revocation_lag

__all__ = ["contradictions_of"]

_DAY: Final = 86_400.0
_LENGTHS: Final = tuple(hours * 3_600.0 for hours in (10, 12, 16, 24, 48, 168, 720))
"""Lengths of sessions that are tried where their end forces sign-ins."""


def contradictions_of(
    predictor: Predictor,
    life: LifetimeChoice,
    plan: SettingsPlan,
    outcome: PlanOutcome,
    refreshed: RefreshOption | None = None,
) -> tuple[Contradiction, ...]:
    """Return the targets that a plan cannot meet, each with the ways to relax them.

    `refreshed`: refresh tokens in place of the sliding sessions of the plan.
    """
    found = [
        *_outage(predictor, life),
        *_sign_ins(predictor, life, plan, refreshed),
        *_evidence(predictor, life),
        *_revocation(predictor, plan),
        *_memory(predictor, plan, outcome),
        *_workers(predictor, plan, outcome),
        *_storm(predictor, plan, outcome),
    ]
    return tuple(found)


def _sorted(ways: list[Relaxation]) -> tuple[Relaxation, ...]:
    return tuple(sorted(ways, key=lambda way: way.factor))


def _sign_ins(
    predictor: Predictor,
    life: LifetimeChoice,
    plan: SettingsPlan,
    refreshed: RefreshOption | None,
) -> Iterator[Contradiction]:
    """Check the target for forced sign-ins against what the plan forces."""
    target = predictor.measurements.targets.max_sign_ins
    if target is None or life.is_met or life.sign_ins is None:
        return
    forced = life.sign_ins
    ways = [
        Relaxation(
            target="--max-sign-ins-per-day",
            wanted=target,
            eased=forced.total.high,
            unit="per person and day",
        ),
        *_longer_life(predictor, life, target),
        *_longer_session(predictor, plan, target),
    ]
    yield Contradiction(
        code="sign-ins",
        what=f"{_settings(predictor, plan)} force {sign_ins_text(forced.total.value)} sign-ins per"
        f" person and day, in bad times {sign_ins_text(forced.total.high)}, where at most"
        f" {given_text(target)} are wanted: {causes_text(forced)}{_by_refresh_tokens(refreshed)}.",
        ways=_sorted(ways),
    )


def _settings(predictor: Predictor, plan: SettingsPlan) -> str:
    if not predictor.measurements.current.slides:
        return "Sessions with refresh tokens"
    return (
        f"A lifetime of {given_text(plan.lifetime)} s and a buffer of {given_text(plan.buffer)} s"
    )


def _longer_life(predictor: Predictor, life: LifetimeChoice, target: float) -> Iterator[Relaxation]:
    if not predictor.measurements.current.slides:
        return
    longer = fewest_sign_ins(predictor, lifetimes_for(life.lifetime, _DAY), target=target)
    if longer.is_met and longer.lifetime > life.lifetime:
        yield Relaxation(
            target=longest_lifetime(predictor.measurements)[1],
            wanted=life.lifetime,
            eased=longer.lifetime,
            unit="seconds",
        )


def _longer_session(
    predictor: Predictor, plan: SettingsPlan, target: float
) -> Iterator[Relaxation]:
    """Yield the shortest longer session that meets the target, if the end of sessions misses it."""
    for length in _LENGTHS:
        if length > plan.max_session:
            rate = predictor.sign_in_rate(replace(plan, max_session=length))
            if rate is not None and rate <= target:
                yield Relaxation(
                    target="--session-cap-seconds",
                    wanted=plan.max_session,
                    eased=length,
                    unit="seconds",
                )
                return


def _by_refresh_tokens(refreshed: RefreshOption | None) -> str:
    if refreshed is None or refreshed.outcome.sign_ins is None:
        return ""
    left = sign_ins_text(refreshed.outcome.sign_ins.total.value)
    return f"; refresh tokens (dual tokens) would force {left}"


def _outage(predictor: Predictor, life: LifetimeChoice) -> Iterator[Contradiction]:
    """Check that the buffer is as long as the outage in which no session may be lost."""
    outage = predictor.measurements.targets.outage
    if life.buffer >= outage or life.sign_ins is None:
        return
    yield Contradiction(
        code="outage",
        what=(
            f"No buffer under half a lifetime of {given_text(life.lifetime)} s outlasts an outage"
            f" of {given_text(outage)} s: with {given_text(life.buffer)} s, tokens due at its"
            " beginning expire during it."
        ),
        ways=(
            Relaxation(target="--outage-seconds", wanted=outage, eased=life.buffer, unit="seconds"),
        ),
    )


def _evidence(predictor: Predictor, life: LifetimeChoice) -> Iterator[Contradiction]:
    """Check that the evidence can show as few sign-ins as the target."""
    target, forced = predictor.measurements.targets.max_sign_ins, life.sign_ins
    if target is None or forced is None or not life.is_met or forced.total.high <= target:
        return
    yield Contradiction(
        code="evidence",
        what=(
            f"The evidence amounts to {count_text(forced.person_days)} days of a person, which can"
            f" rule out {sign_ins_text(forced.total.high)} forced sign-ins per person and day at"
            f" best, not {given_text(target)}."
        ),
        ways=(
            Relaxation(
                target="--max-sign-ins-per-day",
                wanted=target,
                eased=forced.total.high,
                unit="per person and day",
            ),
        ),
    )


def _revocation(predictor: Predictor, plan: SettingsPlan) -> Iterator[Contradiction]:
    """Check the bound on revocation against the feed."""
    targets, current = predictor.measurements.targets, predictor.measurements.current
    if targets.revocation is None:
        return
    if current.has_store:
        lag = revocation_lag(
            plan.lifetime, 0.0, max(2.0, min(current.stale_after, targets.revocation))
        )
    else:
        lag = revocation_lag(plan.lifetime)
    if lag <= targets.revocation:
        return
    yield Contradiction(
        code="revocation",
        what=(
            f"A revoked session's token is accepted for up to {given_text(lag)} s, not"
            f" {given_text(targets.revocation)} s; with a store ([store]) every worker receives"
            " revocations."
        ),
        ways=(
            Relaxation(
                target="--revocation-seconds", wanted=targets.revocation, eased=lag, unit="seconds"
            ),
        ),
    )


def _memory(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Contradiction]:
    """Check the memory against the entries that are needed."""
    memory = predictor.measurements.targets.memory_mb
    if memory is None:
        return
    wanted = outcome.entries_needed * predictor.measurements.costs.entry_bytes / 1e6
    if wanted <= memory:
        return
    yield Contradiction(
        code="memory",
        what=(
            f"The tokens in use need {number_text(wanted)} MB in each worker; with"
            f" {given_text(memory)} MB the cache answers {share_text(outcome.hit_ratio)} of"
            " verifications."
        ),
        ways=(Relaxation(target="--memory-mb", wanted=memory, eased=wanted, unit="MB"),),
    )


def _workers(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Contradiction]:
    """Check the utilisation of a fixed number of workers."""
    targets = predictor.measurements.targets
    if targets.workers is None or outcome.cpu_share <= targets.cpu_share:
        return
    needed = predictor.workers_for(plan)
    ways = [
        Relaxation(
            target="--workers", wanted=float(targets.workers), eased=float(needed), unit="workers"
        )
    ]
    if outcome.cpu_share < 1:
        ways.append(
            Relaxation(
                target="--cpu-share",
                wanted=targets.cpu_share,
                eased=outcome.cpu_share,
                unit="share",
            )
        )
    yield Contradiction(
        code="workers",
        what=(
            f"{count_text(predictor.peak_rps)} requests per second keep {targets.workers} workers"
            f" {share_text(outcome.cpu_share)} busy, not {share_text(targets.cpu_share)}."
        ),
        ways=_sorted(ways),
    )


def _storm(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Contradiction]:
    """Check the backlog of an expiry window against the clients' timeout."""
    timeout = predictor.measurements.targets.timeout
    if outcome.storm.is_safe(timeout):
        return
    is_endless = math.isinf(outcome.storm.backlog)
    backlog = "without end" if is_endless else f"of {days_text(outcome.storm.backlog)}"
    yield Contradiction(
        code="backlog",
        what=(
            f"An expiry window causes a backlog {backlog}; above a third of the clients' timeout of"
            f" {given_text(timeout)} s it grows by itself, as clients repeat their requests."
        ),
        ways=(
            Relaxation(
                target="--workers",
                wanted=float(plan.workers),
                eased=float(predictor.workers_for(plan)),
                unit="workers",
            )
            if is_endless
            else Relaxation(
                target="--timeout-seconds",
                wanted=timeout,
                eased=3.2 * outcome.storm.backlog,
                unit="seconds",
            ),
        ),
    )
