"""Whether renewals are even but for chance."""

from __future__ import annotations

from typing import Final

from linqi.sessions.storm_factor import peak_window, steady_rate, storm_factor
from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.run.facts import Measured
from linqi_storm.run.peaks import busiest, chance_limit
from linqi_storm.scenarios.base import Scenario

__all__ = ["chance_of"]

_FALSE_ALARMS: Final = 1e-4
"""The probability that even renewals exceed the limit, in one run."""


def chance_of(totals: LoadTotals, scenario: Scenario) -> Measured | None:
    """Return the storm factor of the requests that renewed, and its limit; None without them.

    It counts when those requests were sent, which no slow service delays.
    """
    load, begins = scenario.load, scenario.even_from()
    window = peak_window(load.period)
    if begins is None or load.duration - begins < window or not totals.tally.asked_at:
        return None
    instants = [
        millisecond
        for millisecond, count in sorted(totals.tally.asked_at.items())
        if begins <= millisecond / 1000 < load.duration
        for _ in range(count)
    ]
    most, _ = busiest(instants, window * 1000)
    span = load.duration - begins
    events = steady_rate(load.active, load.period) * span
    limit = chance_limit(events, span, window, false_alarms=_FALSE_ALARMS)
    factor = storm_factor(most / window, load.active, load.period)
    return factor, limit, f"window of {window:g} s; chance exceeds it in one run of 10,000"
