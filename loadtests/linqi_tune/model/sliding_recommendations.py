"""Recommendations for sliding sessions: lifetime, buffer, policy, session cap and budget."""

from __future__ import annotations

import math
from collections.abc import Iterator

from linqi_tune.model.advice import (
    Recommendation,
    cap_spread_recommendation,
    policy_recommendation,
    toml_number,
)
from linqi_tune.model.budgets import deferred_share, recovery
from linqi_tune.model.intervals import Interval, rule_of_three
from linqi_tune.model.lifetimes import LifetimeChoice
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor

__all__ = ["sliding_recommendations"]

_NO_PAUSES = "No pauses between requests were measured, so it stays as it is."
_SAVABLE = "share of renewals lost that a longer buffer would have saved"


def sliding_recommendations(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome, choice: LifetimeChoice
) -> Iterator[Recommendation]:
    """Yield the recommendations of the tables ``[renewal]`` and ``[budget]``."""
    yield _lifetime(predictor, plan, choice)
    yield _buffer(predictor, choice)
    yield policy_recommendation(
        outcome.storm_factor,
        outcome.noise95,
        predictor.plain_factor(plan),
        "Sessions that sign in together renew at different times",
        ("sessions", predictor.pause_source, "login spread"),
    )
    yield Recommendation(
        table="renewal",
        key="jitter_width",
        value=None,
        unit="share",
        reason="The grid spreads renewals over the whole period, so jitter adds nothing.",
        inputs=("policy",),
        would_change='policy = "jitter", which needs at least half the period to be as flat',
    )
    yield _hard_margin(predictor, plan)
    yield from _session_cap(predictor, plan)
    if predictor.is_session_count_known:
        yield from _budget(predictor, plan, outcome)


def _lifetime(predictor: Predictor, plan: SettingsPlan, choice: LifetimeChoice) -> Recommendation:
    current = predictor.measurements.current
    if choice.loss is None:
        reason = _NO_PAUSES
    elif not choice.is_met:
        reason = "No allowed lifetime meets the target for lost renewals; this one loses the least."
    elif plan.lifetime == current.lifetime:
        reason = "The lifetime in force is kept: it allows a buffer that meets the target."
    elif plan.lifetime < current.lifetime:
        reason = f"A stolen or revoked token may stay valid for at most {plan.lifetime:g} s."
    else:
        reason = (
            f"It is the shortest lifetime that allows a buffer of {plan.buffer:g} s,"
            " which must be under half of it."
        )
    return Recommendation(
        table="renewal",
        key="lifetime_seconds",
        value=toml_number(plan.lifetime),
        unit="seconds",
        reason=reason,
        inputs=(predictor.pause_source, "--max-lost", "--max-lifetime-seconds"),
        interval=choice.loss.savable if choice.loss else None,
        interval_of=_SAVABLE,
        would_change="another --max-lifetime-seconds or --revocation-seconds, or longer pauses",
    )


def _buffer(predictor: Predictor, choice: LifetimeChoice) -> Recommendation:
    reason = _NO_PAUSES
    if choice.loss is not None:
        met = "at most the target of" if choice.is_met else "more than the target of"
        reason = (
            f"{_percent(choice.loss.savable.value)} of renewals would arrive after the end of the"
            f" buffer and be lost, {met} {_percent(predictor.measurements.targets.max_lost)}"
            f"{_limit_of_evidence(predictor, choice)}."
        )
    return Recommendation(
        table="renewal",
        key="buffer_seconds",
        value=toml_number(choice.buffer),
        unit="seconds",
        reason=reason,
        inputs=(predictor.pause_source, "--max-lost", "--outage-seconds"),
        interval=choice.loss.savable if choice.loss else None,
        interval_of=_SAVABLE,
        would_change="another --max-lost, another --outage-seconds (the buffer is at least as long"
        " where the lifetime allows it), or other pauses between requests",
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"


def _limit_of_evidence(predictor: Predictor, choice: LifetimeChoice) -> str:
    """Return the loss that the cycles cannot rule out, where the target is below it."""
    if choice.loss is None or not choice.is_met:
        return ""
    shown = rule_of_three(choice.loss.cycles)
    if shown <= predictor.measurements.targets.max_lost:
        return ""
    return (
        f", as far as {choice.loss.cycles:,.0f} cycles can tell, which cannot rule out a loss of"
        f" {_percent(shown)}"
    )


def _hard_margin(predictor: Predictor, plan: SettingsPlan) -> Recommendation:
    wanted = max(10.0, math.ceil(3 * predictor.p999))
    return Recommendation(
        table="renewal",
        key="hard_margin_seconds",
        value=toml_number(wanted if wanted < plan.buffer / 4 else plan.buffer / 4),
        unit="seconds",
        reason="A renewal never waits for the budget when less time is left than a slow response"
        " and a retry need.",
        inputs=("p99.9 of responses", "buffer"),
        would_change="slower responses, or a shorter buffer",
    )


def _session_cap(predictor: Predictor, plan: SettingsPlan) -> Iterator[Recommendation]:
    targets, current = predictor.measurements.targets, predictor.measurements.current
    cap = max(targets.session_cap or current.max_session, plan.lifetime)
    yield Recommendation(
        table="renewal",
        key="max_session_seconds",
        value=toml_number(cap),
        unit="seconds",
        reason="A session slides for at most this long; then the user must sign in again.",
        inputs=("--session-cap-seconds",) if targets.session_cap else ("settings in force",),
        would_change="another --session-cap-seconds",
    )
    yield cap_spread_recommendation("renewal", cap)


def _budget(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome
) -> Iterator[Recommendation]:
    signed = outcome.renewals_per_second * outcome.signatures_per_renewal
    total = plan.budget or signed * 1.5
    each = max(0.1, math.ceil(total / plan.workers * 10) / 10)
    load = signed / plan.workers / each
    yield Recommendation(
        table="budget",
        key="renewals_per_second",
        value=toml_number(each),
        unit="signatures per second of each process",
        reason=f"It is {total / signed:.2g} times the steady rate"
        f"{_after_outage(predictor, plan, outcome, total)}.",
        inputs=("sessions", "lifetime", "buffer", "workers", "--outage-seconds"),
        interval=Interval(value=signed / plan.workers, low=0.0, high=each),
        interval_of="steady signatures per second of each process, up to the budget",
        would_change="more sessions than were counted: a budget near the steady rate loses some",
    )
    yield Recommendation(
        table="budget",
        key="burst",
        value=toml_number(plan.burst),
        unit="signatures at once",
        reason="Outside storms, chance defers at most"
        f" {deferred_share(load, plan.burst):.1g} of the renewals; a deferred renewal is lost if"
        " its session sends no further request in time.",
        inputs=("budget", "--max-lost"),
        would_change="another --max-lost, or a budget nearer to the steady rate",
    )


def _after_outage(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome, budget: float
) -> str:
    """Return what the budget leads to after the outage of the targets, as a clause."""
    outage = predictor.measurements.targets.outage
    allowed = budget / outcome.signatures_per_renewal
    found = recovery(
        predictor.cohort(), plan.lifetime, plan.buffer, outage, outcome.window, allowed
    )
    done = (
        "are never done"
        if math.isinf(found.drained_after)
        else f"are done after {found.drained_after:.0f} s"
    )
    lost = (
        "no session that keeps sending requests is lost"
        if found.is_lossless
        else "sessions with tokens due at its beginning are lost"
    )
    return (
        f"; after an outage of {outage:g} s the overdue renewals are made at {found.peak:.3g} per"
        f" second at most, {done}, and {lost}"
    )
