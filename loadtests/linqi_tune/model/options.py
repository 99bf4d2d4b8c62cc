"""Three options of settings, none of which is better than another in every figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from linqi.sessions.storm_factor import steady_rate
from linqi_tune.model.advice import Advice, Option, OptionName
from linqi_tune.model.budgets import budget_rate, burst_for
from linqi_tune.model.contradictions import contradictions_of
from linqi_tune.model.lifetimes import (
    LifetimeChoice,
    fewest_renewals,
    fewest_sign_ins,
    lifetime_for_outage,
    lifetimes_for,
    longest_lifetime,
)
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.notes import notes_of
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.policy_trade import policy_trades
from linqi_tune.model.predictor import Predictor, costs_of
from linqi_tune.model.recommendations import recommendations_of
from linqi_tune.model.refresh_option import refresh_option

__all__ = ["advise"]

_CACHE_LIFETIMES: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
_ENTRIES: Final = {"safer": 1.5, "balanced": 1.1, "leaner": 0.6}
"""Multiples of the entries with which none is evicted before it expires."""
_OUTAGES: Final[Mapping[OptionName, float]] = {"safer": 2.0, "balanced": 1.0, "leaner": 0.5}
"""Multiples of the store's outage that clients must survive."""
_BUDGETS: Final = {"safer": 2.0, "balanced": 1.5, "leaner": 1.5}
_MOST_DEFERRED: Final = 1e-4
"""The share of renewals that chance may defer outside storms: a deferred one may come too late."""
_LEAST_ENTRIES: Final = 1_000
_LEAST_BUDGET: Final = 10.0
"""Entries and signatures per second of a process that cost very little: a log of only some of the
sessions must not lead to a budget that loses the others."""
_OFF_LOOP_SECONDS: Final = 150e-6
"""Seconds of a signature above which a thread delays other requests on the loop less."""
_WORTH_HAVING: Final = 0.01


def advise(measurements: Measurements) -> Advice:
    """Return the settings that suit `measurements`, as three options with their reasons."""
    predictor = Predictor(measurements)
    current = predictor.current_plan()
    now = predictor.outcome(current)
    choices = _lifetimes_of(predictor)
    plans = {name: _plan(predictor, name, choice) for name, choice in choices.items()}
    outcomes = {name: predictor.outcome(plan) for name, plan in plans.items()}
    refreshed = refresh_option(predictor, outcomes["balanced"])
    options = []
    for name, plan in plans.items():
        outcome = outcomes[name]
        options.append(
            Option(
                name=name,
                plan=plan,
                outcome=outcome,
                recommendations=recommendations_of(predictor, plan, outcome, choices[name]),
                contradictions=contradictions_of(
                    predictor, choices[name], plan, outcome, refreshed
                ),
            )
        )
    return Advice(
        plan=current,
        outcome=now,
        options=tuple(options),
        refreshed=refreshed,
        policies=policy_trades(predictor, plans["balanced"]),
        notes=notes_of(predictor, outcomes["balanced"]),
    )


def _lifetimes_of(predictor: Predictor) -> dict[OptionName, LifetimeChoice]:
    """Return the lifetime and the buffer of each option."""
    measurements = predictor.measurements
    most, _ = longest_lifetime(measurements)
    outage = measurements.targets.outage
    if not measurements.current.slides:
        lifetime = min(measurements.current.lifetime, most)
        return {
            name: lifetime_for_outage(predictor, lifetime, outage * share)
            for name, share in _OUTAGES.items()
        }
    lifetimes = lifetimes_for(measurements.current.lifetime, most)
    target = measurements.targets.max_sign_ins
    return {
        "safer": fewest_sign_ins(predictor, lifetimes[:1], target=target, least=outage),
        "balanced": fewest_sign_ins(predictor, lifetimes, target=target, least=outage),
        "leaner": fewest_renewals(predictor, lifetimes, target=target, least=outage),
    }


def _plan(predictor: Predictor, name: OptionName, choice: LifetimeChoice) -> SettingsPlan:
    """Return the plan of an option."""
    measurements, targets = predictor.measurements, predictor.measurements.targets
    current, advised = predictor.current_plan(), predictor.advised_plan()
    _, sign = costs_of(measurements.costs, advised.algorithm)
    plan = replace(
        advised,
        lifetime=choice.lifetime,
        buffer=choice.buffer,
        max_session=max(advised.max_session, choice.lifetime),
        off_loop=sign > _OFF_LOOP_SECONDS,
        cache_entries=10**9,
    )
    if not predictor.is_session_count_known:  # settings that depend on it stay
        return replace(
            plan, cache_entries=current.cache_entries, workers=targets.workers or current.workers
        )
    # The safer option can lose a worker.
    plan = replace(plan, workers=targets.workers or predictor.workers_for(plan) + (name == "safer"))
    plan = replace(plan, cache_lifetime=_cache_lifetime(predictor, plan))
    plan = replace(plan, cache_entries=_entries(predictor, name, plan))
    if not measurements.current.slides:
        return replace(plan, budget=None)
    rate = steady_rate(predictor.sessions, plan.period)
    signed = rate * predictor.signatures_per_renewal(plan)
    budget = max(budget_rate(signed, _BUDGETS[name]), _LEAST_BUDGET * plan.workers)
    return replace(plan, budget=budget, burst=float(burst_for(signed / budget, _MOST_DEFERRED)))


def _cache_lifetime(predictor: Predictor, plan: SettingsPlan) -> float:
    """Return the shortest cache lifetime from which a longer one adds less than 1 % of hits."""
    lives = [life for life in _CACHE_LIFETIMES if life < plan.lifetime] + [plan.lifetime]
    best = predictor.hit_share(replace(plan, cache_lifetime=plan.lifetime))
    return next(
        life
        for life in lives
        if predictor.hit_share(replace(plan, cache_lifetime=life)) >= best - _WORTH_HAVING
        or life == lives[-1]
    )


def _entries(predictor: Predictor, name: OptionName, plan: SettingsPlan) -> int:
    """Return the entries of each worker's cache, within the allowed memory."""
    needed = max(float(_LEAST_ENTRIES), predictor.entries_needed(plan) * _ENTRIES[name])
    memory = predictor.measurements.targets.memory_mb
    room = math.inf if memory is None else memory * 1e6 / predictor.measurements.costs.entry_bytes
    digits = int(10 ** max(0, math.floor(math.log10(max(min(needed, room), 1))) - 1))
    if room < needed:
        return max(1, math.floor(room / digits) * digits)
    return min(100_000_000, math.ceil(needed / digits) * digits)
