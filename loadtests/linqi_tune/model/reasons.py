"""The settings of a plan, each with its reason, its inputs and what would change it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from linqi_tune.model.advice import Recommendation, advised, number
from linqi_tune.model.budgets import put_off, recovery
from linqi_tune.model.dual_reasons import refreshing, spread_ends, stored
from linqi_tune.model.intervals import Interval, most_with_none_seen
from linqi_tune.model.key_sets import Rotation, key_times, kids_to_remember, unknown_kid_wait
from linqi_tune.model.lifetimes import Life
from linqi_tune.model.plans import Outcome, Plan, Predictor, costs_of
from linqi_tune.model.storms import steady_rate

__all__ = ["recommendations_of"]

_JWKS_TIMEOUT: Final = 5.0
_MADE_UP_KIDS: Final = 10.0
"""A second: a flood that a cache of unknown key ids shall take."""
_KID_SECONDS: Final = 300.0


def recommendations_of(
    predictor: Predictor, plan: Plan, outcome: Outcome, life: Life
) -> tuple[Recommendation, ...]:
    """Give every setting of `plan`."""
    slides = predictor.facts.current.slides
    is_known = predictor.is_crowd_known
    return (
        *(
            _renewal(predictor, plan, outcome, life)
            if slides
            else refreshing(predictor, plan, outcome, life)
        ),
        *_signing(predictor, plan, outcome),
        *(_cache(predictor, plan, outcome) if is_known else ()),
        *stored(predictor, plan, _p999(predictor)),
        *_keys(predictor),
        *([_workers(predictor, plan, outcome)] if is_known else []),
    )


def _evidence(predictor: Predictor) -> tuple[str, ...]:
    facts = predictor.facts
    if predictor.is_gap_known and facts.visitors is not None:
        return (f"gaps of {facts.visitors.source or 'visitors'}",)
    if facts.lags is not None:
        return (f"lags of {facts.lags_source or 'renewals'}",)
    return ("no evidence of visits",)


def _renewal(
    predictor: Predictor, plan: Plan, outcome: Outcome, life: Life
) -> Iterator[Recommendation]:
    targets, current = predictor.facts.targets, predictor.facts.current
    evidence = _evidence(predictor)
    savable: Interval | None = life.loss.savable if life.loss else None
    if plan.lifetime == current.lifetime:
        why = "The lifetime in force is kept: a buffer within it does what is wanted."
    elif plan.lifetime < current.lifetime:
        why = f"A stolen or revoked token may be good for at most {plan.lifetime:g} s."
    else:
        why = f"It is the shortest that has room for a buffer of {plan.buffer:g} s, under its half."
    if not life.is_met:
        why = "No lifetime that is allowed loses as little as is wanted; this one loses least."
    if life.loss is None:
        why = "Nothing is known of how people come, so it stays."
    yield Recommendation(
        table="renewal", key="lifetime_seconds", value=number(plan.lifetime), unit="seconds",
        reason=why, inputs=(*evidence, "--max-lost", "--max-lifetime-seconds"),
        interval=savable, interval_of="share of renewals lost, of those a buffer can save",
        would_change="another --max-lifetime-seconds or --revocation-seconds, or longer pauses",
    )  # fmt: skip
    met = "at most the target of" if life.is_met else "more than the target of"
    lost = (
        "Nothing is known of how people come, so it stays."
        if savable is None
        else f"{_percent(savable.value)} of renewals come later than this and are lost, {met}"
        f" {_percent(targets.max_lost)}{_as_far_as(predictor, life)}."
    )
    yield Recommendation(
        table="renewal", key="buffer_seconds", value=number(plan.buffer), unit="seconds",
        reason=lost, inputs=(*evidence, "--max-lost", "--outage-seconds"), interval=savable,
        interval_of="share of renewals lost, of those a buffer can save",
        would_change="another --max-lost or --outage-seconds, which it outlasts where it can, or"
        " people who pause otherwise",
    )  # fmt: skip
    plain = predictor.factor(replace(plan, policy="plain"))
    yield Recommendation(
        table="renewal", key="policy", value="grid", unit="",
        reason=f"People who sign in together renew apart: the highest rate is"
        f" {outcome.storm_factor:.2f} times the steady one, where a plain threshold has"
        f" {plain:.0f} times.",
        inputs=("sessions", *evidence, "login spread"),
        interval=Interval(value=outcome.storm_factor, low=1.0, high=outcome.noise95),
        interval_of="storm factor, up to what chance alone makes of spread sessions",
        would_change="nothing: no policy is flatter at the same lifetime and buffer",
    )  # fmt: skip
    yield Recommendation(
        table="renewal", key="jitter_width", value=None, unit="share",
        reason="The grid spreads all of the period, so no jitter is added.", inputs=("policy",),
        would_change="the policy jitter, which needs half the period or more to be as flat",
    )  # fmt: skip
    margin = _margin(predictor, plan)
    yield Recommendation(
        table="renewal", key="hard_margin_seconds", value=number(margin), unit="seconds",
        reason="With less life left than a slow answer and a retry take, a renewal never waits.",
        inputs=("p99.9 of answers", "buffer"),
        would_change="slower answers, or a shorter buffer",
    )  # fmt: skip
    yield from _session(predictor, plan)
    if predictor.is_crowd_known:
        yield from _budget(predictor, plan, outcome)


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"


def _as_far_as(predictor: Predictor, life: Life) -> str:
    """Say where the evidence ends before the target does."""
    if life.loss is None or not life.is_met:
        return ""
    shown = most_with_none_seen(life.loss.cycles)
    if shown <= predictor.facts.targets.max_lost:
        return ""
    return (
        f" as far as {life.loss.cycles:,.0f} cycles can tell, which show no less than"
        f" {_percent(shown)}"
    )


def _p999(predictor: Predictor) -> float:
    served = predictor.facts.served
    return served.p999 if served is not None else 1.0


def _margin(predictor: Predictor, plan: Plan) -> float:
    wanted = max(10.0, math.ceil(3 * _p999(predictor)))
    return wanted if wanted < plan.buffer / 4 else plan.buffer / 4


def _session(predictor: Predictor, plan: Plan) -> Iterator[Recommendation]:
    targets, current = predictor.facts.targets, predictor.facts.current
    cap = max(targets.session_cap or current.max_session, plan.lifetime)
    yield Recommendation(
        table="renewal", key="max_session_seconds", value=number(cap), unit="seconds",
        reason="So long a session may slide before somebody has to sign in again.",
        inputs=("--session-cap-seconds",) if targets.session_cap else ("settings in force",),
        would_change="another --session-cap-seconds",
    )  # fmt: skip
    yield spread_ends("renewal", cap)


def _budget(predictor: Predictor, plan: Plan, outcome: Outcome) -> Iterator[Recommendation]:
    outage = predictor.facts.targets.outage
    signed = outcome.renewals_per_second * outcome.signatures_per_renewal
    total = plan.budget or signed * 1.5
    allowed = total / outcome.signatures_per_renewal
    found = recovery(predictor.crowd(), plan.lifetime, plan.buffer, outage, outcome.window, allowed)
    each = max(0.1, math.ceil(total / plan.workers * 10) / 10)
    safe = (
        "nobody who goes on asking is lost"
        if found.is_lossless
        else "those due in its beginning are lost"
    )
    yield Recommendation(
        table="budget", key="renewals_per_second", value=number(each),
        unit="signatures per second of each process",
        reason=f"It is {total / signed:.2g} times the steady rate, so after an outage of"
        f" {outage:g} s the renewals come at {found.peak:.3g} a second at most, are done"
        f" {_for(found.drained_after)} later, and {safe}.",
        inputs=("sessions", "lifetime", "buffer", "workers", "--outage-seconds"),
        interval=Interval(value=signed / plan.workers, low=0.0, high=each),
        interval_of="steady signatures per second of each process, up to the budget",
        would_change="more sessions than were counted: near the steady rate a budget loses some",
    )  # fmt: skip
    load = signed / plan.workers / each
    yield Recommendation(
        table="budget", key="burst", value=number(plan.burst), unit="signatures at once",
        reason=f"With so many in reserve chance puts off at most {put_off(load, plan.burst):.1g} of"
        " the renewals in quiet times; some of those who are put off do not come again.",
        inputs=("budget", "--max-lost"),
        would_change="another --max-lost, or a budget nearer to the steady rate",
    )  # fmt: skip


def _for(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:.0f} s"


def _signing(predictor: Predictor, plan: Plan, outcome: Outcome) -> Iterator[Recommendation]:
    verify, sign = costs_of(predictor.facts.costs, plan.algorithm)
    if not predictor.facts.current.slides:  # off_loop is of successors
        if predictor.is_crowd_known:
            yield _algorithm(predictor, plan, outcome, verify, sign)
        return
    is_auto = plan.algorithm.startswith(("RS", "PS")) == plan.off_loop
    yield Recommendation(
        table="signing", key="off_loop", value="auto" if is_auto else plan.off_loop, unit="",
        reason=f"A signature of {plan.algorithm} takes {sign * 1e6:.0f} us: "
        + (
            "in a thread it does not hold up the others on the loop."
            if plan.off_loop
            else "less than a thread's hop would cost."
        ),
        inputs=(f"costs of {predictor.facts.costs.source}",),
        interval=_signature(predictor, plan, sign),
        interval_of="us that a signature takes",
        would_change="another algorithm or key size",
    )  # fmt: skip
    if predictor.is_crowd_known:
        yield _algorithm(predictor, plan, outcome, verify, sign)


def _signature(predictor: Predictor, plan: Plan, sign: float) -> Interval | None:
    between = predictor.facts.costs.sign_between.get(plan.algorithm)
    return between and Interval(value=sign * 1e6, low=between[0], high=between[1])


def _algorithm(
    predictor: Predictor, plan: Plan, outcome: Outcome, verify: float, sign: float
) -> Recommendation:
    """Advise on the algorithm by what it costs at this load; the keys decide, not the file."""
    timeout = predictor.facts.targets.timeout
    misses = (1 - outcome.hit_ratio) * predictor.peak_rps
    signed = outcome.renewals_per_second * outcome.signatures_per_renewal

    def load(costs: tuple[float, float]) -> float:
        return misses * costs[0] + signed * costs[1]

    choices = {
        name: load(costs_of(predictor.facts.costs, name))
        for name in ("RS256", "ES256", "EdDSA")
        if name in predictor.facts.costs.sign or name == "EdDSA"
    }
    cheapest = min(choices, key=lambda name: choices[name])
    own = load((verify, sign))
    bare = predictor.without_memo(plan)
    memo = f"; without a memo of successors an expiry window would pile up {_piled(bare.backlog)}"
    memo += "" if bare.is_safe(timeout) else ", which would collapse"
    wins = own > 1.5 * choices[cheapest] and own > 0.02
    return Recommendation(
        table="", key="algorithm", value=cheapest if wins else plan.algorithm, unit="",
        reason=f"At the busiest second {plan.algorithm} takes {own:.2%} of a core,"
        + (" and none less" if cheapest == plan.algorithm
           else f" {cheapest} {choices[cheapest]:.2%}")
        + (f"{memo}." if predictor.facts.current.slides else "."),
        inputs=(f"costs of {predictor.facts.costs.source}", "requests", "renewals", "hit ratio"),
        interval=Interval(
            value=own, low=min(own, *choices.values()), high=max(own, *choices.values())
        ),
        interval_of="share of a core, over the algorithms",
        would_change="clients or partners that need another one; keys are changed by rotation",
    )  # fmt: skip


def _piled(backlog: float) -> str:
    if backlog <= 0:
        return "no work"
    return "work without end" if math.isinf(backlog) else f"{backlog:.2g} s of work"


def _cache(predictor: Predictor, plan: Plan, outcome: Outcome) -> Iterator[Recommendation]:
    size = plan.cache_entries * predictor.facts.costs.entry_bytes
    hits = Interval(value=outcome.hit_ratio, low=max(0.0, outcome.hit_ratio * 0.85),
                    high=min(1.0, outcome.hit_ratio * 1.15))  # fmt: skip
    yield Recommendation(
        table="cache", key="max_entries", value=plan.cache_entries, unit="tokens in each process",
        reason=f"{outcome.entries_needed:,.0f} tokens are in use within a cache lifetime,"
        f" replaced ones included; {outcome.hit_ratio:.1%} of verifications are hits.",
        inputs=("sessions", *_evidence(predictor), "workers", "--memory-mb"),
        interval=hits, interval_of="hit ratio, with the 15 % by which the model may be off",
        would_change="more sessions, other visits, or another --memory-mb",
    )  # fmt: skip
    yield Recommendation(
        table="cache", key="max_bytes", value=_bytes(size * 1.5), unit="bytes in each process",
        reason=f"A token takes {predictor.facts.costs.entry_bytes:,.0f} bytes, with room for larger"
        " ones.",
        inputs=(f"costs of {predictor.facts.costs.source}",),
        would_change="larger tokens",
    )  # fmt: skip
    yield Recommendation(
        table="cache", key="lifetime_seconds", value=number(plan.cache_lifetime), unit="seconds",
        reason="A longer one would be worth less than 1 % of hits; exp and revocations are looked"
        " at on every hit all the same.",
        inputs=_evidence(predictor), interval=hits,
        interval_of="hit ratio, with the 15 % by which the model may be off",
        would_change="people who come more seldom",
    )  # fmt: skip


def _bytes(size: float) -> int:
    """Round up to whole MiB."""
    return max(1, math.ceil(size / 2**20)) * 2**20


def _keys(predictor: Predictor) -> Iterator[Recommendation]:
    targets = predictor.facts.targets
    if not predictor.facts.current.has_issuers:
        return
    rotation = Rotation(
        published_ahead=targets.published_ahead,
        withdrawn_within=targets.revocation,
        outage=max(3_600.0, targets.outage),
    )
    times = key_times(rotation, _JWKS_TIMEOUT)
    known = targets.published_ahead is not None
    inputs = ("--key-overlap-seconds",) if known else ("nothing known of the rotation",)
    if times.may_meet_unknown:
        wait = unknown_kid_wait(times.cooldown, _JWKS_TIMEOUT)
        why = f"A new key may sign before it is fetched; it is refused for at most {wait:g} s."
    else:
        why = (
            "A key is fetched before it signs, with time for a slow answer and clocks that differ."
        )
    yield advised("jwks", "lifetime_seconds", times.lifetime, "seconds", why, inputs,
               "another overlap of the issuer's keys")  # fmt: skip
    yield advised("jwks", "most_lifetime_seconds", times.most_lifetime, "seconds",
               f"A withdrawn key verifies for at most so long; {times.withdrawn_in_outage:g} s in"
               " an outage of the issuer.", ("--revocation-seconds",),
               "another --revocation-seconds")  # fmt: skip
    yield advised("jwks", "cooldown_seconds", times.cooldown, "seconds",
               "So seldom made-up key ids can make us ask the issuer.", inputs,
               "an issuer that counts requests, or one that rotates without notice")  # fmt: skip
    yield advised("jwks", "stale_seconds", times.stale, "seconds",
               f"An outage of the issuer of {rotation.outage:g} s refuses nobody.",
               ("--outage-seconds",), "a stricter bound on withdrawn keys")  # fmt: skip
    kids = kids_to_remember(_MADE_UP_KIDS, _KID_SECONDS)
    yield advised("jwks_limits", "unknown_kids", kids, "ids",
               f"{_MADE_UP_KIDS:g} made-up key ids a second are remembered for"
               f" {_KID_SECONDS:g} s.", ("judgement",), "a larger flood")  # fmt: skip


def _workers(predictor: Predictor, plan: Plan, outcome: Outcome) -> Recommendation:
    steady = steady_rate(predictor.sessions, plan.lifetime, plan.buffer)
    return Recommendation(
        table="", key="workers", value=plan.workers,
        unit="process" if plan.workers == 1 else "processes",
        reason=f"{predictor.peak_rps:,.0f} requests and {steady:.3g} renewals a second keep each"
        f" {outcome.cpu_share:.0%} busy, and 99 of 100 wait at most"
        f" {outcome.p99_wait * 1e3:.2g} ms for it"
        + ("." if plan.workers > 1 else "; a second one is for restarts."),
        inputs=("requests", "processor time of a request", "--cpu-share"),
        interval=Interval(value=outcome.cpu_share, low=outcome.cpu_share * 0.8,
                          high=outcome.cpu_share * 1.2),
        interval_of="share of a core, with the 20 % by which the model may be off",
        would_change="more requests, a dearer application, or another --cpu-share",
    )  # fmt: skip
