"""The time from due to the first request of a token, as metrics and storms count it."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from linqi_tune.model.intervals import Interval, bootstrap_interval, rule_of_three, wilson_interval

__all__ = ["LagCounts", "loss_by_lags"]


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
