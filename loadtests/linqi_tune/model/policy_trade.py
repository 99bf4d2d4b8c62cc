"""What each renewal policy would lead to: forced sign-ins against the highest renewal rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import SettingsPlan

if TYPE_CHECKING:
    from linqi_tune.model.predictor import Predictor

__all__ = ["PolicyTrade", "policy_trades"]

_POLICIES: Final = (("plain", 0.1), ("grid", 0.1), ("jitter", 0.25))
"""Policies with the width that jitter would need at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrade:
    """One policy, at a lifetime and a buffer.

    Attributes:
        jitter_width: Share of the period, for the policy ``jitter``.
        sign_ins: Forced sign-ins per person and day; None where no pauses are known.
        storm_factor: The highest renewal rate after a common sign-in over the steady rate.
        noise95: The storm factor that chance alone stays below in 95 of 100 runs.

    """

    policy: str
    jitter_width: float
    sign_ins: Interval | None
    storm_factor: float
    noise95: float


def policy_trades(predictor: Predictor, plan: SettingsPlan) -> tuple[PolicyTrade, ...]:
    """Return what each policy would lead to at the lifetime and the buffer of `plan`.

    Empty for sessions with refresh tokens, which no policy ends.
    """
    if not predictor.measurements.current.slides:
        return ()
    return tuple(_trade(predictor, plan, policy, width) for policy, width in _POLICIES)


def _trade(predictor: Predictor, plan: SettingsPlan, policy: str, width: float) -> PolicyTrade:
    one = replace(plan, policy=policy, jitter_width=width)
    forced = predictor.sign_ins(one)
    return PolicyTrade(
        policy=policy,
        jitter_width=width,
        sign_ins=None if forced is None else forced.total,
        storm_factor=predictor.storm_factor(one),
        noise95=predictor.noise95(one),
    )
