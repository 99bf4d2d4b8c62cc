"""The interval of a rate whose events come in clusters, for a later period as long."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import NormalDist
from typing import Final, NamedTuple

from linqi_tune.model.intervals import Interval

__all__ = ["Cell", "clustered_rate", "counted_rate", "student_quantile"]

_Z: Final = NormalDist().inv_cdf(0.975)
_ROOT: Final = 3 / 8
"""Anscombe's shift, with which the root of a Poisson count has the variance 1/4."""
_WHOLE: Final = 0.5
"""Half an event, as counts are whole."""


class Cell(NamedTuple):
    """The events and the exposure of one person in one part of the log."""

    person: int
    block: int
    events: float
    exposure: float


def clustered_rate(cells: Iterable[Cell], seen: float, blocks: int, scale: float = 1.0) -> Interval:
    """Return events per exposure, with the interval for a later period as long as this one.

    The variance of the ratio is linearised and clustered both by persons, whose events resemble
    each other, and by parts of the log, as traffic changes (Cameron, Gelbach and Miller, JBES 29,
    2011). It says how many independent events the events amount to; the ends are those of a count
    of as many, by the root that makes the variance of counts constant (Anscombe, Biometrika 35,
    1948), with Student's quantile for the parts. The later period has chance of its own.

    Args:
        cells: What was seen of each person in each part.
        seen: The count of events, before they were weighted.
        blocks: The parts of the log.
        scale: The persons of the later period over the persons seen.

    """
    listed = list(cells)
    events = math.fsum(cell.events for cell in listed)
    exposure = math.fsum(cell.exposure for cell in listed)
    if exposure <= 0:
        return Interval(value=0.0, low=0.0, high=math.inf)
    rate = events / exposure
    variance = _variance(listed, rate)
    independent = min(seen, events**2 / variance) if variance > 0 else seen
    each = (events / independent if independent else 1.0) / exposure
    half = student_quantile(blocks - 1) / 2 * math.sqrt(1 + 1 / max(scale, 1.0))
    return _count_interval(rate, independent, each, half)


def counted_rate(rate: float, exposure: float) -> Interval:
    """Return `rate` with the interval of as many independent events as `exposure` contains."""
    if exposure <= 0:
        return Interval(value=rate, low=0.0, high=math.inf)
    return _count_interval(rate, rate * exposure, 1 / exposure, _Z / 2 * math.sqrt(2))


def _count_interval(rate: float, count: float, each: float, half: float) -> Interval:
    """Return the interval of a count, each event of which adds `each` to the rate."""
    root = math.sqrt(count + _ROOT)
    low = (max(0.0, root - half) ** 2 - _ROOT - _WHOLE) * each
    high = ((root + half) ** 2 - _ROOT + _WHOLE) * each
    return Interval(value=rate, low=min(rate, max(0.0, low)), high=max(rate, high))


def _variance(cells: Iterable[Cell], rate: float) -> float:
    by_person: defaultdict[int, float] = defaultdict(float)
    by_block: defaultdict[int, float] = defaultdict(float)
    both = 0.0
    for person, block, events, exposure in cells:
        residual = events - rate * exposure
        by_person[person] += residual
        by_block[block] += residual
        both += residual**2
    persons = math.fsum(one**2 for one in by_person.values())
    blocks = math.fsum(one**2 for one in by_block.values())
    return max(persons, persons + blocks - both)


def student_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's distribution.

    The expansion of Fisher and Cornish in ``1 / freedom`` (Abramowitz and Stegun, 26.7.5), within
    1 % from 3 degrees of freedom on.
    """
    z, v = _Z, max(3.0, freedom)
    terms = (
        (z**3 + z) / 4 / v,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96 / v**2,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / v**3,
    )
    return z + math.fsum(terms)
