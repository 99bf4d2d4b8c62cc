"""The highest rate over a sliding window, and how high chance alone would make it."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

from linqi.sessions.storm_factor import peak_window, steady_rate, storm_factor
from linqi_storm.schema.results import Peak, Rates

__all__ = ["busiest", "noise_floor", "peak_of", "sliding_peak", "sliding_rates"]

_ROUNDS: Final = 200
_STEPS_A_WINDOW: Final = 8


def sliding_peak(instants: Sequence[float], window: float) -> int:
    """Give the most of `instants`, which are sorted, that lie in one half-open `window`.

    The window may begin anywhere: bins at fixed places would cut a peak in two.
    """
    return busiest(instants, window)[0]


def busiest(instants: Sequence[float], window: float) -> tuple[int, float]:
    """Give how many of `instants` the fullest `window` holds, and the first of them."""
    most, begins, first = 0, 0.0, 0
    for last, instant in enumerate(instants):
        while instant - instants[first] >= window:
            first += 1
        if last - first + 1 > most:
            most, begins = last - first + 1, instants[first]
    return most, begins


def sliding_rates(renewals: Mapping[int, int], duration: float, period: float) -> Rates:
    """Give the rate at every eighth of a window; `renewals` counts them by millisecond."""
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
    """Give the factor below which 95 % of perfectly spread populations stay.

    `events` are expected in `span` seconds, each anywhere in it, their number as chance has it.
    Found by 200 draws, which is good to about 2 %.
    """
    if events <= 0 or span <= 0:
        return math.inf
    draw = random.Random(seed)  # noqa: S311 - a simulation
    peaks = []
    for _ in range(_ROUNDS):
        count = max(0, round(draw.gauss(events, math.sqrt(events))))
        instants = sorted(draw.random() * span for _ in range(count))
        peaks.append(sliding_peak(instants, window))
    peaks.sort()
    return peaks[math.ceil(0.95 * _ROUNDS) - 1] / (events / span * window)


def peak_of(
    label: str,
    renewals: Mapping[int, int],
    begins: float,
    ends: float,
    *,
    sessions: int,
    period: float,
) -> Peak:
    """Give the storm factor of the renewals between two instants.

    `renewals` counts them by millisecond since the barrier; `period` is ``lifetime - buffer``.
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
