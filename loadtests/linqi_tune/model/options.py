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
    choose_lifetime,
    lifetime_for_outage,
    lifetimes_for,
    longest_lifetime,
)
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.notes import notes_of
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor, costs_of
from linqi_tune.model.recommendations import recommendations_of

__all__ = ["advise"]

_SAFER_LOSS: Final = 0.2
"""As a share of the target, to allow for other traffic."""
_CACHE_LIFETIMES: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
_ENTRIES: Final = {"safer": 1.5, "balanced": 1.1, "leaner": 0.6}
"""Multiples of the entries with which none is evicted before it expires."""
_OUTAGES: Final[Mapping[OptionName, float]] = {"safer": 2.0, "balanced": 1.0, "leaner": 0.5}
"""Multiples of the store's outage that clients must survive."""
_BUDGETS: Final = {"safer": 2.0, "balanced": 1.5, "leaner": 1.5}
_SHARE_OF_TARGET: Final = 0.1
"""The share of the allowed loss that the budget may cause: a deferred renewal may be lost."""
_MOST_DEFERRED: Final = 1e-3
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
    options = []
    for name, plan in plans.items():
        outcome = predictor.outcome(plan)
        options.append(
            Option(
                name=name,
                plan=plan,
                outcome=outcome,
                recommendations=recommendations_of(predictor, plan, outcome, choices[name]),
            )
        )
    balanced = options[1]
    return Advice(
        plan=current,
        outcome=now,
        options=tuple(options),
        contradictions=contradictions_of(
            predictor, choices["balanced"], balanced.plan, balanced.outcome
        ),
        notes=notes_of(predictor, balanced.outcome),
    )


def _lifetimes_of(predictor: Predictor) -> dict[OptionName, LifetimeChoice]:
    """Return the lifetime and the buffer of each option."""
    measurements = predictor.measurements
    most, _ = longest_lifetime(measurements)
    outage = measurements.targets.outage
    if not measurements.current.slides:
        lifetime = min(measurements.current.lifetime, most)
        return {
            name: lifetime_for_outage(lifetime, outage * share) for name, share in _OUTAGES.items()
        }
    lifetimes = lifetimes_for(measurements.current.lifetime, most)
    target = measurements.targets.max_lost
    balanced = choose_lifetime(predictor, lifetimes, target, least=outage)
    safer = choose_lifetime(predictor, lifetimes, target * _SAFER_LOSS, least=outage)
    if not safer.is_met:
        # The best that the evidence allows, at the lifetime of the balanced option.
        at = [lifetime for lifetime in lifetimes if lifetime <= balanced.lifetime][-1:]
        safer = choose_lifetime(predictor, at, target * _SAFER_LOSS, least=outage)
    leaner = choose_lifetime(predictor, lifetimes, target, least=outage, by_upper=False)
    if not leaner.is_met:
        leaner = choose_lifetime(predictor, lifetimes[:1], target, least=outage, by_upper=False)
    return {"safer": safer, "balanced": balanced, "leaner": leaner}


def _plan(predictor: Predictor, name: OptionName, choice: LifetimeChoice) -> SettingsPlan:
    """Return the plan of an option."""
    measurements, targets = predictor.measurements, predictor.measurements.targets
    current = predictor.current_plan()
    algorithm = targets.algorithm or current.algorithm
    _, sign = costs_of(measurements.costs, algorithm)
    plan = replace(
        current,
        lifetime=choice.lifetime,
        buffer=choice.buffer,
        policy="grid",
        algorithm=algorithm,
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
    chance = min(_MOST_DEFERRED, targets.max_lost * _SHARE_OF_TARGET)
    return replace(plan, budget=budget, burst=float(burst_for(signed / budget, chance)))


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
