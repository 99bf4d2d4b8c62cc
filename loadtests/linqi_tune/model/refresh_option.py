"""Refresh tokens in place of sliding sessions: the sign-ins that they save, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from linqi_tune.model.lifetimes import LEAST_SEEN, lifetime_for_outage, longest_lifetime
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.model.time_limits import revocation_lag

__all__ = ["RefreshOption", "refresh_option"]

_MOST: Final = 0.5
"""The share of forced sign-ins from which on refresh tokens are shown beside the options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOption:
    """Sessions with refresh tokens (dual tokens), which outlive every pause up to ``idle``.

    Attributes:
        plan: Their settings; the access token lives no longer than today.
        outcome: What is predicted of them.
        idle: Seconds without use after which a session ends.
        store_writes: Writes to the store per second: each refresh is one.
        revoked_within: Seconds for which a revoked access token is accepted at most, while the feed
            of revocations is lost.
        saved: The share of the forced sign-ins of `than` that they save; 0 if they save none in
            the measured time.

    """

    plan: SettingsPlan
    outcome: PlanOutcome
    idle: float
    store_writes: float
    revoked_within: float
    saved: float

    @property
    def is_notable(self) -> bool:
        """Whether refresh tokens save most of the forced sign-ins."""
        return self.saved >= _MOST


def refresh_option(predictor: Predictor, than: PlanOutcome) -> RefreshOption | None:
    """Return refresh tokens beside the sliding sessions of `than`.

    None where the sessions have refresh tokens already, or where no pauses are known.
    """
    measurements = predictor.measurements
    current = measurements.current
    if not current.slides or than.sign_ins is None:
        return None
    other = Predictor(
        replace(measurements, current=replace(current, slides=False, has_store=True)),
        predictor.sign_in_source,
    )
    most, _ = longest_lifetime(other.measurements)
    choice = lifetime_for_outage(other, min(current.lifetime, most), measurements.targets.outage)
    plan = replace(other.advised_plan(), lifetime=choice.lifetime, buffer=choice.buffer)
    outcome = other.outcome(plan)
    return RefreshOption(
        plan=plan,
        outcome=outcome,
        idle=min(current.idle, plan.max_session),
        store_writes=outcome.renewals_per_second,
        revoked_within=revocation_lag(plan.lifetime, 0.0, current.stale_after),
        saved=_saved(than.sign_ins, outcome.sign_ins),
    )


def _saved(before: ForcedSignIns, after: ForcedSignIns | None) -> float:
    saved = 0.0 if after is None else before.total.value - after.total.value
    if saved * before.person_days < LEAST_SEEN:
        return 0.0
    return saved / before.total.value
