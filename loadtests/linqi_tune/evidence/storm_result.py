"""Traffic and servers as a storm measured them, in real seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linqi.sessions.storm_factor import peak_window
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.lag_counts import LagCounts
from linqi_tune.model.measurements import ServerMeasurements, Visitors

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = ["StormMeasurements", "hit_ratio", "read_storm", "request_seconds", "storm_measurements"]

_WARM_UP: Final = 3
"""Mean gaps, and at least seconds, until every cache is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormMeasurements:
    """The measurements of one storm, in real seconds; latencies were never compressed.

    Attributes:
        mode: ``sliding``, ``dual``, ``outside`` or ``naive``.
        is_valid: Whether the generator kept up; if not, its figures mean nothing.

    """

    visitors: Visitors
    lags: LagCounts
    lags_by_session: Sequence[Sequence[float]]
    served: ServerMeasurements
    lifetime: float
    buffer: float
    mode: str
    is_valid: bool


def read_storm(path: Path) -> StormMeasurements:
    """Return the measurements in a result of ``linqi storm``.

    Raises:
        ConfigurationError: The file is no such result.

    """
    from linqi_storm.schema.result_file import load_run

    return storm_measurements(load_run(path), path.name)


def storm_measurements(run: StormRun, source: str) -> StormMeasurements:
    """Return the measurements of a run.

    A run compressed by k stands for k times as many sessions, each k times slower, with as many
    requests and renewals per second in all.
    """
    load, k = run.setup.load, run.setup.load.compression
    gaps = GapDistribution(
        [value * k for value in run.traffic.gaps.values], run.traffic.gaps.counts
    )
    parallel = run.traffic.parallel
    lags = run.lags.lags
    return StormMeasurements(
        visitors=Visitors(
            groups=[gaps],
            parallel=list(zip(parallel.values, map(float, parallel.counts), strict=True)),
            sessions=round(load.sessions * k),
            peak_rps=max((second.requests for second in run.timeline), default=0.0),
            login_spread=load.login_spread_seconds * k,
            source=source,
        ),
        lags=LagCounts.of([v * k for v in lags.values], lags.counts, silent=run.lags.silent),
        lags_by_session=[[lag * k for lag in one] for one in run.lags.by_session],
        served=_served(run, source),
        lifetime=load.lifetime_seconds * k,
        buffer=load.buffer_seconds * k,
        mode=run.setup.target.mode,
        is_valid=run.generator.is_valid,
    )


def _served(run: StormRun, source: str) -> ServerMeasurements:
    load, k = run.setup.load, run.setup.load.compression
    intended = run.latencies.intended
    peak = run.peaks[0] if run.peaks else None
    cycles = run.sessions.cycles
    period = load.lifetime_seconds - load.buffer_seconds
    return ServerMeasurements(
        request_seconds=request_seconds(run),
        p99=intended.at(99) / 1000,
        p999=intended.at(99.9) / 1000,
        hit_ratio=hit_ratio(run),
        storm_factor=peak.factor if peak else None,
        window=(peak.window_seconds if peak else peak_window(period)) * k,
        policy=run.setup.target.policy,
        algorithm=run.setup.target.algorithm,
        workers=run.setup.target.workers,
        lost=run.sessions.lapsed / cycles if cycles else 0.0,
        cycles=cycles,
        compression=k,
        source=source,
    )


def request_seconds(run: StormRun) -> float:
    """Return the processor seconds of a request, all workers together; 0 if never sampled."""
    sampled = [second for second in run.timeline if second.cpu]
    asked = sum(s.requests + sum(s.hostile.values()) for s in sampled)
    return sum(sum(second.cpu) for second in sampled) / asked if asked else 0.0


def hit_ratio(run: StormRun) -> float | None:
    """Return the share of verifications answered from warm caches; None where unknown."""
    warm = max(_WARM_UP, _WARM_UP * run.setup.load.mean_gap_seconds)
    sampled = [second for second in run.timeline if second.second >= warm]
    hits = sum(second.cache_hits or 0 for second in sampled)
    misses = sum(second.cache_misses or 0 for second in sampled)
    return hits / (hits + misses) if hits + misses else None
