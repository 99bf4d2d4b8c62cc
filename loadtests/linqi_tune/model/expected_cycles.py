"""What a storm of limited length contains of a plan, in the time of the storm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.replay import replay_tokens
from linqi_tune.model.session_rule import SessionRule, policy_of
from linqi_tune.model.sign_in_sources import drawn_pages

__all__ = [
    "ExpectedCycles",
    "compressed_measurements",
    "compressed_plan",
    "expected_cycles",
    "expected_refreshes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCycles:
    """The cycles of one session in a run, as expectations.

    Attributes:
        renewed: Tokens that are renewed before the end of the run.
        lost: Tokens that are found expired before it.

    """

    renewed: float
    lost: float

    @property
    def cycles(self) -> float:
        """Tokens that are renewed or found expired."""
        return self.renewed + self.lost

    @property
    def share(self) -> float:
        """The share of cycles that are lost."""
        return self.lost / self.cycles if self.cycles else 0.0


def expected_cycles(
    gaps: GapDistribution, plan: SettingsPlan, duration: float, login_spread: float = 0.0
) -> ExpectedCycles:
    """Return the cycles of one session that a run of `duration` seconds contains.

    Sessions drawn from `gaps` are replayed under the rule of `plan`, from their sign-in to the end
    of the run: a loss shows only when its session returns, so the end hides more losses than
    renewals.
    """
    rule = SessionRule(
        lifetime=plan.lifetime,
        buffer=plan.buffer,
        policy=policy_of(plan.policy),
        jitter_width=plan.jitter_width,
        max_session=math.inf,
    )
    return _replayed(gaps, rule, duration, login_spread)


def expected_refreshes(
    gaps: GapDistribution, plan: SettingsPlan, duration: float, rush: float
) -> float:
    """Return the refreshes of one session in a run that begins with its token expired.

    It refreshes once when it returns, within the first `rush` seconds, and then for each due token
    after which it sends a request before the end: a refresh token outlives every pause.
    """
    endless = duration + plan.period + plan.lifetime
    rule = SessionRule.for_refresh_tokens(plan.lifetime, plan.buffer, endless, math.inf)
    return 1.0 + _replayed(gaps, rule, duration, rush).renewed


def _replayed(
    gaps: GapDistribution, rule: SessionRule, duration: float, login_spread: float
) -> ExpectedCycles:
    pages = drawn_pages(gaps, duration, spread=min(login_spread, duration))
    forced, renewals = replay_tokens(pages, rule, 0.5)
    sessions = max(1, len(pages))
    return ExpectedCycles(renewed=renewals / sessions, lost=len(forced) / sessions)


def compressed_plan(plan: SettingsPlan, k: float, scale: float = 1.0) -> SettingsPlan:
    """Return `plan` as a storm compressed by `k` runs it.

    Durations and the sessions that a cache holds are divided; rates per second stay. `scale`: the
    real sessions that the storm stands for over those of the plan; cache and budget grow with it.
    """
    return replace(
        plan,
        lifetime=plan.lifetime / k,
        buffer=plan.buffer / k,
        cache_entries=max(1, round(plan.cache_entries / k * scale)),
        cache_lifetime=plan.cache_lifetime / k,
        budget=None if plan.budget is None else plan.budget * scale,
    )


def compressed_measurements(measurements: Measurements, k: float, sessions: int) -> Measurements:
    """Return `measurements` as they are in a storm of `sessions` compressed by `k`."""
    visitors, current = measurements.visitors, measurements.current
    if visitors is None:
        return measurements
    return replace(
        measurements,
        visitors=replace(
            visitors,
            groups=[visitors.gaps.scaled(1 / k)],
            sessions=sessions,
            login_spread=visitors.login_spread / k,
            peak_rps=0.0,
        ),
        histories=None,  # a storm runs the pauses of no person in particular
        lags=None,
        lags_by_session=(),
        current=replace(
            current,
            lifetime=current.lifetime / k,
            buffer=current.buffer / k,
            cache_entries=max(1, round(current.cache_entries / k)),
            cache_lifetime=current.cache_lifetime / k,
        ),
        targets=replace(measurements.targets, sessions=sessions, peak_rps=None),
    )
