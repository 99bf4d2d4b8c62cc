"""Whether the load generator kept up with its plan, and in which seconds it did not.

Outside the windows a storm is a steady load: each second repeats the others, and a percentile is
estimated as well without a few of them. Late ones are therefore left out there, at most a tenth.
Inside a window every second is part of the event, and a second in which the generator was late may
be the one in which the servers were slowest: none is left out, and the limits hold for the window
as a whole. A late second beside the peak of renewals makes the run void, as late requests come in
bunches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.schema.results import Generator, Peak, Window
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = ["generator_of"]

_MOST_LATE: Final = 0.1
"""Share of the seconds outside the windows that may be left out."""


def generator_of(
    totals: LoadTotals,
    duration: float,
    windows: Sequence[Window] = (),
    peaks: Sequence[Peak] = (),
) -> Generator:
    """Return the health of the generators, with the reasons if the run is void."""
    seconds = [second for second in totals.seconds if 0 <= second < math.ceil(duration)]
    inside = [
        second
        for second in seconds
        if any(window.begins < second + 1 and second < window.ends for window in windows)
    ]
    late: list[int] = []
    if _faults(totals, seconds):
        late = [s for s in seconds if s not in inside and _faults(totals, [s])]
        if not _may_be_left_out(late, len(seconds) - len(inside), peaks):
            late = []
    kept = [second for second in seconds if second not in late]
    faults = _faults(totals, kept) or (_faults(totals, inside) if late else [])
    lags = totals.lags(kept)
    return Generator(
        lag_p50_ms=lags.get_value_at_percentile(50) / 1000,
        lag_p99_ms=lags.get_value_at_percentile(99) / 1000,
        lag_max_ms=totals.lag.get_max_value() / 1000,
        cpu_p95=round(_cpu_p95(totals, kept), 4),
        is_valid=not faults and bool(lags.get_total_count()),
        late_seconds=() if faults else tuple(late),
        faults=tuple(faults) or (() if lags.get_total_count() else ("no request was sent",)),
    )


def _may_be_left_out(late: Sequence[int], outside: int, peaks: Sequence[Peak]) -> bool:
    return len(late) <= _MOST_LATE * outside and not any(
        peak.at is not None
        and peak.at - peak.window_seconds < second + 1
        and second < peak.at + peak.window_seconds
        for peak in peaks
        for second in late
    )


def _faults(totals: LoadTotals, seconds: Sequence[int]) -> list[str]:
    """Return which limits the generator exceeded over all of `seconds`."""
    faults = []
    lag_p99 = totals.lags(seconds).get_value_at_percentile(99) / 1000
    if lag_p99 > LAG_LIMIT_MS:
        faults.append(
            f"the generator sent requests {lag_p99:.1f} ms late (p99),"
            f" expected at most {LAG_LIMIT_MS:g} ms"
        )
    cpu_p95 = _cpu_p95(totals, seconds)
    if cpu_p95 > CPU_LIMIT:
        faults.append(
            f"the generator used {cpu_p95:.0%} of a core, expected at most {CPU_LIMIT:.0%}"
        )
    return faults


def _cpu_p95(totals: LoadTotals, seconds: Sequence[int]) -> float:
    cpu = sorted(totals.counts(second).cpu for second in seconds)
    return cpu[math.ceil(0.95 * len(cpu)) - 1] if cpu else 0.0
