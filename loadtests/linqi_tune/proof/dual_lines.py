"""The figures of a proof with dual tokens: a rush of refreshes, and what it leaves behind."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from linqi_tune.evidence.storm_result import request_seconds
from linqi_tune.model.intervals import exact
from linqi_tune.model.plans import Plan, Predictor
from linqi_tune.model.storms import storm_chance
from linqi_tune.model.watched import Watched, refreshed
from linqi_tune.proof.proof_lines import Line, forced_line, hits_line, near, span_of
from linqi_tune.proof.trial import RUSH

if TYPE_CHECKING:
    from linqi_storm.schema.results import StormRun

__all__ = ["NOT_SHOWN", "TABS_SECONDS", "dual_lines"]

_REFRESHES: Final = 0.15
TABS_SECONDS: Final = 8.0
"""Of a storm of tabs, which all come back in its first second."""
_AFTER: Final = 2 * RUSH
"""Seconds until a rush has been answered and its echo may be looked for."""

NOT_SHOWN: Final = (
    "Not shown by this proof: what comes after the grace (linqi storm lost-replies), how long a"
    " lost feed of revocations is believed (linqi storm store-outage), when a revoked token is"
    " refused (linqi storm revoke), and client.mandatory_seconds and client.jitter, as these"
    " clients renew when they come and not by timers. No setting levels the rush itself:"
    " everybody's token has expired."
)


def dual_lines(
    predictor: Predictor,
    plan: Plan,
    runs: list[StormRun],
    tabs: list[StormRun],
    duration: float,
) -> tuple[Line, ...]:
    """Give what became of sessions that all came back at once, their access tokens expired.

    How often they refresh is set by lifetime and buffer, and whether they go on refreshing
    together by the policy. `tabs`: storms in which tabs present one refresh token at once, which
    only the grace lets pass. The cost of a refresh lies mostly in the store, of which no benchmark
    tells the processor time, so that of a request is shown and not predicted.
    """
    refreshes = refreshed(predictor.gaps, plan, duration, RUSH)
    expected = Watched(renewed=refreshes, lost=0.0)
    cycles = sum(run.sessions.cycles for run in runs)
    lapsed = exact(sum(run.sessions.lapsed for run in runs), cycles)
    return (
        _echo_line(predictor, plan, runs),
        Line(
            what="sessions lost", unit="share", predicted=0.0, measured=lapsed.value,
            interval=lapsed, rule="none", holds=lapsed.value == 0,
        ),
        forced_line(runs),
        _refreshes_line(refreshes, runs),
        hits_line(predictor, plan, runs, expected, duration),
        *_tabs_lines(tabs),
        *_shown(runs),
    )  # fmt: skip


def _echo_line(predictor: Predictor, plan: Plan, runs: list[StormRun]) -> Line:
    """Give the highest rate after the rush over the steady one."""
    crowd = replace(predictor.crowd(), login_spread=RUSH)
    chance = storm_chance(
        crowd, plan.lifetime, plan.buffer, plan.policy, plan.period / 20, plan.jitter_width
    )
    seen = [factor for run in runs if (factor := _echo(run)) is not None]
    measured = statistics.fmean(seen) if seen else None
    is_chance = measured is not None and chance.contains(measured)
    return Line(
        what="storm factor", unit="", predicted=chance.value, measured=measured, interval=chance,
        rule="within 15 %, or where chance puts a run",
        holds=is_chance or near(chance.value, measured, 0.15),
    )  # fmt: skip


def _echo(run: StormRun) -> float | None:
    if run.rates is None or not run.peaks:
        return None
    first = int(_AFTER / run.rates.step_seconds) + 1
    return max(run.rates.per_second[first:], default=0.0) / run.peaks[0].floor_per_second


def _refreshes_line(expected: float, runs: list[StormRun]) -> Line:
    seen = [run.sessions.renewals / run.sessions.total for run in runs]
    measured = statistics.fmean(seen)
    return Line(
        what="refreshes of a session", unit="", predicted=expected, measured=measured,
        interval=span_of(seen), rule="within 15 %", holds=near(expected, measured, _REFRESHES),
    )  # fmt: skip


def _tabs_lines(runs: list[StormRun]) -> tuple[Line, ...]:
    """Give what tabs meet that present one refresh token at once.

    Without a grace each of them gets a successor of its own, of which all but one are superseded.
    """
    cycles = sum(run.sessions.cycles for run in runs)
    # The client's side and the store's tell of the same sessions.
    wrong = sum(max(run.sessions.forced_out, run.sessions.families_killed) for run in runs)
    share = exact(min(wrong, cycles), cycles)
    twice = exact(min(sum(run.sessions.duplicate_successors for run in runs), cycles), cycles)
    return (
        Line(
            what="signed out by their own tabs", unit="share", predicted=0.0,
            measured=share.value, interval=share, rule="none", holds=share.value == 0,
        ),
        Line(
            what="tabs given different successors", unit="share", predicted=None,
            measured=twice.value, interval=twice, rule="shown; none with a grace",
        ),
    )  # fmt: skip


def _shown(runs: list[StormRun]) -> tuple[Line, ...]:
    inside = [run.inside.intended.at(99) for run in runs if run.inside]
    outside = [run.outside.intended.at(99) for run in runs if run.outside]
    cost = [request_seconds(run) * 1e6 for run in runs]
    return tuple(
        Line(what=what, unit=unit, predicted=None, measured=statistics.median(seen),
             interval=span_of(seen), rule="shown")
        for what, unit, seen in (
            ("processor per request", "us", cost),
            ("p99 in the rush", "ms", inside),
            ("p99 after it", "ms", outside),
        )
        if seen and any(seen)
    )  # fmt: skip
