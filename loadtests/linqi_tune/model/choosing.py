"""From facts and targets to three options, none better than another in everything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from linqi_tune.model.advice import Advice, Name, Option
from linqi_tune.model.budgets import budget_rate, burst_for
from linqi_tune.model.contradictions import contradictions_of
from linqi_tune.model.facts import Facts
from linqi_tune.model.lifetimes import (
    Life,
    choose_life,
    lifetimes_for,
    longest_lifetime,
    outlasting,
)
from linqi_tune.model.notes import notes_of
from linqi_tune.model.plans import Plan, Predictor, costs_of
from linqi_tune.model.reasons import recommendations_of
from linqi_tune.model.storms import steady_rate

__all__ = ["advise"]

_SAFER_LOSS: Final = 0.2
"""Of the target: room for tomorrow's visitors."""
_CACHE_LIVES: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
_ENTRIES: Final = {"safer": 1.5, "balanced": 1.1, "leaner": 0.6}
"""Times the entries that only age would end."""
_OUTAGES: Final[Mapping[Name, float]] = {"safer": 2.0, "balanced": 1.0, "leaner": 0.5}
"""Times the outage of the store that clients shall outlast."""
_BUDGETS: Final = {"safer": 2.0, "balanced": 1.5, "leaner": 1.5}
_SHARE_OF_TARGET: Final = 0.1
"""Of the loss that is allowed, what the budget may cause: not all it puts off come again."""
_MOST_PUT_OFF: Final = 1e-3
_LEAST_ENTRIES: Final = 1_000
_LEAST_BUDGET: Final = 10.0
"""Entries and signatures per second of a process that cost next to nothing: a log that shows only
some of the people must not make a budget that loses the others."""
_OFF_LOOP_SECONDS: Final = 150e-6
"""Of a signature: beyond it a thread's hop is the lesser delay for the others on the loop."""
_WORTH_HAVING: Final = 0.01


def advise(facts: Facts) -> Advice:
    """Give the settings that fit `facts`."""
    predictor = Predictor(facts)
    current = predictor.current()
    now = predictor.outcome(current)
    lives = _lives_of(predictor)
    plans = {name: _plan(predictor, name, life) for name, life in lives.items()}
    options = []
    for name, plan in plans.items():
        outcome = predictor.outcome(plan)
        options.append(
            Option(
                name=name,
                plan=plan,
                outcome=outcome,
                recommendations=recommendations_of(predictor, plan, outcome, lives[name]),
            )
        )
    balanced = options[1]
    return Advice(
        plan=current,
        outcome=now,
        options=tuple(options),
        contradictions=contradictions_of(
            predictor, lives["balanced"], balanced.plan, balanced.outcome
        ),
        notes=notes_of(predictor, balanced.outcome),
    )


def _lives_of(predictor: Predictor) -> dict[Name, Life]:
    """Give the lifetime and the buffer of each option."""
    facts = predictor.facts
    most, _ = longest_lifetime(facts)
    outage = facts.targets.outage
    if not facts.current.slides:
        lifetime = min(facts.current.lifetime, most)
        return {name: outlasting(lifetime, outage * share) for name, share in _OUTAGES.items()}
    lifetimes = lifetimes_for(facts.current.lifetime, most)
    target = facts.targets.max_lost
    balanced = choose_life(predictor, lifetimes, target, least=outage)
    safer = choose_life(predictor, lifetimes, target * _SAFER_LOSS, least=outage)
    if not safer.is_met:
        # As good as the evidence allows at the lifetime that the balanced one needs.
        at = [lifetime for lifetime in lifetimes if lifetime <= balanced.lifetime][-1:]
        safer = choose_life(predictor, at, target * _SAFER_LOSS, least=outage)
    leaner = choose_life(predictor, lifetimes, target, least=outage, by_upper=False)
    if not leaner.is_met:
        leaner = choose_life(predictor, lifetimes[:1], target, least=outage, by_upper=False)
    return {"safer": safer, "balanced": balanced, "leaner": leaner}


def _plan(predictor: Predictor, name: Name, life: Life) -> Plan:
    """Give the plan of an option."""
    facts, targets = predictor.facts, predictor.facts.targets
    current = predictor.current()
    algorithm = targets.algorithm or current.algorithm
    _, sign = costs_of(facts.costs, algorithm)
    plan = replace(
        current,
        lifetime=life.lifetime,
        buffer=life.buffer,
        policy="grid",
        algorithm=algorithm,
        off_loop=sign > _OFF_LOOP_SECONDS,
        cache_entries=10**9,
    )
    if not predictor.is_crowd_known:  # what depends on how many there are stays
        return replace(
            plan, cache_entries=current.cache_entries, workers=targets.workers or current.workers
        )
    # The safer option has one worker to lose.
    plan = replace(plan, workers=targets.workers or predictor.workers_for(plan) + (name == "safer"))
    plan = replace(plan, cache_lifetime=_cache_lifetime(predictor, plan))
    plan = replace(plan, cache_entries=_entries(predictor, name, plan))
    if not facts.current.slides:
        return replace(plan, budget=None)
    signed = steady_rate(predictor.sessions, plan.lifetime, plan.buffer) * predictor.duplicates(
        plan
    )
    budget = max(budget_rate(signed, _BUDGETS[name]), _LEAST_BUDGET * plan.workers)
    chance = min(_MOST_PUT_OFF, targets.max_lost * _SHARE_OF_TARGET)
    return replace(plan, budget=budget, burst=float(burst_for(signed / budget, chance)))


def _cache_lifetime(predictor: Predictor, plan: Plan) -> float:
    """Give the shortest of a few lives from which on a longer one is worth under 1 % of hits."""
    lives = [life for life in _CACHE_LIVES if life < plan.lifetime] + [plan.lifetime]
    best = predictor.hit(replace(plan, cache_lifetime=plan.lifetime))
    return next(
        life
        for life in lives
        if predictor.hit(replace(plan, cache_lifetime=life)) >= best - _WORTH_HAVING
        or life == lives[-1]
    )


def _entries(predictor: Predictor, name: Name, plan: Plan) -> int:
    """Give the entries of each worker's cache, within the memory that is allowed."""
    needed = max(float(_LEAST_ENTRIES), predictor.entries(plan) * _ENTRIES[name])
    memory = predictor.facts.targets.memory_mb
    room = math.inf if memory is None else memory * 1e6 / predictor.facts.costs.entry_bytes
    digits = int(10 ** max(0, math.floor(math.log10(max(min(needed, room), 1))) - 1))
    if room < needed:
        return max(1, math.floor(room / digits) * digits)
    return min(100_000_000, math.ceil(needed / digits) * digits)
