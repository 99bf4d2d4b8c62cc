"""Recommendations for sessions with refresh tokens: lifetime, buffer, store and clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linqi_tune.model.advice import (
    Recommendation,
    cap_spread_recommendation,
    policy_recommendation,
    toml_number,
)
from linqi_tune.model.intervals import Interval
from linqi_tune.model.lifetimes import LifetimeChoice
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import given_text, number_text, rate_text
from linqi_tune.model.time_limits import client_thresholds, grace

__all__ = ["refresh_recommendations", "store_recommendations"]

_RECOVER: Final = 86_400.0


def refresh_recommendations(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome, choice: LifetimeChoice
) -> Iterator[Recommendation]:
    """Yield lifetime, buffer, policy and the ends of sessions whose clients refresh."""
    yield _lifetime(predictor, plan, outcome)
    yield _buffer(predictor, outcome, choice)
    yield policy_recommendation(
        outcome.storm_factor,
        outcome.noise95,
        predictor.plain_factor(plan),
        "Sessions that sign in or return together refresh at different times from then on",
        ("sessions", "login spread"),
    )
    yield from _session_ends(predictor)


def _lifetime(predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome) -> Recommendation:
    is_kept = plan.lifetime == predictor.measurements.current.lifetime
    return Recommendation(
        table="renewal",
        key="lifetime_seconds",
        value=toml_number(plan.lifetime),
        unit="seconds",
        reason="The lifetime in force is kept: a refresh token outlives every pause, so a longer"
        " lifetime saves no session."
        if is_kept
        else f"A stolen or revoked token may stay valid for at most {given_text(plan.lifetime)} s.",
        inputs=("--max-lifetime-seconds", "--revocation-seconds"),
        would_change="another value of these, or a store that cannot take"
        f" {rate_text(outcome.renewals_per_second, 'refreshes')}",
    )


def _buffer(predictor: Predictor, outcome: PlanOutcome, choice: LifetimeChoice) -> Recommendation:
    rate, outage = outcome.renewals_per_second, predictor.measurements.targets.outage
    outlasts = (
        "outlasts"
        if choice.buffer >= outage
        else "is the longest under half a lifetime, but is shorter than"
    )
    return Recommendation(
        table="renewal",
        key="buffer_seconds",
        value=toml_number(choice.buffer),
        unit="seconds",
        reason=f"Clients refresh with this much time left. It {outlasts} an outage of the store of"
        f" {given_text(outage)} s, during which they use the token they have.",
        inputs=("--outage-seconds", "lifetime"),
        interval=Interval(value=rate, low=rate, high=rate * outcome.noise95),
        interval_of="refreshes per second, up to the peak that chance alone makes",
        would_change="longer outages, or a store with little capacity: a shorter buffer refreshes"
        " less often",
    )


def _session_ends(predictor: Predictor) -> Iterator[Recommendation]:
    targets, current = predictor.measurements.targets, predictor.measurements.current
    absolute = targets.session_cap or current.absolute
    inputs = ("--session-cap-seconds",) if targets.session_cap else ("settings in force",)
    rows = (
        (
            "absolute_seconds",
            absolute,
            "A session is refreshed for at most this long; then the user must sign in again.",
            "another --session-cap-seconds",
        ),
        (
            "idle_seconds",
            min(current.idle, absolute),
            "A user who is away for longer must sign in again; it is at most the whole session.",
            "users who must stay signed in over longer pauses",
        ),
    )
    for key, value, reason, change in rows:
        yield Recommendation(
            table="sessions",
            key=key,
            value=toml_number(value),
            unit="seconds",
            reason=reason,
            inputs=inputs,
            would_change=change,
        )
    yield cap_spread_recommendation("sessions", absolute)


def store_recommendations(predictor: Predictor, plan: SettingsPlan) -> Iterator[Recommendation]:
    """Yield what depends on the store, the clients' thresholds included, if there is a store.

    A refresh is among the slowest responses, so their 99.9th percentile stands for it.
    """
    current, targets = predictor.measurements.current, predictor.measurements.targets
    if not current.has_store:
        return
    bound = targets.revocation if targets.revocation is not None else current.stale_after
    yield Recommendation(
        table="store",
        key="stale_after_seconds",
        value=toml_number(max(2.0, min(bound, plan.lifetime))),
        unit="seconds",
        reason="While the feed of revocations is lost, a revoked token is accepted for at most this"
        " long; then requests get 503.",
        inputs=("--revocation-seconds",),
        would_change="another --revocation-seconds",
    )
    yield Recommendation(
        table="sessions",
        key="grace_seconds",
        value=toml_number(grace(predictor.p999)),
        unit="seconds",
        reason=f"It is three times the slowest refresh ({number_text(predictor.p999, 2)} s at"
        " p99.9), at least 10 s: a first try, a timeout and a second try get the same successor.",
        inputs=("p99.9 of responses",),
        would_change="slower refreshes; 60 s is the most",
    )
    yield Recommendation(
        table="sessions",
        key="recover_seconds",
        value=toml_number(_RECOVER),
        unit="seconds",
        reason="A client that lost a response and slept for a day stays signed in. For as long, a"
        " stolen refresh token that was spent works while its successor is unused; the theft shows"
        " when that is presented (RFC 9700, 4.14.2).",
        inputs=("security model",),
        would_change="clients that never lose a response, or a policy that forbids it: 0 ends the"
        " session",
    )
    yield from _client(predictor, plan)


def _client(predictor: Predictor, plan: SettingsPlan) -> Iterator[Recommendation]:
    found = client_thresholds(plan.lifetime, plan.buffer, predictor.p999)
    yield Recommendation(
        table="client",
        key="advisory_seconds",
        value=toml_number(found.advisory),
        unit="seconds",
        reason="Clients begin to renew when the server's buffer begins.",
        inputs=("buffer",),
        would_change="another buffer",
    )
    yield Recommendation(
        table="client",
        key="mandatory_seconds",
        value=toml_number(found.mandatory),
        unit="seconds",
        reason="A client does not send a token with less time left than two slow refreshes and the"
        " difference of the clocks.",
        inputs=("p99.9 of responses", "lifetime"),
        would_change="slower refreshes",
    )
    yield Recommendation(
        table="client",
        key="jitter",
        value=toml_number(found.jitter),
        unit="share",
        reason="Timers that were started together fire at different times.",
        inputs=("judgement",),
        would_change="clients that receive refresh_in from the server",
    )
