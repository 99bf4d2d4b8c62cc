"""The highest renewal rate over a sliding window, and the level of chance."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

from linqi.sessions.storm_factor import peak_window, steady_rate, storm_factor
from linqi_storm.schema.results import Peak, Rates

__all__ = ["busiest", "chance_limit", "noise_floor", "peak_of", "sliding_peak", "sliding_rates"]

_ROUNDS: Final = 200
_STEPS_A_WINDOW: Final = 8


def sliding_peak(instants: Sequence[float], window: float) -> int:
    """Return the most of the sorted `instants` in any half-open window of length `window`.

    The window may begin anywhere: fixed bins could split a peak.
    """
    return busiest(instants, window)[0]


def busiest(instants: Sequence[float], window: float) -> tuple[int, float]:
    """Return the number of `instants` in the fullest window, and the first of them."""
    most, begins, first = 0, 0.0, 0
    for last, instant in enumerate(instants):
        while instant - instants[first] >= window:
            first += 1
        if last - first + 1 > most:
            most, begins = last - first + 1, instants[first]
    return most, begins


def sliding_rates(renewals: Mapping[int, int], duration: float, period: float) -> Rates:
    """Return the rate in windows an eighth of a window apart; `renewals` counts by millisecond."""
    window = peak_window(period)
    step = window / _STEPS_A_WINDOW
    bins = [0] * max(1, math.ceil(duration / step))
    for millisecond, count in renewals.items():
        place = int(millisecond / 1000 / step)
        if 0 <= place < len(bins):
            bins[place] += count
    sums = [0, *itertools.accumulate(bins)]
    whole = max(1, len(bins) - _STEPS_A_WINDOW + 1)
    return Rates(
        window_seconds=window,
        step_seconds=step,
        per_second=tuple(
            round((sums[min(first + _STEPS_A_WINDOW, len(bins))] - sums[first]) / window, 3)
            for first in range(whole)
        ),
    )


def noise_floor(events: float, span: float, window: float, *, seed: int = 1) -> float:
    """Return the storm factor that 95 % of perfectly even populations do not exceed.

    `events` is the expected number in `span` seconds, a Poisson process with even rate. The result
    comes from 200 random draws and is accurate to about 2 %.
    """
    if events <= 0 or span <= 0:
        return math.inf
    rng = random.Random(seed)  # noqa: S311 - a simulation
    peaks = []
    for _ in range(_ROUNDS):
        count = max(0, round(rng.gauss(events, math.sqrt(events))))
        instants = sorted(rng.random() * span for _ in range(count))
        peaks.append(sliding_peak(instants, window))
    peaks.sort()
    return peaks[math.ceil(0.95 * _ROUNDS) - 1] / (events / span * window)


def chance_limit(events: float, span: float, window: float, *, false_alarms: float) -> float:
    """Return the storm factor that even renewals exceed with at most a given probability.

    A window with k events begins at one of them, with k - 1 others after it. In a Poisson process
    the expected number of such windows is ``events * P(Poisson(mean) >= k - 1)`` (Mecke's formula),
    and the probability of one is at most that. Renewals that keep their distance, as those of one
    session do, are more even.

    Args:
        events: Expected number of renewals.
        span: In seconds.
        window: In seconds, at most `span`.
        false_alarms: The probability, above 0 to 1.

    """
    if events <= 0 or span <= 0:
        return math.inf
    mean = events / span * window
    others = math.floor(mean)
    while True:
        others += 1
        logarithm = others * math.log(mean) - mean - math.lgamma(others + 1)
        # The terms after this one fall at least as fast as a geometric series.
        tail = math.exp(logarithm) * (others + 1) / (others + 1 - mean)
        if events * tail <= false_alarms:
            return (others + 1) / mean


def peak_of(
    label: str,
    renewals: Mapping[int, int],
    begins: float,
    ends: float,
    *,
    sessions: int,
    period: float,
) -> Peak:
    """Return the storm factor of the renewals between two instants.

    Args:
        label: Of the part of the run.
        renewals: Counts by millisecond since the barrier.
        begins: Seconds since the barrier.
        ends: Seconds since the barrier.
        sessions: Number of sessions.
        period: ``lifetime - buffer``, in seconds.

    """
    instants = [
        millisecond
        for millisecond in sorted(renewals)
        if begins <= millisecond / 1000 < ends
        for _ in range(renewals[millisecond])
    ]
    window = min(peak_window(period), ends - begins)
    floor = steady_rate(sessions, period)
    most, first = busiest(instants, window * 1000)
    peak = most / window
    return Peak(
        label=label,
        begins=begins,
        ends=ends,
        window_seconds=window,
        renewals=len(instants),
        peak_per_second=peak,
        floor_per_second=floor,
        factor=storm_factor(peak, sessions, period),
        noise95=noise_floor(floor * (ends - begins), ends - begins, window),
        at=round(first / 1000 + window / 2, 3),
    )
