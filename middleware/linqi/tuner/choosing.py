"""From facts and targets to three options, none better than another in everything."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from linqi.tuner.advice import Advice, Name, Option
from linqi.tuner.budgets import budget_rate, burst_for
from linqi.tuner.contradictions import contradictions_of
from linqi.tuner.facts import Facts
from linqi.tuner.lifetimes import Life, choose_life, lifetimes_for
from linqi.tuner.notes import notes_of
from linqi.tuner.plans import Plan, Predictor, costs_of
from linqi.tuner.reasons import recommendations_of
from linqi.tuner.storms import steady_rate

__all__ = ["advise", "longest_lifetime"]

_SAFER_LOSS: Final = 0.2
"""Of the target: room for tomorrow's visitors."""
_CACHE_LIVES: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
_ENTRIES: Final = {"safer": 1.5, "balanced": 1.1, "leaner": 0.6}
"""Times the entries that only age would end."""
_BUDGETS: Final = {"safer": 2.0, "balanced": 1.5, "leaner": 1.5}
_SHARE_OF_TARGET: Final = 0.1
"""Of the loss that is allowed, what the budget may cause: not all it puts off come again."""
_MOST_PUT_OFF: Final = 1e-3
_LEAST_ENTRIES: Final = 100
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


def longest_lifetime(facts: Facts) -> float:
    """Give the longest access token's life that the targets allow, in seconds."""
    most = facts.targets.most_lifetime
    if facts.targets.revocation is not None and not facts.current.has_store:
        most = min(most, facts.targets.revocation)
    if facts.targets.session_cap is not None:
        most = min(most, facts.targets.session_cap)
    return max(most, 1.0)


def _lives_of(predictor: Predictor) -> dict[Name, Life]:
    """Give the lifetime and the buffer of each option."""
    facts = predictor.facts
    lifetimes = lifetimes_for(facts.current.lifetime, longest_lifetime(facts))
    target = facts.targets.max_lost
    balanced = choose_life(predictor, lifetimes, target)
    safer = choose_life(predictor, lifetimes, target * _SAFER_LOSS)
    if not safer.is_met:
        # As good as the evidence allows at the lifetime that the balanced one needs.
        at = [lifetime for lifetime in lifetimes if lifetime <= balanced.lifetime][-1:]
        safer = choose_life(predictor, at, target * _SAFER_LOSS)
    leaner = choose_life(predictor, lifetimes, target, by_upper=False)
    if not leaner.is_met:
        leaner = choose_life(predictor, lifetimes[:1], target, by_upper=False)
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
    # The safer option has one worker to lose.
    plan = replace(plan, workers=targets.workers or predictor.workers_for(plan) + (name == "safer"))
    plan = replace(plan, cache_lifetime=_cache_lifetime(predictor, plan))
    plan = replace(plan, cache_entries=_entries(predictor, name, plan))
    signed = steady_rate(predictor.sessions, plan.lifetime, plan.buffer) * predictor.duplicates(
        plan
    )
    budget = budget_rate(signed, _BUDGETS[name])
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
    needed = predictor.entries(plan) * _ENTRIES[name]
    memory = predictor.facts.targets.memory_mb
    if memory is not None:
        needed = min(needed, memory * 1e6 / predictor.facts.costs.entry_bytes)
    digits = int(10 ** max(0, math.floor(math.log10(max(needed, 1))) - 1))
    return max(_LEAST_ENTRIES, min(100_000_000, math.ceil(needed / digits) * digits))
