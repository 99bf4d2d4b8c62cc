"""Intervals of shares at 95 %."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from linqi_tune.model.roots import root_between

__all__ = [
    "Interval",
    "bootstrap_interval",
    "exact_interval",
    "rule_of_three",
    "wilson_interval",
]

_Z: Final = 1.959964
_TAIL: Final = 0.025
_ROUNDS: Final = 400
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and the ends of its interval, all in the same unit."""

    value: float
    low: float
    high: float

    def contains(self, other: float) -> bool:
        """Return whether `other` lies inside, the ends included."""
        return self.low <= other <= self.high


def wilson_interval(seen: float, trials: float) -> Interval:
    """Return the share ``seen / trials`` with its score interval (Wilson, JASA 22, 1927).

    Both may be fractions, where they are expectations. Without trials the interval is 0 to 1.
    """
    if trials <= 0:
        return Interval(value=0.0, low=0.0, high=1.0)
    share = min(1.0, seen / trials)
    if share == 0:
        return Interval(value=0.0, low=0.0, high=rule_of_three(trials))
    z2 = _Z**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / 4 / trials**2)
    low, high = max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
    return Interval(value=share, low=low, high=high)


def exact_interval(seen: int, trials: int) -> Interval:
    """Return the share ``seen / trials`` with its exact interval (Clopper and Pearson, 1934).

    Its ends are the shares at which at most, or at least, this count has a chance of 2.5 %. For
    small counts the score interval leaves out shares that lead to the count in 1 case of 14.
    """
    if trials <= 0:
        return Interval(value=0.0, low=0.0, high=1.0)

    def at_most(count: int, share: float) -> float:
        logs = math.log(share), math.log1p(-share)
        return math.fsum(
            math.exp(_log_choose(trials, n) + n * logs[0] + (trials - n) * logs[1])
            for n in range(count + 1)
        )

    low, high = 0.0, 1.0
    if seen > 0:
        low = root_between(lambda share: 1 - at_most(seen - 1, share) < _TAIL, 0.0, 1.0)
    if seen < trials:
        high = root_between(lambda share: at_most(seen, share) > _TAIL, 0.0, 1.0)
    return Interval(value=seen / trials, low=low, high=high)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def rule_of_three(trials: float) -> float:
    """Return the largest share that no event in `trials` leaves possible, at 95 %.

    ``1 - 0.05**(1/n)``, about ``3/n`` (Hanley and Lippman-Hand, JAMA 249, 1983).
    """
    return 1.0 if trials <= 0 else -math.expm1(math.log(0.05) / trials)


def bootstrap_interval(
    clusters: Sequence[_T], estimate: Callable[[Sequence[_T]], float], *, seed: int = 1
) -> Interval:
    """Return `estimate` of all clusters with the percentile interval of 400 resamples.

    Whole clusters are drawn, because the gaps of one session resemble each other. Drawn one by one
    they would lead to an interval that is too narrow (Davison and Hinkley, Bootstrap Methods,
    1997, 3.8).
    """
    value = estimate(clusters)
    if len(clusters) < 2:
        return Interval(value=value, low=0.0, high=1.0)
    draw = random.Random(seed)  # noqa: S311 - a simulation
    found = sorted(estimate(draw.choices(clusters, k=len(clusters))) for _ in range(_ROUNDS))
    low, high = found[int(0.025 * _ROUNDS)], found[math.ceil(0.975 * _ROUNDS) - 1]
    return Interval(value=value, low=min(low, value), high=max(high, value))
