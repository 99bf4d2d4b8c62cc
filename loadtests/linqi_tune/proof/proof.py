"""Predicted against measured: the same load under the old settings and under the new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from linqi_tune.model.expected_cycles import (
    compressed_measurements,
    compressed_plan,
    expected_cycles,
)
from linqi_tune.model.intervals import Interval, rule_of_three
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import count_text, days_text, number_text
from linqi_tune.model.sign_in_sources import USE_SECONDS
from linqi_tune.proof.dual_figures import TABS_SECONDS, dual_figures
from linqi_tune.proof.proof_figures import (
    SIGN_INS,
    ProofFigure,
    cpu_figure,
    factor_figure,
    forced_figure,
    forced_sign_ins_of,
    hits_figure,
    p99_figures,
    sign_ins_figure,
)
from linqi_tune.proof.trial import NO_CHANGES, SettingChanges, Trial, TrialLoad, fresh_seeds

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = ["Proof", "ProofSide", "prove"]

_CALM: Final = 1.5
"""A storm factor at the level of chance, for runs of any size."""
_SAME_P99: Final = 0.2
"""Latencies of equal runs on one machine differ by up to this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSide:
    """The runs of one plan.

    Attributes:
        name: ``before`` or ``after``.
        sessions: Sessions of all runs together.
        cycles: Tokens that were renewed or found expired.
        sign_ins: Forced sign-ins, whatever their cause.
        forced_out: Sessions that were signed out although they had sent a request in time.
        noise95: The storm factor that chance alone stays below in 95 of 100 runs of this size.
        broken: The invariants that did not hold, each with the value seen.

    """

    name: str
    plan: SettingsPlan
    figures: tuple[ProofFigure, ...]
    sessions: int
    cycles: int
    sign_ins: int
    forced_out: int
    noise95: float
    broken: tuple[str, ...]

    def figure(self, what: str) -> ProofFigure:
        """Return a figure by its name."""
        return next(figure for figure in self.figures if figure.what == what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Both sides of a change.

    Attributes:
        seeds: The seeds of the runs; both sides use each of them.
        tuned_on: The seeds of the storms that the advice rests on.
        duration: Seconds of each run.
        changes: What the change must bring, most of it as ratios of after to before.

    """

    before: ProofSide
    after: ProofSide
    seeds: tuple[int, ...]
    tuned_on: tuple[int, ...]
    load: TrialLoad
    duration: float
    changes: tuple[ProofFigure, ...]

    @property
    def holds(self) -> bool:
        """Whether no figure misses its criterion."""
        figures = (*self.before.figures, *self.after.figures, *self.changes)
        return all(figure.holds is not False for figure in figures)

    @property
    def shows(self) -> str:
        """What these runs show about forced sign-ins, as sentences."""
        before, after = self.before, self.after
        seen = (
            f"{count_text(before.sign_ins)} sign-ins were forced in {count_text(before.sessions)}"
            f" sessions before the change, {count_text(after.sign_ins)} in"
            f" {count_text(after.sessions)} after it."
        )
        if not after.sign_ins and after.cycles:
            most = rule_of_three(after.cycles) * after.cycles / after.sessions * 1_000
            seen += (
                f" None in {count_text(after.cycles)} tokens shows fewer than {number_text(most)}"
                " per 1,000 sessions (3/n at 95 %), and no more."
            )
        return f"{seen} {self.conversion}"

    @property
    def conversion(self) -> str:
        """How the figure of a run compares with a day of use, as a sentence."""
        real = self.duration * self.load.compression
        return (
            f"A run stands for {days_text(real)} of use by every session; a day of"
            f" {days_text(USE_SECONDS)} is {number_text(USE_SECONDS / real)} times as long."
        )


def prove(
    trial: Trial,
    measurements: Measurements,
    before: SettingsPlan,
    after: SettingsPlan,
    *,
    tuned_on: Sequence[int],
    repeats: int = 1,
    seeds: Sequence[int] = (),
    changes: SettingChanges = NO_CHANGES,
    say: Callable[[str], object] = lambda _: None,
) -> Proof:
    """Run storms of `before` and `after`, and compare each with what was predicted.

    Both sides of a pair have the same seed, so the same sessions send requests at the same times.
    With dual tokens each side gets one more storm, by tabs that share a session without a lock.

    Args:
        trial: Runs the storms.
        measurements: What the predictions rest on.
        before: The settings in force.
        after: The advised settings.
        tuned_on: Seeds that `measurements` come from; no drawn seed is one of them.
        repeats: Storms of each side, where no `seeds` are given.
        seeds: The seeds of the storms, one pair each.
        changes: What the advice changes beside the plan.
        say: Receives a line of progress before each storm.

    """
    chosen = list(seeds) or fresh_seeds(repeats, tuned_on)
    duration = trial.duration([before, after])
    plans = {"before": before, "after": after}
    runs: dict[str, list[StormRun]] = {"before": [], "after": []}
    tabs: dict[str, list[StormRun]] = {"before": [], "after": []}
    for number, seed in enumerate(chosen, 1):
        for name, plan in plans.items():
            say(f"storm {number} of {len(chosen)}, {name} the change, seed {seed}")
            new = changes if name == "after" else NO_CHANGES
            run = f"{name}-{number}"
            runs[name].append(trial.run(run, plan, seed, duration, changes=new))
            if trial.load.mode == "dual":
                short = trial.run(
                    f"{run}-tabs", plan, seed, TABS_SECONDS, changes=new, is_tabs=True
                )
                tabs[name].append(short)
    load = trial.load
    predictor = _predictor(measurements, load)
    old, new_side = (
        _side(name, predictor, plan, runs[name], tabs[name], load, duration)
        for name, plan in plans.items()
    )
    return Proof(
        before=old,
        after=new_side,
        seeds=tuple(chosen),
        tuned_on=tuple(tuned_on),
        load=load,
        duration=duration,
        changes=_changes(old, new_side) if load.mode == "sliding" else (_calm_figure(new_side),),
    )


def _predictor(measurements: Measurements, load: TrialLoad) -> Predictor:
    """Return the predictor of a run of `load`."""
    seen = compressed_measurements(measurements, load.compression, load.sessions)
    if seen.visitors is not None:
        spread = load.login_spread / load.compression
        seen = replace(seen, visitors=replace(seen.visitors, login_spread=spread))
    return Predictor(seen)


def _side(
    name: str,
    predictor: Predictor,
    plan: SettingsPlan,
    runs: list[StormRun],
    tabs: list[StormRun],
    load: TrialLoad,
    duration: float,
) -> ProofSide:
    small = compressed_plan(plan, load.compression, load.scale)
    small = replace(small, workers=load.workers)
    if load.mode == "dual":
        figures = dual_figures(predictor, small, runs, tabs, duration)
    else:
        spread = load.login_spread / load.compression
        expected = expected_cycles(predictor.gaps, small, duration, spread)
        figures = (
            factor_figure(predictor, small, runs),
            sign_ins_figure(expected, runs),
            forced_figure(runs),
            hits_figure(predictor, small, runs, expected, duration),
            cpu_figure(predictor, small, runs, expected, duration),
            *p99_figures(predictor, small, runs),
        )
    failed = [check for run in (*runs, *tabs) for check in run.broken]
    return ProofSide(
        name=name,
        plan=plan,
        figures=figures,
        sessions=sum(run.sessions.total for run in runs),
        cycles=sum(run.sessions.cycles for run in runs),
        sign_ins=sum(map(forced_sign_ins_of, runs)),
        forced_out=sum(run.sessions.forced_out for run in runs),
        noise95=max((run.peaks[0].noise95 for run in runs if run.peaks), default=1.0),
        broken=tuple(f"{check.name}: {check.measured}" for check in failed),
    )


def _calm_figure(after: ProofSide) -> ProofFigure:
    factor = after.figure("storm factor")
    most = max(_CALM, after.noise95)
    return replace(
        factor,
        what="storm factor, after",
        rule=f"at most {most:.2f}: {_CALM:g}, or the level of chance in a run of this size",
        holds=None if factor.measured is None else factor.measured <= most,
    )


def _changes(before: ProofSide, after: ProofSide) -> tuple[ProofFigure, ...]:
    """Return what the change must bring: the predicted fall of sign-ins, and a level p99."""
    inside, outside = (
        after.figure(what).measured for what in ("p99 in the expiry window", "p99 outside it")
    )
    level = _ratio(inside, outside)
    return (
        _calm_figure(after),
        _fall_figure(before.figure(SIGN_INS), after.figure(SIGN_INS)),
        ProofFigure(
            what="p99 in the expiry window over outside it, after",
            unit="",
            predicted=1.0,
            measured=level,
            rule="at most 1.2, as equal runs differ",
            holds=None if level is None else level <= 1 + _SAME_P99,
        ),
    )


def _fall_figure(old: ProofFigure, new: ProofFigure) -> ProofFigure:
    expected = _ratio(new.predicted, old.predicted)
    measured = _ratio(new.measured, old.measured)
    low = _ratio(new.interval.low, old.interval.high) if new.interval and old.interval else None
    high = _ratio(new.interval.high, old.interval.low) if new.interval and old.interval else None
    interval = None
    if measured is not None and low is not None and high is not None:
        interval = Interval(value=measured, low=low, high=high)
    return ProofFigure(
        what=f"{SIGN_INS}, after over before",
        unit="",
        predicted=expected,
        measured=measured,
        interval=interval,
        rule="inside the interval",
        holds=None if expected is None or interval is None else interval.contains(expected),
    )


def _ratio(over: Any, under: Any) -> float | None:
    return over / under if over is not None and under else None
