"""Visits one after the other, counted so that memory grows with sessions and not with time."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi_tune.evidence.log_lines import Visit
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.measurements import Visitors

__all__ = ["VisitCounter", "VisitSummary"]

_GROUPS: Final = 64
_PER_E_FOLD: Final = 40
"""Bins of a gap per factor of e: 2.5 % each; their means stay exact."""
_PAGE_SECONDS: Final = 1.0
_HORIZON: Final = 86_400.0
"""A session that is silent for so long is over."""
_MINUTE: Final = 60


@dataclass(slots=True)
class _Presence:
    first: float
    last: float
    group: int
    pages: int = 1
    parallel: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSummary:
    """What a log holds, beside the law of the visitors."""

    visits: int
    sessions: int
    began: float
    ended: float
    refused: int
    """Answers of 401."""
    quiet: int
    """Quiet requests, which are no visits: they count in the peak rate only."""
    out_of_order: int
    """Visits that were logged after a later one of the same session; they count as at once."""
    left: int
    """Sessions that were silent for a day or since longer than a lifetime: they say nothing of
    how long people stay away, as nobody knows whether they meant to come back."""


class VisitCounter:
    """Takes visits in the order of a log.

    Requests of a session within a second of each other are one page. `lifetime`: a session that
    came within so many seconds counts as active, and one that came within them of the end of the
    log has a gap that is not over.
    """

    def __init__(self, lifetime: float = 900.0) -> None:
        self._lifetime = lifetime
        self._there: OrderedDict[int, _Presence] = OrderedDict()
        self._bins: list[dict[int, list[float]]] = [{} for _ in range(_GROUPS)]
        self._parallel: Counter[int] = Counter()
        self._popularity: Counter[int] = Counter()
        self._begun = self._visits = self._refused = self._disordered = self._left = 0
        self._quiet = 0
        self._began, self._now = math.inf, -math.inf
        self._second = self._in_second = self._peak = 0
        self._minute = -1
        self._most_active = 0
        self._logins: deque[float] = deque()
        self._most_logins = 0

    def add(self, visit: Visit) -> None:
        """Count one."""
        if visit.is_quiet:
            self._quiet += 1
            self._tick(visit.at)
            return
        self._visits += 1
        self._refused += visit.status == 401
        self._began = min(self._began, visit.at)
        self._now = max(self._now, visit.at)
        self._tick(visit.at)
        presence = self._there.get(visit.session)
        if presence is None:
            self._begin(visit)
            return
        gap = visit.at - presence.last
        if gap < 0:
            self._disordered += 1
        if gap < _PAGE_SECONDS:
            presence.parallel += 1
            presence.last = max(presence.last, visit.at)
            return
        self._parallel[presence.parallel] += 1
        self._count_gap(presence.group, gap)
        presence.last, presence.parallel = visit.at, 1
        presence.pages += 1
        self._there.move_to_end(visit.session)

    def _begin(self, visit: Visit) -> None:
        # By order of appearance, as the hash is another one in each run.
        self._there[visit.session] = _Presence(visit.at, visit.at, self._begun % _GROUPS)
        self._begun += 1
        self._logins.append(visit.at)
        while self._logins[0] <= visit.at - _MINUTE:
            self._logins.popleft()
        # Whoever is there when the log begins has not signed in just then.
        if visit.at - self._began > self._lifetime:
            self._most_logins = max(self._most_logins, len(self._logins))

    def _count_gap(self, group: int, gap: float) -> None:
        bins = self._bins[group]
        sums = bins.setdefault(round(math.log(gap) * _PER_E_FOLD), [0.0, 0.0])
        sums[0] += 1
        sums[1] += gap

    def _tick(self, at: float) -> None:
        second = int(at)
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        self._peak = max(self._peak, self._in_second)
        minute = second // _MINUTE
        if minute != self._minute:
            self._minute = minute
            self._sweep(at)

    def _sweep(self, at: float) -> None:
        """Let those go who were silent for a day, and count who is active."""
        while self._there:
            session, presence = next(iter(self._there.items()))
            if presence.last > at - _HORIZON:
                break
            del self._there[session]
            self._finish(presence)
            self._left += 1
        active = 0
        for presence in reversed(self._there.values()):
            if presence.last < at - self._lifetime:
                break
            active += 1
        self._most_active = max(self._most_active, active)

    def _finish(self, presence: _Presence) -> None:
        self._parallel[presence.parallel] += 1
        stayed = presence.last - presence.first
        if presence.pages > 1 and stayed > 0:
            rate = (presence.pages - 1) / stayed
            self._popularity[round(math.log2(rate))] += int(stayed) + 1

    def summary(self) -> VisitSummary:
        """Tell what was counted so far."""
        recently = sum(p.last > self._now - self._lifetime for p in self._there.values())
        return VisitSummary(
            visits=self._visits,
            sessions=self._begun,
            began=self._began,
            ended=self._now,
            refused=self._refused,
            quiet=self._quiet,
            out_of_order=self._disordered,
            left=self._left + len(self._there) - recently,
        )

    def visitors(self, source: str) -> Visitors:
        """Give the law of what was counted; the counter may go on afterwards."""
        open_gaps: list[list[float]] = [[] for _ in range(_GROUPS)]
        popularity, parallel = Counter(self._popularity), Counter(self._parallel)
        kept = self._popularity, self._parallel
        self._popularity, self._parallel = popularity, parallel
        self._sweep(self._now)
        for presence in self._there.values():
            self._finish(presence)
            silent = self._now - presence.last
            if 0 < silent < self._lifetime:
                open_gaps[presence.group].append(silent)
        self._popularity, self._parallel = kept
        groups = [
            GapDistribution.binned({k: (v[0], v[1]) for k, v in bins.items()}).completed(
                GapDistribution(last)
            )
            for bins, last in zip(self._bins, open_gaps, strict=True)
            if bins
        ]
        still = sum(map(len, open_gaps))
        over = sum(count for bins in self._bins for count, _ in bins.values())
        rate = self._most_logins / _MINUTE
        return Visitors(
            groups=groups or [GapDistribution([])],
            parallel=[(float(size), float(count)) for size, count in sorted(parallel.items())],
            popularity=_classes(popularity),
            sessions=self._most_active,
            peak_rps=float(self._peak),
            login_spread=self._most_active / rate if rate else 0.0,
            open_share=still / (still + over) if still else 0.0,
            source=source,
        )


def _classes(popularity: Counter[int]) -> Sequence[tuple[float, float]]:
    """Give the shares of presence by rate, each a factor of 2 wide, against the mean rate."""
    total = sum(popularity.values())
    if not total:
        return ((1.0, 1.0),)
    rates = {place: 2.0**place for place in popularity}
    mean = sum(rates[place] * count for place, count in popularity.items()) / total
    return [(count / total, rates[place] / mean) for place, count in sorted(popularity.items())]
