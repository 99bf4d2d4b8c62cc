"""How many renewals to pay for at once: budgets, and what they do after an outage."""

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
    """Give the signatures per second to allow: ``max(factor s, s + 4 sqrt(s))`` for a rate s.

    The second term leaves chance its room where few renew. Both constants are a judgement.
    """
    return max(factor * steady, steady + 4 * math.sqrt(steady))


def deferred_share(load: float, burst: float) -> float:
    """Give the share of renewals just due that a bucket of `burst` puts off, about.

    `load`: the rate at which they come over that of the budget. The middleware lets a renewal that
    is just due pass while the bucket is at least half full, so this is the loss of a queue M/D/1
    with room for ``burst / 2``: ``(1 - load) exp(-theta burst/2)`` where ``load (exp(theta) - 1) =
    theta`` (the exponent of Cramer and Lundberg; the factor is that of heavy traffic).
    """
    return 1.0 if load >= 1 else (1 - load) * math.exp(-_theta(load) * burst / 2)


def burst_for(load: float, chance: float) -> int:
    """Give the least burst that puts off at most the share `chance` of renewals just due."""
    if load <= 0:
        return _LEAST_BURST
    if load >= 1:
        return 1_000_000
    return max(_LEAST_BURST, math.ceil(2 * math.log((1 - load) / chance) / _theta(load)))


def _theta(load: float) -> float:
    """Give the positive root of ``load (exp(theta) - 1) = theta``."""
    return root_above(lambda theta: load * math.expm1(theta) < theta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What comes after an outage; rates in renewals per second."""

    overdue: float
    """Sessions that fell due meanwhile."""
    peak: float
    """The highest rate, over the window that was asked for."""
    drained_after: float
    """Seconds until the overdue ones have renewed: infinity where the budget never gets there."""
    is_lossless: bool
    """Whether every overdue session that comes again in its last seconds is still renewed."""


def recovery(
    cohort: LoginCohort,
    lifetime: float,
    buffer: float,
    outage: float,
    window: float,
    budget: float | None = None,
) -> Recovery:
    """Give what happens when the service is back after `outage` seconds.

    ``N outage / A`` sessions are overdue and return by their residual gaps, beside the steady
    ones: no policy prevents that peak, a budget of `budget` per second does. The most urgent come
    first, and those overdue expire no faster than they fell due, ``N / A`` a second, so nobody who
    goes on asking is lost while the outage is shorter than the buffer and the budget at least the
    steady rate. Whoever is put off and does not ask again is lost: a budget has that price.
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
