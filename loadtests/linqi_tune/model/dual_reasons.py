"""The settings of sessions with refresh tokens that sliding ones have otherwise, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from linqi_tune.model.advice import Recommendation, advised, number
from linqi_tune.model.graces import client_thresholds, grace
from linqi_tune.model.intervals import Interval
from linqi_tune.model.lifetimes import Life
from linqi_tune.model.plans import Outcome, Plan, Predictor

__all__ = ["refreshing", "spread_ends", "stored"]

_SPREAD: Final = 0.1
_RECOVER: Final = 86_400.0


def refreshing(
    predictor: Predictor, plan: Plan, outcome: Outcome, life: Life
) -> Iterator[Recommendation]:
    """Give lifetime, buffer, policy and the ends of sessions whose clients refresh."""
    targets, current = predictor.facts.targets, predictor.facts.current
    kept = plan.lifetime == current.lifetime
    yield Recommendation(
        table="renewal", key="lifetime_seconds", value=number(plan.lifetime), unit="seconds",
        reason="The lifetime in force is kept: refresh tokens outlive every pause, so a longer one"
        " saves nobody." if kept
        else f"A stolen or revoked token may be good for at most {plan.lifetime:g} s.",
        inputs=("--max-lifetime-seconds", "--revocation-seconds"),
        would_change="another of these, or a store that cannot take"
        f" {outcome.renewals_per_second:.3g} refreshes a second",
    )  # fmt: skip
    what = "outlasts" if life.is_met else "is the longest under half a life, and does not outlast"
    yield Recommendation(
        table="renewal", key="buffer_seconds", value=number(plan.buffer), unit="seconds",
        reason=f"Clients are told to refresh with so much life left: it {what} an outage of the"
        f" store of {targets.outage:g} s, in which they go on with the token they hold.",
        inputs=("--outage-seconds", "lifetime"),
        interval=Interval(value=outcome.renewals_per_second, low=outcome.renewals_per_second,
                          high=outcome.renewals_per_second * outcome.noise95),
        interval_of="refreshes per second, up to what chance makes of them",
        would_change="longer outages, or a store to be spared: a shorter buffer refreshes less",
    )  # fmt: skip
    plain = predictor.factor(replace(plan, policy="plain"))
    yield Recommendation(
        table="renewal", key="policy", value="grid", unit="",
        reason="People who sign in or come back together refresh apart from then on: the highest"
        f" rate is {outcome.storm_factor:.2f} times the steady one, where a plain threshold has"
        f" {plain:.0f} times.",
        inputs=("sessions", "login spread"),
        interval=Interval(value=outcome.storm_factor, low=1.0, high=outcome.noise95),
        interval_of="storm factor, up to what chance alone makes of spread sessions",
        would_change="nothing: no policy is flatter at the same lifetime and buffer",
    )  # fmt: skip
    yield from _ends(predictor)


def _ends(predictor: Predictor) -> Iterator[Recommendation]:
    targets, current = predictor.facts.targets, predictor.facts.current
    absolute = targets.session_cap or current.absolute
    inputs = ("--session-cap-seconds",) if targets.session_cap else ("settings in force",)
    yield Recommendation(
        table="sessions", key="absolute_seconds", value=number(absolute), unit="seconds",
        reason="So long a session may be refreshed before somebody has to sign in again.",
        inputs=inputs, would_change="another --session-cap-seconds",
    )  # fmt: skip
    yield Recommendation(
        table="sessions", key="idle_seconds", value=number(min(current.idle, absolute)),
        unit="seconds",
        reason="Whoever stays away for longer signs in again; it is no longer than the session.",
        inputs=inputs, would_change="people who shall stay signed in for longer pauses",
    )  # fmt: skip
    yield spread_ends("sessions", absolute)


def spread_ends(table: str, cap: float) -> Recommendation:
    """Give by how much sessions with a `cap` in seconds end apart."""
    return Recommendation(
        table=table, key="cap_spread", value=_SPREAD, unit="share",
        reason=f"Sessions of one morning end within {_SPREAD * cap:g} s of each other and not in"
        " one second.",
        inputs=("session cap",), would_change="a storm of sign-ins where the caps end",
    )  # fmt: skip


def stored(predictor: Predictor, plan: Plan, p999: float) -> Iterator[Recommendation]:
    """Give what depends on the store, for clients too, where there is one.

    `p999`: of the answers, in seconds; a refresh is among the slowest.
    """
    current, targets = predictor.facts.current, predictor.facts.targets
    if not current.has_store:
        return
    bound = targets.revocation if targets.revocation is not None else current.stale_after
    yield advised("store", "stale_after_seconds", max(2.0, min(bound, plan.lifetime)), "seconds",
               "While the feed of revocations is lost, a revoked token is accepted for at most"
               " so long; then requests get 503.",
               ("--revocation-seconds",), "another --revocation-seconds")  # fmt: skip
    yield advised("sessions", "grace_seconds", grace(p999), "seconds",
               f"Three times the slowest refresh ({p999:.2g} s at p99.9), at least 10 s: a first"
               " try, a timeout and a second try get the same successor.",
               ("p99.9 of answers",), "slower refreshes; 60 s is the most")  # fmt: skip
    yield advised(
        "sessions",
        "recover_seconds",
        _RECOVER,
        "seconds",
        "A client that lost a reply and slept for a day stays signed in. As long, a stolen refresh"
        " token that was spent works too, while its successor is unused, and the theft shows when"
        " that is presented (RFC 9700, 4.14.2).",
        ("security model",),
        "clients that never lose a reply, or a policy that forbids it: 0 ends the session instead",
    )
    thresholds = client_thresholds(plan.lifetime, plan.buffer, p999)
    yield advised("client", "advisory_seconds", thresholds.advisory, "seconds",
               "Clients begin to renew with the server's buffer left.", ("buffer",),
               "another buffer")  # fmt: skip
    yield advised("client", "mandatory_seconds", thresholds.mandatory, "seconds",
               "With less left than two slow refreshes and the clocks' skew, nobody sends it.",
               ("p99.9 of answers", "lifetime"), "slower refreshes")  # fmt: skip
    yield advised("client", "jitter", thresholds.jitter, "share",
               "Timers that were started together part.", ("judgement",),
               "clients that are told refresh_in by the server")  # fmt: skip
