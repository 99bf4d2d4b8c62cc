"""Forced sign-ins per person and day: what the settings of a session cost its users."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from linqi_tune.model.histories import Histories
from linqi_tune.model.intervals import Interval
from linqi_tune.model.person_days import BLOCKS, DAY, PersonDays
from linqi_tune.model.rate_intervals import Cell, clustered_rate
from linqi_tune.model.replay import Cause, LongPauses, replay, replay_tokens
from linqi_tune.model.session_rule import SessionRule

__all__ = ["ForcedSignIns", "SignInModel"]

_LIFETIMES: Final = 10
"""A log of fewer lifetimes shows too few of the pauses that last as long as one."""
_LEAST_LOG: Final = 2 * DAY
"""A shorter log shows too few returns on the next day: its intervals are 4 times as high as low."""
_DRAWS: Final = 4
_QUICK_PAGES: Final = 400_000
_QUICK_PERSONS: Final = 200
_SEED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedSignIns:
    """Sign-ins that a rule forces, per person and day.

    Attributes:
        total: The figure, with the interval that holds 95 of 100 later periods as long as the log.
        savable: The part that a longer buffer would have saved.
        beyond: The part lost to pauses of at least the lifetime, which no buffer saves.
        capped: The part that the end of the session forced.
        renewals: Successors per person and day, the cost of the rule.
        seen: The mean count of forced sign-ins in the sample.
        person_days: The persons and days of the sample.
        is_resolved: Whether the log spans two days and 10 lifetimes. If it spans fewer lifetimes,
            the interval extends to the upper end of the longest lifetime that it spans 10 times: a
            longer one forces fewer.

    """

    total: Interval
    savable: float
    beyond: float
    capped: float
    renewals: float
    seen: float
    person_days: float
    is_resolved: bool


_Counts: TypeAlias = defaultdict[tuple[int, int], float]


def _counts() -> _Counts:
    return defaultdict(float)


@dataclass(slots=True)
class _Replayed:
    """The forced sign-ins of a rule, each a mean over the draws."""

    cells: _Counts = field(default_factory=_counts)
    """Weighted, by person and part of the log."""
    causes: defaultdict[Cause, float] = field(default_factory=lambda: defaultdict(float))
    seen: float = 0.0
    renewals: float = 0.0
    after_long: float = 0.0
    """The weighted count of those after a pause of more than half the log."""


class SignInModel:
    """Replays the histories of one log under any rule.

    A person's first request in the log is a sign-in of its own accord. Persons who were there
    before the log began are weighted in (`PersonDays`). Whether they were cannot be seen, so the
    interval reaches from what a log alone shows, as if there had been none, to what the weights
    say, and beyond it by as many returns after more than the length of the log as there were after
    half of it to the whole.

    Attributes:
        histories: The pages of each person.
        person_days: The persons and days of the sample.

    """

    def __init__(self, histories: Histories) -> None:
        self.histories = histories
        self._pages = [pages for pages in histories.pages if pages]
        self._days = PersonDays(self._pages, histories.seconds)
        by_person = [sum(days.values()) for days in self._days.weighted]
        self.person_days = math.fsum(by_person)
        some = _some_persons(self._pages)
        self._some_pauses = LongPauses([self._pages[n] for n in some])
        self._some_days = math.fsum(by_person[n] for n in some)

    def figure(self, rule: SessionRule) -> ForcedSignIns:
        """Return the forced sign-ins under `rule`, with their interval."""
        found = self._figure(rule)
        longest = self.histories.seconds / _LIFETIMES
        if rule.lifetime <= longest or longest <= 0:
            return found
        shorter = self._figure(rule.shortened(longest))
        total = replace(found.total, high=max(found.total.high, shorter.total.high))
        return replace(found, total=total)

    def rate(self, rule: SessionRule) -> float:
        """Return the forced sign-ins per person and day without an interval.

        Quick: some of the persons, drawn at random, with about 400,000 pages, and four draws of
        phases, the same for all rules, so that rules can be compared.
        """
        if self._some_days <= 0:
            return 0.0
        pauses = self._some_pauses.above(rule.buffer)
        weights = (
            self._days.weight(one.pause)
            for n in range(_DRAWS)
            for one in replay(pauses, rule, (n + 0.5) / _DRAWS)
        )
        return math.fsum(weights) / _DRAWS / self._some_days

    def _figure(self, rule: SessionRule) -> ForcedSignIns:
        found = self._replayed(rule)
        days = self.person_days or 1.0
        return ForcedSignIns(
            total=self._interval(found),
            savable=found.causes["savable"] / days,
            beyond=found.causes["beyond"] / days,
            capped=found.causes["capped"] / days,
            renewals=found.renewals / days,
            seen=found.seen,
            person_days=self.person_days,
            is_resolved=self.histories.seconds >= max(_LEAST_LOG, rule.lifetime * _LIFETIMES),
        )

    def _replayed(self, rule: SessionRule) -> _Replayed:
        found = _Replayed()
        share = 1 / _DRAWS
        for n in range(_DRAWS):
            forced, renewals = replay_tokens(self._pages, rule, (n + 0.5) * share)
            found.renewals += renewals * share
            found.seen += len(forced) * share
            for one in forced:
                cell = one.person, self._days.block(one.at)
                weight = self._days.weight(one.pause) * share
                found.cells[cell] += weight
                found.causes[one.cause] += weight
                if one.pause > self.histories.seconds / 2:
                    found.after_long += weight
        return found

    def _interval(self, found: _Replayed) -> Interval:
        if not self.person_days:
            return Interval(value=0.0, low=0.0, high=math.inf)
        scale = self.histories.persons / len(self._pages)
        cells = _cells(self._days.weighted, found.cells)
        weighted = clustered_rate(cells, found.seen, BLOCKS, scale)
        alone = found.seen / self._days.alone
        share = min(1.0, alone / weighted.value) if weighted.value else 1.0
        return Interval(
            value=weighted.value,
            low=weighted.low * share,
            high=weighted.high + found.after_long / self.person_days,
        )


def _some_persons(pages: Sequence[Sequence[float]]) -> list[int]:
    """Return the numbers of persons drawn at random, with at most 400,000 pages.

    The order of a log is none by chance: who comes first comes often. A person counts with at most
    2,000 pages, so that there are 200 persons however many pages one of them has.
    """
    draw = random.Random(_SEED)  # noqa: S311 - a simulation
    order = draw.sample(range(len(pages)), len(pages))
    most = _QUICK_PAGES // _QUICK_PERSONS
    sums = itertools.accumulate(min(len(pages[n]), most) for n in order)
    return sorted(order[: sum(total <= _QUICK_PAGES for total in sums)])


def _cells(
    days: Sequence[Mapping[int, float]], forced: Mapping[tuple[int, int], float]
) -> Iterator[Cell]:
    for n, own in enumerate(days):
        for block in range(BLOCKS):
            if block in own or (n, block) in forced:
                yield Cell(n, block, forced.get((n, block), 0.0), own.get(block, 0.0))
