"""Predicted against measured: the same load under the old settings and the new ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from linqi.evidence.storm_result import hit_ratio as measured_hits
from linqi.evidence.storm_result import request_seconds
from linqi.tuner.caching import CacheSize, hit_ratio
from linqi.tuner.facts import Facts
from linqi.tuner.intervals import Interval, exact, most_with_none_seen
from linqi.tuner.plans import Plan, Predictor
from linqi.tuner.queueing import mixed, wait_quantile
from linqi.tuner.storms import storm_chance
from linqi.tuner.watched import Watched, compressed_facts, compressed_plan, watched
from linqi.tuning.trial import Load, Trial, fresh_seeds

if TYPE_CHECKING:
    from linqi_storm.results import StormRun

__all__ = ["Line", "Proof", "Side", "prove"]

_FACTOR, _HITS, _CPU = 0.15, 0.15, 0.20
"""How far off the tuner may be, as a share."""
_LOST: Final = 2.0
"""The same for lost sessions, as a factor; or inside the interval."""
_CALM: Final = 1.5
"""A storm factor that is none any more."""
_SAME_P99: Final = 0.2
"""Latencies of equal runs on one machine differ by up to this share."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The runs of one plan."""

    name: str
    plan: Plan
    lines: tuple[Line, ...]
    cycles: int
    lost: int
    forced_out: int
    noise95: float
    """What chance alone makes of the storm factor in a run of this size."""
    broken: tuple[str, ...]
    """Invariants that did not hold."""

    def line(self, what: str) -> Line:
        """Give a figure by its name."""
        return next(line for line in self.lines if line.what == what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Both sides."""

    before: Side
    after: Side
    seeds: tuple[int, ...]
    tuned_on: tuple[int, ...]
    load: Load
    duration: float
    changes: tuple[Line, ...]
    """What the change was to bring, as ratios of after to before."""

    @property
    def holds(self) -> bool:
        """Whether the tuner was as near as it may be, everywhere."""
        lines = (*self.before.lines, *self.after.lines, *self.changes)
        return all(line.holds is not False for line in lines)

    @property
    def shows(self) -> str:
        """What so many cycles can show."""
        side = self.after
        if side.lost:
            return (
                f"{side.lost} of {side.cycles:,} cycles were lost after the change:"
                f" {_percent(exact(side.lost, side.cycles))} at 95 %."
            )
        return (
            f"None of {side.cycles:,} cycles was lost after the change, which shows a loss below"
            f" {most_with_none_seen(side.cycles):.2g} (3/n at 95 %), and no more."
        )


def _percent(interval: Interval) -> str:
    return f"{interval.low:.2%} to {interval.high:.2%}"


def prove(
    trial: Trial,
    facts: Facts,
    before: Plan,
    after: Plan,
    *,
    tuned_on: Sequence[int],
    repeats: int = 1,
    seeds: Sequence[int] = (),
    say: Callable[[str], object] = lambda _: None,
) -> Proof:
    """Storm `before` and `after` in turn, `repeats` times, and hold `facts` against it.

    Both sides of a pair have the same seed, so the same people come at the same times; no seed is
    one of `tuned_on`.
    """
    chosen = list(seeds) or fresh_seeds(repeats, tuned_on)
    duration = trial.duration([before, after])
    runs: dict[str, list[StormRun]] = {"before": [], "after": []}
    for number, seed in enumerate(chosen, 1):
        for name, plan in (("before", before), ("after", after)):
            say(f"storm {number} of {len(chosen)}, {name} the change, seed {seed}")
            runs[name].append(trial.run(f"{name}-{number}", plan, seed, duration))
    load = trial.load
    seen = compressed_facts(facts, load.compression, load.sessions)
    if seen.visitors is not None:
        spread = load.login_spread / load.compression
        seen = replace(seen, visitors=replace(seen.visitors, login_spread=spread))
    predictor = Predictor(seen)
    sides = [
        _side(name, predictor, plan, runs[name], load, duration)
        for name, plan in (("before", before), ("after", after))
    ]
    return Proof(
        before=sides[0],
        after=sides[1],
        seeds=tuple(chosen),
        tuned_on=tuple(tuned_on),
        load=load,
        duration=duration,
        changes=_changes(*sides),
    )


def _side(
    name: str, predictor: Predictor, plan: Plan, runs: list[StormRun], load: Load, duration: float
) -> Side:
    small = compressed_plan(plan, load.compression, load.people)
    small = replace(small, workers=load.workers)
    expected = watched(predictor.gaps, small, duration, load.login_spread / load.compression)
    cycles = sum(run.sessions.cycles for run in runs)
    lost = sum(run.sessions.lapsed for run in runs)
    forced = exact(sum(run.sessions.forced_out for run in runs), cycles)
    lines = (
        _factor_line(predictor, small, runs),
        _lost_line(expected, cycles, lost),
        Line(
            what="signed out though they asked",
            unit="share",
            predicted=0.0,
            measured=forced.value,
            interval=forced,
            rule="none",
            holds=forced.value == 0,
        ),
        _hits_line(predictor, small, runs, expected, duration),
        _cpu_line(predictor, small, runs, expected, duration),
        *_p99_lines(predictor, small, runs),
    )
    return Side(
        name=name,
        plan=plan,
        lines=lines,
        cycles=cycles,
        lost=lost,
        forced_out=sum(run.sessions.forced_out for run in runs),
        noise95=max((run.peaks[0].noise95 for run in runs if run.peaks), default=1.0),
        broken=tuple(
            f"{check.name}: {check.seen:g}" for run in runs for check in run.checks
            if not check.passed
        ),
    )  # fmt: skip


def _near(predicted: float | None, measured: float | None, share: float) -> bool | None:
    if predicted is None or measured is None:
        return None
    return abs(predicted - measured) <= share * measured


def _factor_line(predictor: Predictor, plan: Plan, runs: list[StormRun]) -> Line:
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
        holds=holds or _near(chance.value, measured, _FACTOR),
    )  # fmt: skip


def _range(values: list[float]) -> Interval | None:
    """Give the span of a few runs, which is no confidence interval."""
    if len(values) < 2:
        return None
    return Interval(value=statistics.fmean(values), low=min(values), high=max(values))


def _lost_line(expected: Watched, cycles: int, lost: int) -> Line:
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


def _hits_line(
    predictor: Predictor, plan: Plan, runs: list[StormRun], expected: Watched, duration: float
) -> Line:
    seen = [hits for run in runs if (hits := measured_hits(run)) is not None]
    # Tokens that must be refused are looked up too, and never found.
    honest = statistics.fmean(_honest_share(run) for run in runs)
    predicted = _hits(predictor, plan, expected, duration) * honest
    measured = statistics.fmean(seen) if seen else None
    return Line(
        what="cache hits", unit="share", predicted=predicted, measured=measured,
        interval=_range(seen), rule="within 15 %", holds=_near(predicted, measured, _HITS),
    )  # fmt: skip


def _honest_share(run: StormRun) -> float:
    honest = sum(second.requests for second in run.timeline)
    hostile = sum(sum(second.hostile.values()) for second in run.timeline)
    return honest / (honest + hostile) if honest else 1.0


def _cpu_line(
    predictor: Predictor, plan: Plan, runs: list[StormRun], expected: Watched, duration: float
) -> Line:
    seen = [request_seconds(run) * 1e6 for run in runs]
    measured = statistics.fmean(seen)
    predicted = None
    if predictor.facts.served is not None and measured:
        hits = _hits(predictor, plan, expected, duration)
        predicted = predictor.request_cost(plan, hits, expected.renewed / duration) * 1e6
    return Line(
        what="processor per request", unit="us", predicted=predicted, measured=measured or None,
        interval=_range(seen), rule="within 20 %", holds=_near(predicted, measured or None, _CPU),
    )  # fmt: skip


def _p99_lines(predictor: Predictor, plan: Plan, runs: list[StormRun]) -> tuple[Line, ...]:
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
                          interval=_range(seen), rule="shown"))  # fmt: skip
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


def _changes(before: Side, after: Side) -> tuple[Line, ...]:
    """Give what the change brought: as many fewer losses as predicted, and a level p99."""
    old, new = before.line("sessions lost"), after.line("sessions lost")
    expected = _ratio(new.predicted, old.predicted)
    low = _ratio(new.interval.low, old.interval.high) if new.interval and old.interval else None
    high = _ratio(new.interval.high, old.interval.low) if new.interval and old.interval else None
    measured = _ratio(new.measured, old.measured)
    sure = None
    if measured is not None and low is not None and high is not None:
        sure = Interval(value=measured, low=low, high=high)
    inside, outside = (
        after.line(what).measured for what in ("p99 in the expiry window", "p99 outside it")
    )
    level = _ratio(inside, outside)
    factor = after.line("storm factor")
    most = max(_CALM, after.noise95)
    return (
        Line(
            what="storm factor, after", unit="", predicted=factor.predicted,
            measured=factor.measured, interval=factor.interval,
            rule=f"at most {most:.2f}: {_CALM:g}, or what chance alone makes here",
            holds=None if factor.measured is None else factor.measured <= most,
        ),
        Line(
            what="sessions lost, after over before", unit="", predicted=expected,
            measured=measured, interval=sure, rule="inside the interval",
            holds=None if expected is None or sure is None else sure.contains(expected),
        ),
        Line(
            what="p99 in the expiry window over outside it, after", unit="", predicted=1.0,
            measured=level, rule="at most 1.2, as equal runs differ",
            holds=None if level is None else level <= 1 + _SAME_P99,
        ),
    )  # fmt: skip


def _ratio(over: Any, under: Any) -> float | None:
    return over / under if over is not None and under else None
