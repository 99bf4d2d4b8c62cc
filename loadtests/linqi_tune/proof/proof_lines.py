"""The figures of a proof: each as it was predicted and as it was measured."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from linqi_tune.evidence.storm_result import hit_ratio as measured_hits
from linqi_tune.evidence.storm_result import request_seconds
from linqi_tune.model.caching import CacheSize, hit_ratio
from linqi_tune.model.intervals import Interval, exact
from linqi_tune.model.plans import Plan, Predictor
from linqi_tune.model.queueing import mixed, wait_quantile
from linqi_tune.model.storms import storm_chance
from linqi_tune.model.watched import Watched

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = [
    "Line",
    "cpu_line",
    "factor_line",
    "forced_line",
    "hits_line",
    "lost_line",
    "near",
    "p99_lines",
    "span_of",
]

_FACTOR, _HITS, _CPU = 0.15, 0.15, 0.20
"""How far off the tuner may be, as a share."""
_LOST: Final = 2.0
"""The same for lost sessions, as a factor; or inside the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure: what was predicted, what was seen, and how far apart they may be."""

    what: str
    unit: str
    predicted: float | None
    measured: float | None
    interval: Interval | None = None
    """Of what was measured; for the storm factor where chance alone puts a run."""
    rule: str = ""
    holds: bool | None = None
    """None for a figure that is only shown."""

    @property
    def error(self) -> float | None:
        """The tuner's own error, as a share of what was measured."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured - 1


def near(predicted: float | None, measured: float | None, share: float) -> bool | None:
    """Tell whether a prediction is within `share` of what was measured; None for either unknown."""
    if predicted is None or measured is None:
        return None
    return abs(predicted - measured) <= share * measured


def factor_line(predictor: Predictor, plan: Plan, runs: list[StormRun]) -> Line:
    """Give the storm factor of the first cycle."""
    seen = [run.peaks[0].factor for run in runs if run.peaks]
    chance = storm_chance(
        predictor.crowd(), plan.lifetime, plan.buffer, plan.policy, runs[0].peaks[0].window_seconds
        if runs[0].peaks else plan.period / 20, plan.jitter_width,
    )  # fmt: skip
    measured = statistics.fmean(seen) if seen else None
    holds = None if measured is None else chance.contains(measured)
    return Line(
        what="storm factor", unit="", predicted=chance.value, measured=measured, interval=chance,
        rule="within 15 %, or where chance puts a run",
        holds=holds or near(chance.value, measured, _FACTOR),
    )  # fmt: skip


def span_of(values: list[float]) -> Interval | None:
    """Give the span of a few runs, which is no confidence interval."""
    if len(values) < 2:
        return None
    return Interval(value=statistics.fmean(values), low=min(values), high=max(values))


def forced_line(runs: list[StormRun]) -> Line:
    """Give the share of cycles that ended although the client had asked in time."""
    cycles = sum(run.sessions.cycles for run in runs)
    forced = exact(sum(run.sessions.forced_out for run in runs), cycles)
    return Line(
        what="signed out though they asked", unit="share", predicted=0.0, measured=forced.value,
        interval=forced, rule="none", holds=forced.value == 0,
    )  # fmt: skip


def lost_line(expected: Watched, cycles: int, lost: int) -> Line:
    """Give the share of cycles that was lost for want of a visit."""
    measured = exact(lost, cycles)
    inside = measured.contains(expected.share)
    by_factor = lost > 0 and 1 / _LOST <= expected.share / measured.value <= _LOST
    return Line(
        what="sessions lost", unit="share", predicted=expected.share, measured=measured.value,
        interval=measured, rule="within a factor of 2, or inside the interval",
        holds=inside or by_factor,
    )  # fmt: skip


def _hits(predictor: Predictor, plan: Plan, expected: Watched, duration: float) -> float:
    """Give the hits of a run: tokens are replaced as often as its length allows."""
    period = duration / expected.cycles if expected.cycles else plan.period
    tokens = replace(predictor.tokens(plan), period=period)
    life = min(plan.cache_lifetime, plan.lifetime)
    return hit_ratio(tokens, CacheSize(entries=plan.cache_entries, lifetime=life)).share


def hits_line(
    predictor: Predictor, plan: Plan, runs: list[StormRun], expected: Watched, duration: float
) -> Line:
    """Give the hits of the cache of verified tokens."""
    seen = [hits for run in runs if (hits := measured_hits(run)) is not None]
    # Tokens that must be refused are looked up too, and never found.
    honest = statistics.fmean(_honest_share(run) for run in runs)
    predicted = _hits(predictor, plan, expected, duration) * honest
    measured = statistics.fmean(seen) if seen else None
    return Line(
        what="cache hits", unit="share", predicted=predicted, measured=measured,
        interval=span_of(seen), rule="within 15 %", holds=near(predicted, measured, _HITS),
    )  # fmt: skip


def _honest_share(run: StormRun) -> float:
    honest = sum(second.requests for second in run.timeline)
    hostile = sum(sum(second.hostile.values()) for second in run.timeline)
    return honest / (honest + hostile) if honest else 1.0


def cpu_line(
    predictor: Predictor, plan: Plan, runs: list[StormRun], expected: Watched, duration: float
) -> Line:
    """Give the processor time of a request."""
    seen = [request_seconds(run) * 1e6 for run in runs]
    measured = statistics.fmean(seen)
    predicted = None
    if predictor.facts.served is not None and measured:
        hits = _hits(predictor, plan, expected, duration)
        predicted = predictor.request_cost(plan, hits, expected.renewed / duration) * 1e6
    return Line(
        what="processor per request", unit="us", predicted=predicted, measured=measured or None,
        interval=span_of(seen), rule="within 20 %", holds=near(predicted, measured or None, _CPU),
    )  # fmt: skip


def p99_lines(predictor: Predictor, plan: Plan, runs: list[StormRun]) -> tuple[Line, ...]:
    """Give p99 of the expiry window and of the rest.

    No prediction of the whole: of a latency here, most is the machine. Predicted is what queues
    for the workers add inside the window.
    """
    inside = [run.inside.intended.at(99) for run in runs if run.inside]
    outside = [run.outside.intended.at(99) for run in runs if run.outside]
    lines = []
    for what, seen in (("p99 in the expiry window", inside), ("p99 outside it", outside)):
        measured = statistics.median(seen) if seen else None
        predicted = None
        if what.startswith("p99 in") and outside:
            predicted = statistics.median(outside) + _added_wait(predictor, plan) * 1e3
        lines.append(Line(what=what, unit="ms", predicted=predicted, measured=measured,
                          interval=span_of(seen), rule="shown"))  # fmt: skip
    return tuple(lines)


def _added_wait(predictor: Predictor, plan: Plan) -> float:
    outcome = predictor.outcome(plan)
    if outcome.storm.backlog > 0 or outcome.storm.open_load >= 1:
        return outcome.storm.backlog if math.isfinite(outcome.storm.backlog) else 0.0
    service = mixed([(1.0, outcome.request_seconds)])
    busy = predictor.peak_rps * outcome.storm.open_load / max(outcome.storm.steady_load, 1e-9)
    return wait_quantile(0.99, busy, service, plan.workers) - wait_quantile(
        0.99, predictor.peak_rps, service, plan.workers
    )
