"""The best settings of a search, replayed on a log that nothing was tuned on."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from linqi_tune.model.replay import LongPauses, replay
from linqi_tune.model.session_rule import SessionRule

DRAWS = (0.25, 0.75)


def forced_in(pauses: LongPauses, rule: SessionRule) -> float:
    """Return the forced sign-ins of all persons under `rule`, a mean of two draws of phases."""
    found = (len(replay(pauses.above(rule.buffer), rule, draw)) for draw in DRAWS)
    return sum(found) / len(DRAWS)


def best_of_search(
    pages: Sequence[array[float]], base: SessionRule, most_lifetime: float, steps: int = 20
) -> tuple[SessionRule, float]:
    """Return the rule that forces fewest sign-ins, with their number.

    Searched are `steps` lifetimes, evenly up to `most_lifetime`, and for each of them `steps`
    buffers, evenly up to 49 % of it.
    """
    pauses = LongPauses(pages)
    pauses.above(most_lifetime / steps * 0.49 / steps)  # the longest list, which has all others
    rules = (
        replace(base, lifetime=lifetime, buffer=lifetime * 0.49 * n / steps)
        for lifetime in (most_lifetime * n / steps for n in range(1, steps + 1))
        for n in range(1, steps + 1)
    )
    return min(((rule, forced_in(pauses, rule)) for rule in rules), key=lambda pair: pair[1])


def excess_over_best(
    pages: Sequence[array[float]], tuned: SessionRule, most_lifetime: float, steps: int = 20
) -> float:
    """Return by which share `tuned` forces more sign-ins on `pages` than the best of the search."""
    _, least = best_of_search(pages, tuned, most_lifetime, steps)
    found = forced_in(LongPauses(pages), tuned)
    return found / least - 1 if least else float(found > 0)
