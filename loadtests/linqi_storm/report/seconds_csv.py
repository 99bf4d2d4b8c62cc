"""The seconds of a storm as CSV, for tools that draw timelines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from linqi_storm.schema.distributions import Percentiles
from linqi_storm.schema.results import OUTCOMES, Second, StormRun

__all__ = ["COLUMNS", "write_csv"]


def _latency(of: Callable[[Second], Percentiles | None], name: str) -> Callable[[Second], Any]:
    return lambda second: getattr(of(second), name, None)


def _outcome(name: str) -> Callable[[Second], Any]:
    return lambda second: second.outcomes.get(name, 0)


_LATENCIES: Final[dict[str, Callable[[Second], Percentiles | None]]] = {
    "service": lambda second: second.service,
    "intended": lambda second: second.intended,
}
COLUMNS: Final[Mapping[str, Callable[[Second], Any]]] = {
    "second": lambda second: second.second,
    "requests": lambda second: second.requests,
    **{name: _outcome(name) for name in OUTCOMES},
    "hostile": lambda second: sum(second.hostile.values()),
    "renewals": lambda second: second.renewals,
    **{
        f"{kind}_{name}": _latency(of, name)
        for kind, of in _LATENCIES.items()
        for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")
    },
    "in_flight": lambda second: second.in_flight,
    "generator_cpu_cores": lambda second: second.generator_cpu,
    "generator_lag_p99_ms": lambda second: second.generator_lag_ms,
    "worker_cpu_cores": lambda second: round(sum(second.cpu), 4) if second.cpu else None,
    "worker_loop_lag_max_ms": lambda second: max(second.loop_lag_ms, default=None),
    "worker_memory_mb": lambda second: round(sum(second.memory_mb), 2) or None,
    "signatures": lambda second: second.signatures,
    "cache_hits": lambda second: second.cache_hits,
    "cache_misses": lambda second: second.cache_misses,
    "store_calls": lambda second: second.store_calls,
    "budget_queue": lambda second: second.budget_queue,
}
"""The value of each column; new ones are added at the end. What is not known is empty."""


def write_csv(run: StormRun, path: Path) -> None:
    """Write a line for each second of `run`, after a line with the names of the columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows([value(second) for value in COLUMNS.values()] for second in run.timeline)
