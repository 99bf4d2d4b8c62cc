"""How much longer renewals take than other requests of the same seconds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.run.facts import Measured

__all__ = ["renewal_delay"]

_LEAST_OF_A_SECOND: Final = 3
_LEAST_SECONDS: Final = 3
_RANK: Final = 0.9
_TOLERANCE_MS: Final = 100.0
_TIMES: Final = 4.0


def renewal_delay(totals: LoadTotals) -> Measured | None:
    """Return the delay of renewals in milliseconds, and its limit; None without enough of them.

    In each second the 90th percentile of the requests that renewed is compared with that of the
    others: both met the same load of the machine. The delay is the median over the seconds. The
    limit is 100 ms, or 4 times the 90th percentile of the others where the servers are at their
    limit.
    """
    pairs = []
    for second in totals.seconds:
        counts = totals.counts(second)
        if min(len(counts.renewed_us), len(counts.other_us)) >= _LEAST_OF_A_SECOND:
            pairs.append((_at(counts.renewed_us), _at(counts.other_us)))
    if len(pairs) < _LEAST_SECONDS:
        return None
    delay = statistics.median(renewed - other for renewed, other in pairs) / 1000
    usual = statistics.median(other for _, other in pairs) / 1000
    limit = max(_TOLERANCE_MS, _TIMES * usual)
    return delay, limit, f"p90 of {len(pairs)} seconds; others {usual:.1f} ms"


def _at(values: Sequence[int]) -> int:
    return sorted(values)[int(_RANK * (len(values) - 1))]
