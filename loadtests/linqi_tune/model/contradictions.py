"""Targets that cannot be met together, and the smallest change that resolves it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from linqi_tune.model.advice import Contradiction, Relaxation
from linqi_tune.model.intervals import rule_of_three, trials_needed
from linqi_tune.model.lifetimes import (
    LifetimeChoice,
    choose_lifetime,
    lifetimes_for,
    longest_lifetime,
)
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.time_limits import revocation_lag

__all__ = ["contradictions_of"]

_DAY = 86_400.0


def contradictions_of(
    predictor: Predictor, life: LifetimeChoice, plan: SettingsPlan, outcome: PlanOutcome
) -> tuple[Contradiction, ...]:
    """Return the targets that the balanced plan cannot meet, each with the ways to relax them."""
    found = [
        *_outage(predictor, life),
        *_losses(predictor, life),
        *_evidence(predictor, life),
        *_revocation(predictor, plan),
        *_memory(predictor, plan, outcome),
        *_workers(predictor, plan, outcome),
        *_storm(predictor, plan, outcome),
    ]
    return tuple(found)


def _sorted(ways: list[Relaxation]) -> tuple[Relaxation, ...]:
    return tuple(sorted(ways, key=lambda way: way.factor))


def _losses(predictor: Predictor, life: LifetimeChoice) -> Iterator[Contradiction]:
    """Check the target for lost renewals against the longest allowed lifetime."""
    if life.is_met or life.loss is None or not predictor.measurements.current.slides:
        return
    targets = predictor.measurements.targets
    ways = [
        Relaxation(
            target="--max-lost", wanted=targets.max_lost, eased=life.loss.savable.high, unit="share"
        )
    ]
    longer = choose_lifetime(predictor, lifetimes_for(life.lifetime, _DAY), targets.max_lost)
    if longer.is_met:
        ways.append(
            Relaxation(
                target=longest_lifetime(predictor.measurements)[1],
                wanted=life.lifetime,
                eased=longer.lifetime,
                unit="seconds",
            )
        )
    yield Contradiction(
        code="losses",
        what=(
            f"No buffer of a lifetime up to {life.lifetime:g} s loses at most"
            f" {targets.max_lost:.2g} of renewals: a buffer of {life.buffer:g} s loses"
            f" {life.loss.savable.value:.2g} ({life.loss.savable.low:.2g} to"
            f" {life.loss.savable.high:.2g}); refresh tokens (dual tokens) lose none."
        ),
        ways=_sorted(ways),
    )


def _outage(predictor: Predictor, life: LifetimeChoice) -> Iterator[Contradiction]:
    """Check that the buffer is as long as the outage in which no session may be lost."""
    outage = predictor.measurements.targets.outage
    if life.buffer >= outage or life.loss is None:
        return
    yield Contradiction(
        code="outage",
        what=(
            f"No buffer under half a lifetime of {life.lifetime:g} s outlasts an outage of"
            f" {outage:g} s: with {life.buffer:g} s, tokens due at its beginning expire during it."
        ),
        ways=(
            Relaxation(target="--outage-seconds", wanted=outage, eased=life.buffer, unit="seconds"),
        ),
    )


def _evidence(predictor: Predictor, life: LifetimeChoice) -> Iterator[Contradiction]:
    """Check that the evidence can show a loss as low as the target."""
    targets = predictor.measurements.targets
    if life.loss is None or not life.is_met:
        return
    shown = rule_of_three(life.loss.cycles)
    if shown <= targets.max_lost:
        return
    yield Contradiction(
        code="evidence",
        what=(
            f"The evidence amounts to {life.loss.cycles:,.0f} cycles, which can show losses below"
            f" {shown:.2g} at best (3/n); {targets.max_lost:.2g} needs"
            f" {trials_needed(targets.max_lost):,.0f}."
        ),
        ways=(Relaxation(target="--max-lost", wanted=targets.max_lost, eased=shown, unit="share"),),
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
            f"A revoked session's token is accepted for up to {lag:g} s, not"
            f" {targets.revocation:g} s; with a store ([store]) every worker receives revocations."
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
            f"The tokens in use need {wanted:.3g} MB in each worker; with {memory:g} MB the cache"
            f" answers {outcome.hit_ratio:.0%} of verifications."
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
            f"{predictor.peak_rps:,.0f} requests per second keep {targets.workers} workers"
            f" {outcome.cpu_share:.0%} busy, not {targets.cpu_share:.0%}."
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
    backlog = "without end" if is_endless else f"of {outcome.storm.backlog:.2g} s"
    yield Contradiction(
        code="backlog",
        what=(
            f"An expiry window causes a backlog {backlog}; above a third of the clients' timeout of"
            f" {timeout:g} s it grows by itself, as clients repeat their requests."
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
