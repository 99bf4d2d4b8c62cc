"""The figures of a proof: each as it was predicted and as it was measured."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from linqi.sessions.storm_factor import peak_window
from linqi_tune.evidence.storm_result import hit_ratio as measured_hits
from linqi_tune.evidence.storm_result import request_seconds
from linqi_tune.model.cache_hits import CacheSize, hit_ratio
from linqi_tune.model.expected_cycles import ExpectedCycles
from linqi_tune.model.intervals import Interval, exact_interval
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.storm_peaks import storm_factor_range
from linqi_tune.model.worker_queue import mixed_service, wait_quantile

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = [
    "SIGN_INS",
    "ProofFigure",
    "cpu_figure",
    "factor_figure",
    "figure_that_must_be_zero",
    "figure_within",
    "forced_figure",
    "forced_sign_ins_of",
    "hits_figure",
    "is_within",
    "p99_figures",
    "range_of",
    "shown_figure",
    "sign_ins_figure",
    "storm_factor_figure",
]

_FACTOR, _HITS, _CPU = 0.15, 0.15, 0.20
"""The largest error of a prediction, as a share of what was measured."""
_OFF: Final = 2.0
"""The largest error for forced sign-ins, as a factor, unless the interval holds the prediction."""
SIGN_INS: Final = "forced sign-ins"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFigure:
    """One figure: what was predicted, what was measured, and how far apart they may be.

    Attributes:
        what: Its name, the same in every proof and in the JSON document.
        unit: ``share``, ``per 1,000 sessions``, ``us``, ``ms``, or empty for a ratio.
        interval: An interval of what was measured; for the storm factor the range that chance
            alone gives a run.
        rule: The criterion, as a text.
        holds: Whether the criterion is met; None for a figure that is only shown.

    """

    what: str
    unit: str
    predicted: float | None
    measured: float | None
    interval: Interval | None = None
    rule: str = ""
    holds: bool | None = None

    @property
    def error(self) -> float | None:
        """The error of the prediction as a share of what was measured; None if unknown."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured - 1


def is_within(predicted: float | None, measured: float | None, share: float) -> bool | None:
    """Return whether a prediction is within `share` of what was measured; None if unknown."""
    if predicted is None or measured is None:
        return None
    return abs(predicted - measured) <= share * measured


def range_of(values: list[float]) -> Interval | None:
    """Return the range of several runs, which is no confidence interval; None for one run."""
    if len(values) < 2:
        return None
    return Interval(value=statistics.fmean(values), low=min(values), high=max(values))


def figure_within(
    what: str, unit: str, predicted: float | None, seen: list[float], share: float
) -> ProofFigure:
    """Return a figure whose prediction must be within `share` of the mean of the runs."""
    measured = statistics.fmean(seen) if seen else None
    return ProofFigure(
        what=what,
        unit=unit,
        predicted=predicted,
        measured=measured,
        interval=range_of(seen),
        rule=f"within {share:.0%}".replace("%", " %"),
        holds=is_within(predicted, measured, share),
    )


def figure_that_must_be_zero(what: str, measured: Interval) -> ProofFigure:
    """Return a figure of a share that must be 0."""
    return ProofFigure(
        what=what,
        unit="share",
        predicted=0.0,
        measured=measured.value,
        interval=measured,
        rule="none",
        holds=measured.value == 0,
    )


def shown_figure(
    what: str, unit: str, seen: list[float], predicted: float | None = None
) -> ProofFigure:
    """Return a figure without a criterion: the median of the runs."""
    return ProofFigure(
        what=what,
        unit=unit,
        predicted=predicted,
        measured=statistics.median(seen) if seen else None,
        interval=range_of(seen),
        rule="shown",
    )


def factor_figure(predictor: Predictor, plan: SettingsPlan, runs: list[StormRun]) -> ProofFigure:
    """Return the storm factor of the first cycle."""
    peaks = runs[0].peaks
    window = peaks[0].window_seconds if peaks else peak_window(plan.period)
    chance = storm_factor_range(predictor.cohort(), plan, window)
    return storm_factor_figure(chance, [run.peaks[0].factor for run in runs if run.peaks])


def storm_factor_figure(chance: Interval, seen: list[float]) -> ProofFigure:
    """Return the storm factor: predicted within 15 %, or measured in the range of chance."""
    figure = figure_within("storm factor", "", chance.value, seen, _FACTOR)
    is_chance = figure.measured is not None and chance.contains(figure.measured)
    return replace(
        figure,
        interval=chance,
        rule="within 15 %, or in the range of chance",
        holds=is_chance or figure.holds,
    )


def forced_figure(runs: list[StormRun]) -> ProofFigure:
    """Return the share of cycles that ended although the client had sent a request in time."""
    cycles = sum(run.sessions.cycles for run in runs)
    forced = exact_interval(sum(run.sessions.forced_out for run in runs), cycles)
    return figure_that_must_be_zero("signed out though they asked", forced)


def sign_ins_figure(expected: ExpectedCycles, runs: list[StormRun]) -> ProofFigure:
    """Return the forced sign-ins per 1,000 sessions of a run, whatever their cause."""
    sessions = sum(run.sessions.total for run in runs)
    cycles = sum(run.sessions.cycles for run in runs)
    share = exact_interval(min(sum(map(forced_sign_ins_of, runs)), cycles), cycles)
    each = cycles / sessions * 1_000
    measured = Interval(value=share.value * each, low=share.low * each, high=share.high * each)
    predicted = expected.lost * 1_000
    is_near = measured.value > 0 and 1 / _OFF <= predicted / measured.value <= _OFF
    return ProofFigure(
        what=SIGN_INS,
        unit="per 1,000 sessions",
        predicted=predicted,
        measured=measured.value,
        interval=measured,
        rule="within a factor of 2, or inside the interval",
        holds=is_near or measured.contains(predicted),
    )


def forced_sign_ins_of(run: StormRun) -> int:
    """Return the sign-ins that a run forced: expired tokens, refused ones and lost replies."""
    counts = run.sessions
    return counts.lapsed + counts.forced_out + counts.by_lost_reply


def _hits(
    predictor: Predictor, plan: SettingsPlan, expected: ExpectedCycles, duration: float
) -> float:
    """Return the hit ratio of a run: its length decides how often tokens are replaced."""
    period = duration / expected.cycles if expected.cycles else plan.period
    tokens = replace(predictor.token_traffic(plan), period=period)
    life = min(plan.cache_lifetime, plan.lifetime)
    return hit_ratio(tokens, CacheSize(entries=plan.cache_entries, lifetime=life)).share


def hits_figure(
    predictor: Predictor,
    plan: SettingsPlan,
    runs: list[StormRun],
    expected: ExpectedCycles,
    duration: float,
) -> ProofFigure:
    """Return the hit ratio of the cache of verified tokens."""
    seen = [hits for run in runs if (hits := measured_hits(run)) is not None]
    # Tokens that must be refused are looked up too, and never found.
    honest = statistics.fmean(_honest_share(run) for run in runs)
    predicted = _hits(predictor, plan, expected, duration) * honest
    return figure_within("cache hits", "share", predicted, seen, _HITS)


def _honest_share(run: StormRun) -> float:
    honest = sum(second.requests for second in run.timeline)
    hostile = sum(sum(second.hostile.values()) for second in run.timeline)
    return honest / (honest + hostile) if honest else 1.0


def cpu_figure(
    predictor: Predictor,
    plan: SettingsPlan,
    runs: list[StormRun],
    expected: ExpectedCycles,
    duration: float,
) -> ProofFigure:
    """Return the processor time of a request; unknown where no run sampled it."""
    seen = [request_seconds(run) * 1e6 for run in runs]
    if not any(seen):
        seen = []
    predicted = None
    if predictor.measurements.served is not None and seen:
        hits = _hits(predictor, plan, expected, duration)
        predicted = predictor.request_cost(plan, hits, expected.renewed / duration) * 1e6
    return figure_within("processor per request", "us", predicted, seen, _CPU)


def p99_figures(
    predictor: Predictor, plan: SettingsPlan, runs: list[StormRun]
) -> tuple[ProofFigure, ...]:
    """Return p99 in the expiry window and outside it.

    Most of a latency is the machine, so it is not predicted as a whole: predicted is what the
    workers' queues add in the window.
    """
    inside = [run.inside.intended.at(99) for run in runs if run.inside]
    outside = [run.outside.intended.at(99) for run in runs if run.outside]
    predicted = None
    if outside:
        predicted = statistics.median(outside) + _added_wait(predictor, plan) * 1e3
    return (
        shown_figure("p99 in the expiry window", "ms", inside, predicted),
        shown_figure("p99 outside it", "ms", outside),
    )


def _added_wait(predictor: Predictor, plan: SettingsPlan) -> float:
    outcome = predictor.outcome(plan)
    if outcome.storm.backlog > 0 or outcome.storm.open_load >= 1:
        return outcome.storm.backlog if math.isfinite(outcome.storm.backlog) else 0.0
    service = mixed_service([(1.0, outcome.request_seconds)])
    busy = predictor.peak_rps * outcome.storm.open_load / max(outcome.storm.steady_load, 1e-9)
    return wait_quantile(0.99, busy, service, plan.workers) - wait_quantile(
        0.99, predictor.peak_rps, service, plan.workers
    )
