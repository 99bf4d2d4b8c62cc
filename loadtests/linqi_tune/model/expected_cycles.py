"""What a storm of limited length contains of a plan, in the time of the storm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import SettingsPlan

__all__ = [
    "ExpectedCycles",
    "compressed_measurements",
    "compressed_plan",
    "expected_cycles",
    "expected_refreshes",
]

_STEPS: Final = 400


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

    A loss shows only when its session returns, a buffer or more after the token was due; a renewal
    shows at once. So the end of a run hides more losses than renewals. The policy decides when
    tokens fall due: at an even rate with the grid, else one period after the previous token. The
    lags follow the capped residual distribution ``P(lag > x) = (M(A + x) - M(x)) / M(A)`` with
    ``M(x) = E[min(g, x)]``.
    """
    period, step = plan.period, duration / _STEPS
    whole = gaps.restricted_mean(period)

    def late(x: float) -> float:
        return (gaps.restricted_mean(period + x) - gaps.restricted_mean(x)) / whole

    by_step = [1 - late(n * step) for n in range(_STEPS + 1)]
    within = 1 - late(plan.buffer)
    renewed = lost = 0.0
    for n, dues in enumerate(_dues(plan, by_step, step, login_spread, whole / gaps.mean)):
        left = duration - (n + 0.5) * step
        seen = 1 - late(left)
        renewed += dues * min(seen, within)
        lost += dues * max(0.0, seen - within)
    return ExpectedCycles(renewed=renewed, lost=lost)


def expected_refreshes(
    gaps: GapDistribution, plan: SettingsPlan, duration: float, rush: float
) -> float:
    """Return the refreshes of one session in a run that begins with its token expired.

    It refreshes once when it returns, within the first `rush` seconds, and then for each due token
    after which it sends a request before the end: a refresh token outlives every pause.
    """
    return 1.0 + expected_cycles(gaps, plan, duration, rush).cycles


def _dues(
    plan: SettingsPlan, lags: Sequence[float], step: float, login_spread: float, share: float
) -> list[float]:
    """Return the expected number of tokens that fall due in each step.

    `lags`: the distribution of the lags by step; `share`: the share of grid points at which the
    session's token is alive, as a gap longer than the period contains several points.
    """
    period = plan.period / step
    if plan.policy == "grid":
        return [share / period] * _STEPS
    width = plan.jitter_width * period if plan.policy == "jitter" else 0.0
    first = _spread([(0, 1.0)], max(login_spread / step, 0.0))
    dues = [0.0] * _STEPS
    ahead = _spread(first, width, period - width)
    while ahead:
        for n, mass in ahead:
            dues[n] += mass
        back = [0.0] * _STEPS
        for n, mass in ahead:
            for lag in range(_STEPS - n):
                back[n + lag] += mass * (lags[lag + 1] - lags[lag])
        renewed = [(n, mass) for n, mass in enumerate(back) if mass > 1e-9]
        ahead = _spread(renewed, width, period - width)
    return dues


def _spread(
    masses: Sequence[tuple[int, float]], width: float, after: float = 0.0
) -> list[tuple[int, float]]:
    """Return `masses`, `after` steps later and spread over `width` steps, cut at the end."""
    found = [0.0] * _STEPS
    parts = max(1, round(width))
    for n, mass in masses:
        for part in range(parts):
            at = round(n + after) + part
            if at >= _STEPS:
                break
            found[at] += mass / parts
    return [(n, mass) for n, mass in enumerate(found) if mass > 0]


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
