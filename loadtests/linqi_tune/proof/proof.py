"""Predicted against measured: the same load under the old settings and the new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from linqi_tune.model.facts import Facts
from linqi_tune.model.intervals import Interval, exact, most_with_none_seen
from linqi_tune.model.plans import Plan, Predictor
from linqi_tune.model.watched import compressed_facts, compressed_plan, watched
from linqi_tune.proof.dual_lines import TABS_SECONDS, dual_lines
from linqi_tune.proof.proof_lines import (
    Line,
    cpu_line,
    factor_line,
    forced_line,
    hits_line,
    lost_line,
    p99_lines,
)
from linqi_tune.proof.trial import NO_CHANGES, Changes, Load, Trial, fresh_seeds

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = ["Proof", "Side", "prove"]

_CALM: Final = 1.5
"""A storm factor that is none any more."""
_SAME_P99: Final = 0.2
"""Latencies of equal runs on one machine differ by up to this share."""


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
                f"{side.lost} of {side.cycles:,} cycles"
                f" {'was' if side.lost == 1 else 'were'} lost after the change:"
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
    changes: Changes = NO_CHANGES,
    say: Callable[[str], object] = lambda _: None,
) -> Proof:
    """Storm `before` and `after` in turn, `repeats` times, and hold `facts` against it.

    Both sides of a pair have the same seed, so the same people come at the same times; no seed is
    one of `tuned_on`. `changes`: what the advice changes beside the plan. With dual tokens each
    side is stormed once more by tabs that share a session without a lock among them.
    """
    chosen = list(seeds) or fresh_seeds(repeats, tuned_on)
    duration = trial.duration([before, after])
    runs: dict[str, list[StormRun]] = {"before": [], "after": []}
    tabs: dict[str, list[StormRun]] = {"before": [], "after": []}
    for number, seed in enumerate(chosen, 1):
        for name, plan in (("before", before), ("after", after)):
            say(f"storm {number} of {len(chosen)}, {name} the change, seed {seed}")
            new = changes if name == "after" else NO_CHANGES
            runs[name].append(trial.run(f"{name}-{number}", plan, seed, duration, changes=new))
            if trial.load.mode == "dual":
                tabs[name].append(
                    trial.run(f"{name}-{number}-tabs", plan, seed, TABS_SECONDS, changes=new,
                              is_tabs=True)
                )  # fmt: skip
    load = trial.load
    seen = compressed_facts(facts, load.compression, load.sessions)
    if seen.visitors is not None:
        spread = load.login_spread / load.compression
        seen = replace(seen, visitors=replace(seen.visitors, login_spread=spread))
    predictor = Predictor(seen)
    sides = [
        _side(name, predictor, plan, runs[name], tabs[name], load, duration)
        for name, plan in (("before", before), ("after", after))
    ]
    return Proof(
        before=sides[0],
        after=sides[1],
        seeds=tuple(chosen),
        tuned_on=tuple(tuned_on),
        load=load,
        duration=duration,
        changes=_changes(*sides) if load.mode == "sliding" else (_calm_line(sides[1]),),
    )


def _side(
    name: str,
    predictor: Predictor,
    plan: Plan,
    runs: list[StormRun],
    tabs: list[StormRun],
    load: Load,
    duration: float,
) -> Side:
    small = compressed_plan(plan, load.compression, load.people)
    small = replace(small, workers=load.workers)
    expected = watched(predictor.gaps, small, duration, load.login_spread / load.compression)
    cycles = sum(run.sessions.cycles for run in runs)
    lost = sum(run.sessions.lapsed for run in runs)
    lines = (
        dual_lines(predictor, small, runs, tabs, duration)
        if load.mode == "dual"
        else (
            factor_line(predictor, small, runs),
            lost_line(expected, cycles, lost),
            forced_line(runs),
            hits_line(predictor, small, runs, expected, duration),
            cpu_line(predictor, small, runs, expected, duration),
            *p99_lines(predictor, small, runs),
        )
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
            f"{check.name}: {check.seen:g}" for run in (*runs, *tabs) for check in run.checks
            if not check.passed
        ),
    )  # fmt: skip


def _calm_line(after: Side) -> Line:
    factor = after.line("storm factor")
    most = max(_CALM, after.noise95)
    return Line(
        what="storm factor, after", unit="", predicted=factor.predicted,
        measured=factor.measured, interval=factor.interval,
        rule=f"at most {most:.2f}: {_CALM:g}, or what chance alone makes here",
        holds=None if factor.measured is None else factor.measured <= most,
    )  # fmt: skip


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
    return (
        _calm_line(after),
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
