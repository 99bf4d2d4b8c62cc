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
from linqi_tune.model.intervals import Interval
from linqi_tune.model.lifetimes import LifetimeChoice
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import (
    causes_text,
    count_text,
    days_text,
    given_text,
    rate_text,
    share_text,
    sign_ins_text,
)

__all__ = ["sliding_recommendations"]

_RARE = 1e-5
_NO_PAUSES = "No pauses between requests were measured, so it stays as it is."
_FIGURE = "forced sign-ins per person and day"


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
    return Recommendation(
        table="renewal",
        key="lifetime_seconds",
        value=toml_number(plan.lifetime),
        unit="seconds",
        reason=_why_lifetime(predictor, choice),
        inputs=(predictor.pause_source, *_target_option(predictor), "--max-lifetime-seconds"),
        interval=choice.sign_ins.total if choice.sign_ins else None,
        interval_of=_FIGURE,
        would_change="another --max-lifetime-seconds, --revocation-seconds or"
        " --max-sign-ins-per-day, or longer pauses",
    )


def _why_lifetime(predictor: Predictor, choice: LifetimeChoice) -> str:
    """Return the reason of the lifetime as a sentence."""
    current, target = predictor.measurements.current, predictor.measurements.targets.max_sign_ins
    if choice.sign_ins is None:
        return _NO_PAUSES
    if choice.lifetime < current.lifetime:
        return (
            f"A stolen or revoked token may stay valid for at most {given_text(choice.lifetime)} s."
        )
    if choice.aim == "token life":
        return "The lifetime in force is kept: a stolen token is valid for no longer than today."
    if not choice.is_met:
        return "No allowed lifetime meets the target; this one forces as few sign-ins as any."
    if choice.aim == "renewals":
        return "It is the lifetime with the fewest renewals that forces few enough sign-ins."
    if target is not None:
        return "It is the shortest lifetime with a buffer that meets the target."
    if choice.lifetime == current.lifetime:
        return "The lifetime in force is kept: no longer one that is allowed forces fewer sign-ins."
    return (
        "It is the shortest lifetime that forces no more sign-ins than the longest one allowed,"
        " within 3 % and the chance of the measurement."
    )


def _buffer(predictor: Predictor, choice: LifetimeChoice) -> Recommendation:
    reason = _NO_PAUSES
    if choice.sign_ins is not None:
        forced = choice.sign_ins
        reason = (
            f"{sign_ins_text(forced.total.value)} sign-ins per person and day are forced"
            f"{_against_target(predictor, choice)}: {causes_text(forced)}."
        )
    return Recommendation(
        table="renewal",
        key="buffer_seconds",
        value=toml_number(choice.buffer),
        unit="seconds",
        reason=reason,
        inputs=(predictor.pause_source, *_target_option(predictor), "--outage-seconds"),
        interval=choice.sign_ins.total if choice.sign_ins else None,
        interval_of=_FIGURE,
        would_change="another --max-sign-ins-per-day, another --outage-seconds (the buffer is at"
        " least as long where the lifetime allows it), or other pauses between requests",
    )


def _target_option(predictor: Predictor) -> tuple[str, ...]:
    has_target = predictor.measurements.targets.max_sign_ins is not None
    return ("--max-sign-ins-per-day",) if has_target else ()


def _against_target(predictor: Predictor, choice: LifetimeChoice) -> str:
    """Return how the forced sign-ins compare with the target, as a clause; empty without one."""
    target = predictor.measurements.targets.max_sign_ins
    if target is None or choice.sign_ins is None:
        return ""
    if not choice.is_met:
        return f", more than the target of {given_text(target)}"
    if choice.sign_ins.total.high <= target:
        return f", at most the target of {given_text(target)}"
    return (
        f", at most the target of {given_text(target)} as far as"
        f" {count_text(choice.sign_ins.person_days)} days of a person can show"
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
    targets, cap = predictor.measurements.targets, plan.max_session
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
        unit="renewals per second of each process",
        reason=f"A process signs {rate_text(signed / plan.workers, 'renewals')} on average; the"
        " limit leaves room for chance and keeps a storm from taking all of its time"
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
        unit="renewals at once",
        reason=f"So many are signed without delay. On ordinary days {_deferred(load, plan.burst)}"
        " for a later request of their session.",
        inputs=("budget",),
        would_change="a budget nearer to the steady rate",
    )


def _deferred(load: float, burst: float) -> str:
    """Return how many renewals wait, with the verb."""
    share = deferred_share(load, burst)
    return f"{share_text(share)} of the renewals wait" if share >= _RARE else "hardly any wait"


def _after_outage(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome, budget: float
) -> str:
    """Return what the budget leads to after the outage of the targets, as a clause."""
    outage = predictor.measurements.targets.outage
    allowed = budget / outcome.signatures_per_renewal
    found = recovery(
        predictor.cohort(), plan.lifetime, plan.buffer, outage, outcome.window, allowed
    )
    if math.isinf(found.drained_after):
        done = "would never all be made"
    else:
        done = f"are made within {days_text(found.drained_after)}"
    lost = "" if found.is_lossless else ", too late for some sessions"
    return f". After an outage of {given_text(outage)} s the overdue renewals {done}{lost}"
