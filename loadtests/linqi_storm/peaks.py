"""The highest rate over a sliding window, and how high chance alone would make it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

from linqi_storm.results import Peak

__all__ = ["noise_floor", "peak_of", "sliding_peak", "window_for"]

_ROUNDS: Final = 200
_WINDOWS_A_PERIOD: Final = 20


def window_for(period: float) -> float:
    """Give the window over which peaks are taken: a twentieth of ``lifetime - buffer``.

    A fixed share keeps the factor the same when a run is compressed.
    """
    return period / _WINDOWS_A_PERIOD


def sliding_peak(instants: Sequence[float], window: float) -> int:
    """Give the most of `instants`, which are sorted, that lie in one half-open `window`.

    The window may begin anywhere: bins at fixed places would cut a peak in two.
    """
    most = first = 0
    for last, instant in enumerate(instants):
        while instant - instants[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


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
    window = min(window_for(period), ends - begins)
    floor = sessions / period
    peak = sliding_peak(instants, window * 1000) / window
    return Peak(
        label=label,
        begins=begins,
        ends=ends,
        window_seconds=window,
        renewals=len(instants),
        peak_per_second=peak,
        floor_per_second=floor,
        factor=peak / floor,
        noise95=noise_floor(floor * (ends - begins), ends - begins, window),
    )
