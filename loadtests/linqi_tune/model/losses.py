"""Renewals lost because no request came while the token was near expiry."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.intervals import Interval, bootstrap_interval, rule_of_three, wilson_interval

__all__ = ["LagCounts", "Loss", "loss_by_gaps", "loss_by_lags", "loss_by_rate", "losses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The share of renewals that come too late, per cycle of a session.

    Attributes:
        savable: The share that a longer buffer would have saved.
        beyond: The share lost to gaps longer than the lifetime, which no buffer saves.
        cycles: The number of cycles that the measurements amount to.

    """

    savable: Interval
    beyond: float
    cycles: float

    @property
    def total(self) -> float:
        """The sum of both shares."""
        return self.savable.value + self.beyond

    @classmethod
    def none(cls) -> Loss:
        """Return the loss of sessions with refresh tokens, which outlive every pause: 0."""
        return cls(savable=Interval(value=0.0, low=0.0, high=0.0), beyond=0.0, cycles=math.inf)


def loss_by_rate(rate: float, buffer: float) -> float:
    """Return ``exp(-rate * buffer)``: the loss if visits were a Poisson process.

    `rate` is per second, `buffer` in seconds. Real visits are no Poisson process: for users who
    click and then read it can be wrong by a factor of 2,000. It is shown for comparison only.
    """
    return math.exp(-rate * buffer)


def loss_by_gaps(
    gaps: GapDistribution, lifetime: float, buffer: float
) -> tuple[float, float, float]:
    """Return the savable loss, the loss beyond the lifetime, and the cycles.

    With ``A = lifetime - buffer``, a token falls due at a random place of its session's gaps, but
    a gap contains at most one due token: the first one is not renewed before the gap ends. So
    the share lost is ``sum(min((g - buffer)+, A)) / sum(min(g, A))``, the integral of the
    survival function from ``buffer`` to ``lifetime`` over the one from 0 to A: the residual life
    of renewal theory (Cox, 1962), capped. Gaps above the lifetime add ``A`` each to both sums.
    """
    return _shares([_sums(gaps, lifetime, buffer)], lifetime - buffer)


def losses(
    groups: Sequence[GapDistribution], lifetime: float, buffer: float, *, with_interval: bool = True
) -> Loss:
    """Return the loss with its interval.

    `groups` are the gaps of disjoint sets of sessions. With one group nothing can be resampled:
    the interval is that of independent cycles, which is too narrow where the gaps of a session
    resemble each other. It never ends below the rule of three. Without `with_interval` it is 0 to
    1, and quick to compute.
    """
    period = lifetime - buffer
    sums = [_sums(group, lifetime, buffer) for group in groups]
    savable, beyond, cycles = _shares(sums, period)
    if not with_interval:
        interval = Interval(value=savable, low=0.0, high=1.0)
    elif len(groups) < 2:
        interval = wilson_interval(savable * cycles, cycles)
    else:
        drawn = bootstrap_interval(sums, lambda some: _shares(some, period)[0])
        high = max(drawn.high, min(1.0, savable + rule_of_three(cycles)))
        interval = Interval(value=savable, low=drawn.low, high=high)
    return Loss(savable=interval, beyond=beyond, cycles=cycles)


_Sums: TypeAlias = tuple[float, float, float]
"""Seconds of gaps: lost but savable by a buffer, lost beyond the lifetime, and all due ones."""


def _sums(gaps: GapDistribution, lifetime: float, buffer: float) -> _Sums:
    period = lifetime - buffer
    lost = gaps.restricted_mean(lifetime) - gaps.restricted_mean(buffer) if gaps.total else 0.0
    beyond = gaps.share_above(lifetime) * period
    due = gaps.restricted_mean(period) if gaps.total else 0.0
    return max(0.0, lost - beyond) * gaps.total, beyond * gaps.total, due * gaps.total


def _shares(sums: Sequence[_Sums], period: float) -> tuple[float, float, float]:
    """Return the shares of both losses, and the cycles."""
    savable = beyond = due = 0.0
    for one in sums:
        savable, beyond, due = savable + one[0], beyond + one[1], due + one[2]
    if due <= 0:
        return 0.0, 0.0, 0.0
    return savable / due, beyond / due, due / period


@dataclass(frozen=True, slots=True, kw_only=True)
class LagCounts:
    """A histogram of renewal lags: from due to the first request at or after it, in seconds.

    Attributes:
        bounds: Rising bounds in seconds.
        counts: Cumulative counts of lags up to each bound, as Prometheus has them.
        total: The count of all lags, those above the last bound included.
        silent: Due tokens whose session sent no further request: their lags are above any bound,
            or their users left; which of the two is unknown.

    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float
    silent: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float], counts: Sequence[float], silent: float = 0.0) -> LagCounts:
        """Return the histogram of plain counts, each of one of the rising `values`."""
        sums = tuple(itertools.accumulate(counts))
        return cls(
            bounds=tuple(values), counts=sums, total=sums[-1] if sums else 0.0, silent=silent
        )

    def above(self, seconds: float) -> float:
        """Return how many lags exceed `seconds`; between two bounds, how many exceed the lower."""
        place = bisect.bisect_right(self.bounds, seconds)
        return self.total - (self.counts[place - 1] if place else 0.0)


def loss_by_lags(
    lags: LagCounts, buffer: float, by_session: Sequence[Sequence[float]] = ()
) -> Interval:
    """Return the share of renewals lost with a buffer of `buffer` seconds, from measured lags.

    That share is the survival function of the lag: a lag above the buffer means an expired token.
    No log and no number of workers is needed, as the due instant is in the token, but the lags
    must include expired tokens that were presented. With `by_session` the interval draws whole
    sessions, without it lags. The distribution of the lags depends on ``lifetime - buffer`` where
    gaps are as long: far from the buffer at which it was measured the result is too high, and the
    interval does not cover that. Measure again after each change.
    """
    found = wilson_interval(lags.above(buffer), lags.total)
    if len(by_session) < 2:
        return found
    sums = [(sum(lag > buffer for lag in one), len(one)) for one in by_session]

    def share(drawn: Sequence[tuple[int, int]]) -> float:
        due = sum(trials for _, trials in drawn)
        return sum(late for late, _ in drawn) / due if due else 0.0

    drawn = bootstrap_interval(sums, share)
    return Interval(
        value=found.value,
        low=min(found.value, drawn.low),
        high=max(drawn.high, found.value + rule_of_three(lags.total)),
    )
