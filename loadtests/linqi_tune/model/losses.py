"""Sessions lost because nobody came while their token was near expiry."""

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

    A gap longer than the lifetime is lost with any buffer: `beyond`. `savable` is the rest, which a
    longer buffer saves.
    """

    savable: Interval
    beyond: float
    cycles: float
    """How many cycles the measurements amount to."""

    @property
    def total(self) -> float:
        """Both together."""
        return self.savable.value + self.beyond

    @classmethod
    def none(cls) -> Loss:
        """Give the loss of sessions with refresh tokens, which outlive every pause."""
        return cls(savable=Interval(value=0.0, low=0.0, high=0.0), beyond=0.0, cycles=math.inf)


def loss_by_rate(rate: float, buffer: float) -> float:
    """Give ``exp(-rate * buffer)``: the loss of visits that come by a Poisson process.

    `rate` per second, `buffer` in seconds. Nobody's visits do: for people who click and then read
    it can be wrong by a factor of 2,000. It is here to be shown beside the truth.
    """
    return math.exp(-rate * buffer)


def loss_by_gaps(
    gaps: GapDistribution, lifetime: float, buffer: float
) -> tuple[float, float, float]:
    """Give the savable loss, the loss beyond the lifetime, and the cycles, of gaps in seconds.

    With ``A = lifetime - buffer``, a token falls due at a random place of its session's gaps, but
    a gap meets at most one due token: the first one it meets is not renewed before it ends. So
    the share lost is ``sum(min((g - buffer)+, A)) / sum(min(g, A))``, the integral of the
    survival function from ``buffer`` to ``lifetime`` over the one from 0 to A: the residual life
    of renewal theory (Cox, 1962), capped. Gaps above the lifetime add ``A`` each to both sums.
    """
    return _shares([_sums(gaps, lifetime, buffer)], lifetime - buffer)


def losses(
    groups: Sequence[GapDistribution], lifetime: float, buffer: float, *, with_interval: bool = True
) -> Loss:
    """Give the loss with its interval; `groups` are the gaps of disjoint sets of sessions.

    With one group there is nothing to draw from: the interval is that of so many independent
    cycles, which is too narrow where the gaps of a session resemble each other. It never ends
    below what none in so many cycles would show. Without the interval it is 0 to 1, and quick.
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
"""Seconds of gaps that are lost though a buffer could save them, lost anyhow, and due at all."""


def _sums(gaps: GapDistribution, lifetime: float, buffer: float) -> _Sums:
    period = lifetime - buffer
    lost = gaps.restricted_mean(lifetime) - gaps.restricted_mean(buffer) if gaps.total else 0.0
    beyond = gaps.share_above(lifetime) * period
    due = gaps.restricted_mean(period) if gaps.total else 0.0
    return max(0.0, lost - beyond) * gaps.total, beyond * gaps.total, due * gaps.total


def _shares(sums: Sequence[_Sums], period: float) -> tuple[float, float, float]:
    """Give the shares of both losses, and the cycles."""
    savable = beyond = due = 0.0
    for one in sums:
        savable, beyond, due = savable + one[0], beyond + one[1], due + one[2]
    if due <= 0:
        return 0.0, 0.0, 0.0
    return savable / due, beyond / due, due / period


@dataclass(frozen=True, slots=True, kw_only=True)
class LagCounts:
    """A histogram of renewal lags: from due to the first request at or after it, in seconds.

    As Prometheus counts: `counts` are cumulative, each of lags up to its bound in `bounds`, which
    rise; `total` has those above the last bound too.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float
    silent: float = 0.0
    """Due tokens whose session never came back: they are lags above any bound, or people who
    left; nobody can tell."""

    @classmethod
    def of(cls, values: Sequence[float], counts: Sequence[float], silent: float = 0.0) -> LagCounts:
        """Give the cumulative form of plain counts by rising value."""
        sums = tuple(itertools.accumulate(counts))
        return cls(
            bounds=tuple(values), counts=sums, total=sums[-1] if sums else 0.0, silent=silent
        )

    def above(self, seconds: float) -> float:
        """Give how many lags exceed `seconds`.

        Between two bounds the lower one's count is given: too many rather than too few.
        """
        place = bisect.bisect_right(self.bounds, seconds)
        return self.total - (self.counts[place - 1] if place else 0.0)


def loss_by_lags(
    lags: LagCounts, buffer: float, by_session: Sequence[Sequence[float]] = ()
) -> Interval:
    """Give the share of renewals lost with a buffer of `buffer` seconds, from measured lags.

    The survival function of the lag is that share: a lag above the buffer finds its token expired.
    It needs no log and no count of workers, as the due instant is in the token, but the lags must
    include expired tokens that were presented. With `by_session` the interval draws whole
    sessions, without it lags. The law of the lags depends on ``lifetime - buffer`` where gaps are
    as long: far from the buffer at which it was taken it errs to the safe side, and the interval
    does not cover that. Take it anew after each change.
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
