"""Renewal budgets: their rate, their burst, and their effect after an outage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from linqi.sessions.storm_factor import steady_rate
from linqi_tune.model.roots import root_above
from linqi_tune.model.storm_peaks import LoginCohort

__all__ = ["Recovery", "budget_rate", "burst_for", "deferred_share", "recovery"]

_LEAST_BURST: Final = 10


def budget_rate(steady: float, factor: float = 1.5) -> float:
    """Return the signatures per second to allow: ``max(factor s, s + 4 sqrt(s))`` for a rate s.

    The second term allows for chance where few sessions renew. Both constants are a judgement.
    """
    return max(factor * steady, steady + 4 * math.sqrt(steady))


def deferred_share(load: float, burst: float) -> float:
    """Return the approximate share of renewals just due that a bucket of `burst` defers.

    `load`: the rate of renewals over the rate of the budget. The middleware lets a renewal that is
    just due pass while the bucket is at least half full, so this is the loss of an M/D/1 queue with
    room for ``burst / 2``: ``(1 - load) exp(-theta burst/2)`` where ``load (exp(theta) - 1) =
    theta`` (the exponent of Cramer and Lundberg; the factor is that of heavy traffic).
    """
    return 1.0 if load >= 1 else (1 - load) * math.exp(-_theta(load) * burst / 2)


def burst_for(load: float, chance: float) -> int:
    """Return the smallest burst that defers at most the share `chance` of renewals just due."""
    if load <= 0:
        return _LEAST_BURST
    if load >= 1:
        return 1_000_000
    return max(_LEAST_BURST, math.ceil(2 * math.log((1 - load) / chance) / _theta(load)))


def _theta(load: float) -> float:
    """Return the positive root of ``load (exp(theta) - 1) = theta``."""
    return root_above(lambda theta: load * math.expm1(theta) < theta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The renewals after an outage.

    Attributes:
        overdue: Sessions whose token fell due during the outage.
        peak: The highest rate over the given window, in renewals per second.
        drained_after: Seconds until all overdue sessions have renewed; infinity if the budget is
            too small.
        is_lossless: Whether every overdue session that sends a request before its token expires is
            renewed.

    """

    overdue: float
    peak: float
    drained_after: float
    is_lossless: bool


def recovery(
    cohort: LoginCohort,
    lifetime: float,
    buffer: float,
    outage: float,
    window: float,
    budget: float | None = None,
) -> Recovery:
    """Return the renewals after an outage of `outage` seconds.

    ``N outage / A`` sessions are overdue and return by their residual gaps, beside the steady
    ones: no policy prevents that peak, but a budget of `budget` per second does. The most urgent
    renewals go first, and overdue tokens expire no faster than they fell due, ``N / A`` per
    second. So a session that keeps sending requests is not lost while the outage is shorter than
    the buffer and the budget is at least the steady rate. A session that is deferred and sends no
    further request is lost: that is the price of a budget.
    """
    period = lifetime - buffer
    steady = steady_rate(cohort.sessions, period)
    overdue = cohort.sessions * min(1.0, outage / period)
    open_peak = overdue * cohort.gaps.residual_below(window) / window + steady
    is_short = outage < buffer
    if budget is None or budget >= open_peak:
        return Recovery(
            overdue=overdue,
            peak=open_peak,
            drained_after=cohort.gaps.quantile(0.99),
            is_lossless=is_short,
        )
    spare = budget - steady
    return Recovery(
        overdue=overdue,
        peak=budget,
        drained_after=overdue / spare if spare > 0 else math.inf,
        is_lossless=is_short and spare >= 0,
    )
