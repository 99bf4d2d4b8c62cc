"""The highest renewal rate after a common sign-in, under each policy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi.sessions.storm_factor import storm_factor
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.scan_statistic import scan_mean, scan_quantile

__all__ = [
    "LoginCohort",
    "duplicate_signatures",
    "plain_peak",
    "predicted_storm_factor",
    "storm_factor_range",
]

_STEPS: Final = 600
_NEAR: Final = 0.97
"""Where the expected rate is above this share of its maximum, chance decides where the peak is."""


def plain_peak(sessions: float, gaps: GapDistribution, window: float) -> float:
    """Return renewals per second over `window` seconds when all tokens fall due at once.

    ``N * E[min(g, w)] / E[g] / w``; for a Poisson process of rate r it is ``N (1-exp(-r w)) / w``.
    """
    return sessions * gaps.residual_below(window) / window


def duplicate_signatures(parallel: float, workers: float) -> float:
    """Return the mean number of workers that `parallel` requests reach: ``W (1 - (1 - 1/W)**C)``.

    A renewal costs this many signatures if each worker has its own memo and a request reaches each
    worker with the same chance. Without a memo it costs C, with a shared store 1.
    """
    return workers * -math.expm1(parallel * math.log1p(-1 / workers)) if workers > 1 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCohort:
    """Sessions that signed in together.

    Attributes:
        gaps: The pauses between their pages.
        login_spread: The seconds within which they signed in.

    """

    sessions: int
    gaps: GapDistribution
    login_spread: float = 0.0


def predicted_storm_factor(cohort: LoginCohort, plan: SettingsPlan, window: float) -> float:
    """Return the expected storm factor of the first cycle, over `window` seconds.

    Due instants are spread over the period ``A = lifetime - buffer`` by the grid, over
    ``jitter_width * A`` by jitter, and over the login spread in any case; each renewal follows
    after a residual gap. The expected count of the fullest window is the difference of that sum's
    distribution. Where the rate is level for longer than a window, chance makes one of many
    windows fuller still (`scan_mean`).
    """
    rate, span = _fullest(cohort, plan, window)
    most = scan_mean(rate, span, window)
    return storm_factor(most / window, cohort.sessions, plan.period)


def storm_factor_range(cohort: LoginCohort, plan: SettingsPlan, window: float) -> Interval:
    """Return `predicted_storm_factor` with the range that holds 95 of 100 storms by chance."""
    rate, span = _fullest(cohort, plan, window)
    value = scan_mean(rate, span, window)
    low, high = (scan_quantile(share, rate, span, window) for share in (0.025, 0.975))

    def factor(count: float) -> float:
        return storm_factor(count / window, cohort.sessions, plan.period)

    return Interval(value=factor(value), low=factor(min(low, value)), high=factor(max(high, value)))


def _fullest(cohort: LoginCohort, plan: SettingsPlan, window: float) -> tuple[float, float]:
    """Return the highest expected rate over `window`, and the seconds for which it is level."""
    step = plan.lifetime / _STEPS
    shares = _renewals(cohort, plan, step)
    level = [(_between(shares, n, n + window / step), n * step) for n in range(_STEPS + 1)]
    expected = cohort.sessions * max(share for share, _ in level)
    near = [at for share, at in level if share * cohort.sessions >= _NEAR * expected]
    if plan.policy == "grid":  # level from the start, except for the first gaps
        near = [0.0, plan.lifetime - window]
    return expected / window, max(near) - min(near) + window


def _renewals(cohort: LoginCohort, plan: SettingsPlan, step: float) -> list[float]:
    """Return the expected renewals of one session until each step of a lifetime."""
    spread = {"grid": plan.period, "jitter": plan.jitter_width * plan.period}.get(plan.policy, 0.0)
    back = [cohort.gaps.residual_below(step * n) for n in range(_STEPS + 1)]
    # From a sign-in to a renewal: the latest due instant, less a share of the spread, and a gap.
    first = _cycle(back, spread / step, plan.period / step)
    first = _averaged(first, cohort.login_spread / step)
    if plan.policy != "jitter":
        return first
    # A successor is due a period after its predecessor was, whenever that was renewed.
    return _repeated(first, _cycle([1.0] * len(back), spread / step, plan.period / step))


def _cycle(lags: Sequence[float], spread: float, period: float) -> list[float]:
    """Return the distribution of a due instant, up to `spread` before the period, and a lag."""
    return _shifted(_averaged(lags, spread), period - spread)


def _averaged(shares: Sequence[float], width: float) -> list[float]:
    """Return the distribution of a sum with a uniform part that is `width` steps wide."""
    if width <= 0:
        return list(shares)
    sums = [0.0]
    for left, right in itertools.pairwise(shares):
        sums.append(sums[-1] + (left + right) / 2)

    def integral(at: float) -> float:
        if at <= 0:
            return 0.0
        whole = min(int(at), len(shares) - 2)
        part = at - whole
        return sums[whole] + part * (shares[whole] + (shares[whole + 1] - shares[whole]) * part / 2)

    return [(integral(n) - integral(n - width)) / width for n in range(len(shares))]


def _shifted(shares: Sequence[float], by: float) -> list[float]:
    """Return the distribution `by` steps later."""
    return [_at(shares, n - by) for n in range(len(shares))]


def _repeated(first: Sequence[float], cycle: Sequence[float]) -> list[float]:
    """Return the expected renewals where each begins another cycle: the renewal equation."""
    masses = [(n, b - a) for n, (a, b) in enumerate(itertools.pairwise(cycle), 1) if b > a]
    found: list[float] = []
    for n, share in enumerate(first):
        found.append(share + sum(mass * found[n - u] for u, mass in masses if u <= n))
    return found


def _at(shares: Sequence[float], place: float) -> float:
    """Return the distribution between two steps, and 0 before the first."""
    if place < 0:
        return 0.0
    if place >= len(shares) - 1:
        return shares[-1]
    whole = int(place)
    return shares[whole] + (shares[whole + 1] - shares[whole]) * (place - whole)


def _between(shares: Sequence[float], start: float, end: float) -> float:
    """Return the share between the steps `start` and `end`, cut at the last step."""
    return _at(shares, end) - _at(shares, start)
