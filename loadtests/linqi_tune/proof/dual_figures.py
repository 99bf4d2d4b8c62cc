"""The figures of a proof with dual tokens: a rush of refreshes, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from linqi.sessions.storm_factor import peak_window, storm_factor
from linqi_tune.evidence.storm_result import request_seconds
from linqi_tune.model.expected_cycles import ExpectedCycles, expected_refreshes
from linqi_tune.model.intervals import exact_interval
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.storm_peaks import storm_factor_range
from linqi_tune.proof.proof_figures import (
    ProofFigure,
    figure_that_must_be_zero,
    figure_within,
    forced_figure,
    hits_figure,
    shown_figure,
    sign_ins_figure,
    storm_factor_figure,
)
from linqi_tune.proof.trial import RUSH_SECONDS

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = ["NOT_SHOWN", "TABS_SECONDS", "dual_figures"]

_REFRESHES: Final = 0.15
TABS_SECONDS: Final = 8.0
"""Duration of a storm of tabs, which all return in its first second."""
_AFTER: Final = 2 * RUSH_SECONDS
"""Seconds until a rush has been answered and its echo may be looked for."""

NOT_SHOWN: Final = (
    "This proof does not show what happens after the grace (linqi storm lost-replies), how long"
    " tokens are accepted while the feed of revocations is lost (linqi storm store-outage), when a"
    " revoked token is refused (linqi storm revoke), and client.mandatory_seconds and"
    " client.jitter, as these clients renew with a request and not by timers. No setting reduces"
    " the rush itself: every access token has expired."
)


def dual_figures(
    predictor: Predictor,
    plan: SettingsPlan,
    runs: list[StormRun],
    tabs: list[StormRun],
    duration: float,
) -> tuple[ProofFigure, ...]:
    """Return the figures of sessions that all return at once, their access tokens expired.

    Lifetime and buffer decide how often they refresh, the policy whether they go on refreshing
    together. Most of the cost of a refresh is in the store, whose processor time no benchmark
    measures, so that of a request is shown and not predicted.

    Args:
        predictor: For the load of the runs.
        plan: The settings of the runs, compressed as they are.
        runs: The storms of `plan`.
        tabs: Storms in which several tabs present one refresh token at once, which only the grace
            allows.
        duration: Seconds of each of `runs`.

    """
    refreshes = expected_refreshes(predictor.gaps, plan, duration, RUSH_SECONDS)
    expected = ExpectedCycles(renewed=refreshes, lost=0.0)
    per_session = [run.sessions.renewals / run.sessions.total for run in runs]
    return (
        _echo_figure(predictor, plan, runs),
        sign_ins_figure(expected, runs),
        forced_figure(runs),
        figure_within("refreshes of a session", "", refreshes, per_session, _REFRESHES),
        hits_figure(predictor, plan, runs, expected, duration),
        *_tabs_figures(tabs),
        *_shown_figures(runs),
    )


def _echo_figure(predictor: Predictor, plan: SettingsPlan, runs: list[StormRun]) -> ProofFigure:
    """Return the storm factor after the rush."""
    cohort = replace(predictor.cohort(), login_spread=RUSH_SECONDS)
    chance = storm_factor_range(cohort, plan, peak_window(plan.period))
    seen = [factor for run in runs if (factor := _echo(run)) is not None]
    return storm_factor_figure(chance, seen)


def _echo(run: StormRun) -> float | None:
    if run.rates is None or not run.peaks:
        return None
    first = int(_AFTER / run.rates.step_seconds) + 1
    load = run.setup.load
    return storm_factor(
        max(run.rates.per_second[first:], default=0.0),
        load.sessions,
        load.lifetime_seconds - load.buffer_seconds,
    )


def _tabs_figures(runs: list[StormRun]) -> tuple[ProofFigure, ...]:
    """Return what happens to tabs that present one refresh token at once.

    Without a grace each of them gets a successor of its own, of which all but one are superseded.
    """
    cycles = sum(run.sessions.cycles for run in runs)
    # The client's side and the store's count the same sessions.
    wrong = sum(max(run.sessions.forced_out, run.sessions.families_killed) for run in runs)
    split = sum(run.sessions.duplicate_successors for run in runs)
    twice = exact_interval(min(split, cycles), cycles)
    return (
        figure_that_must_be_zero(
            "signed out by their own tabs", exact_interval(min(wrong, cycles), cycles)
        ),
        ProofFigure(
            what="tabs given different successors",
            unit="share",
            predicted=None,
            measured=twice.value,
            interval=twice,
            rule="shown; none with a grace",
        ),
    )


def _shown_figures(runs: list[StormRun]) -> tuple[ProofFigure, ...]:
    inside = [run.inside.intended.at(99) for run in runs if run.inside]
    outside = [run.outside.intended.at(99) for run in runs if run.outside]
    cost = [request_seconds(run) * 1e6 for run in runs]
    return tuple(
        shown_figure(what, unit, seen)
        for what, unit, seen in (
            ("processor per request", "us", cost),
            ("p99 in the rush", "ms", inside),
            ("p99 after it", "ms", outside),
        )
        if any(seen)
    )
