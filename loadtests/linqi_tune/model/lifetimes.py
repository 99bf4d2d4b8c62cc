"""The lifetime and the buffer that force the fewest sign-ins, at the least risk and cost."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.rate_intervals import counted_rate
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.model.time_limits import LEAST_LEFT

if TYPE_CHECKING:
    from linqi_tune.model.predictor import Predictor

__all__ = [
    "LEAST_SEEN",
    "ChoiceAim",
    "LifetimeChoice",
    "buffers_for",
    "fewest_renewals",
    "fewest_sign_ins",
    "is_shown",
    "lifetime_for_outage",
    "lifetimes_for",
    "longest_lifetime",
]

ChoiceAim: TypeAlias = Literal["token life", "sign-ins", "renewals"]
"""What a choice keeps lowest: the time for which a stolen token is valid, forced sign-ins, or
renewals."""

_Allows: TypeAlias = Callable[[SettingsPlan], bool]

_NICE: Final = (
    *(1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 180, 210, 240, 270, 300, 360, 420, 440),
    *(480, 540, 600, 720, 840, 900, 1080, 1200, 1320, 1500, 1800, 2100, 2400, 3000, 3600, 4200),
    *(5400, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400),
)
"""Round numbers of seconds."""
_MOST_BUFFER: Final = 0.49
"""As a share of the lifetime: the middleware requires less than half."""
_EQUAL: Final = 0.03
"""Settings that surely force at most this share more sign-ins than the best are equal to it: what
they force more than the best counts with the upper end of its interval."""
_LEAN: Final = 0.25
"""The same for the option that costs least."""
LEAST_SEEN: Final = 1.0
"""Sign-ins in the measured time: fewer were not seen."""
_NONE_SEEN: Final = 0.5
"""An expected count that rounds to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeChoice:
    """A lifetime and a buffer in seconds, with the sign-ins they force; None where unknown."""

    lifetime: float
    buffer: float
    sign_ins: ForcedSignIns | None
    aim: ChoiceAim
    is_met: bool
    """Whether the target is met, as far as the evidence can show; True without a target."""


def lifetimes_for(current: float, most: float) -> list[float]:
    """Return the lifetimes to consider: the current one first, then longer ones up to `most`.

    If `most` forbids the current one, the result is `most` alone: nothing favours less.
    """
    if current > most:
        return [float(most)]
    longer = [float(nice) for nice in _NICE if current < nice <= most]
    return [
        float(current),
        *longer,
        *([float(most)] if most not in longer and most > current else []),
    ]


def buffers_for(lifetime: float) -> list[float]:
    """Return the buffers to consider, rising, up to the longest that the lifetime allows."""
    longest = lifetime * _MOST_BUFFER
    longest = float(int(longest)) if longest >= 10 else longest
    nice = [float(buffer) for buffer in _NICE if buffer < longest]
    return [*nice, longest]


def is_shown(target: float, sign_ins: ForcedSignIns) -> bool:
    """Return whether the target is met as far as the evidence can show.

    The upper end of the interval is at most the target, or no sign-in was seen: then more evidence
    is needed and not other settings.
    """
    return sign_ins.total.high <= target or sign_ins.seen < _NONE_SEEN


def longest_lifetime(measurements: Measurements) -> tuple[float, str]:
    """Return the longest allowed lifetime in seconds, and the option that limits it."""
    targets = measurements.targets
    bounds = [(targets.most_lifetime, "--max-lifetime-seconds")]
    if targets.revocation is not None and not measurements.current.has_store:
        bounds.append((targets.revocation, "--revocation-seconds"))
    if targets.session_cap is not None:
        bounds.append((targets.session_cap, "--session-cap-seconds"))
    most, name = min(bounds)
    return max(most, 1.0), name


def fewest_sign_ins(
    predictor: Predictor,
    lifetimes: list[float],
    *,
    target: float | None = None,
    least: float = 0.0,
) -> LifetimeChoice:
    """Return the settings that meet `target`, or that force the fewest sign-ins without one.

    Of all that do it is the shortest lifetime, for which a stolen token is valid, and then the
    shortest buffer, as each second of buffer costs renewals. Without a target, settings that force
    at most 3 % more sign-ins than the best count as equal to it; where few were measured, those
    that forced none more. So thin evidence leads to long buffers, and not to a lucky guess. A log
    that is too short never makes the buffer a smaller share of the lifetime than it is in force.

    Args:
        predictor: Predicts the sign-ins, which fall as the lifetime or the buffer rises.
        lifetimes: In seconds, rising.
        target: Forced sign-ins per person and day, at most; the upper end of the interval must
            meet it. If no settings do, the result is not met and forces the fewest.
        least: The shortest buffer in seconds, where half the lifetime allows it.

    """
    aim: ChoiceAim = "sign-ins" if len(lifetimes) > 1 else "token life"
    best = _best(predictor, lifetimes, least)
    if best is None:
        return _unknown(predictor, lifetimes[0])
    met = None
    if target is not None:
        met = _first(predictor, lifetimes, least, lambda plan: _meets(predictor, plan, target))
    if met is not None:
        return _chosen(predictor, met, aim, is_met=True)
    return _chosen(predictor, _equal(predictor, lifetimes, least, best), aim, is_met=target is None)


def fewest_renewals(
    predictor: Predictor,
    lifetimes: list[float],
    *,
    target: float | None = None,
    least: float = 0.0,
) -> LifetimeChoice:
    """Return the settings that renew least often and whose estimate still meets `target`.

    Without a target, or if none meets it, they force at most a quarter more sign-ins than the
    fewest. Arguments as those of `fewest_sign_ins`.
    """
    best = _best(predictor, lifetimes, least)
    if best is None:
        return _unknown(predictor, lifetimes[0])
    is_met = target is None or _rate(predictor, best) <= target
    most = _enough(predictor, best, _LEAN) if target is None or not is_met else target
    found = best
    for lifetime in reversed(lifetimes):
        if lifetime - least <= found.period:
            break
        plan = _shortest_buffer(
            predictor, lifetime, least, lambda plan: _rate(predictor, plan) <= most
        )
        found = max(found, plan or found, key=lambda plan: plan.period)
    return _chosen(predictor, found, "renewals", is_met=is_met)


def _equal(
    predictor: Predictor, lifetimes: list[float], least: float, best: SettingsPlan
) -> SettingsPlan:
    """Return the cheapest plan that forces no more sign-ins than the best one."""
    seen, fewest = predictor.sign_ins(best), _rate(predictor, best)
    days = seen.person_days if seen and seen.person_days else 1.0
    most = max(fewest * _EQUAL, counted_rate(_NONE_SEEN / days, days).high)

    def is_equal(plan: SettingsPlan) -> bool:
        more = max(0.0, _rate(predictor, plan) - fewest)
        return counted_rate(more, days).high <= most

    return _first(predictor, lifetimes, least, is_equal) or best


def _plans(predictor: Predictor, lifetime: float, least: float) -> list[SettingsPlan]:
    """Return the plans of a lifetime, with rising buffers."""
    buffers = buffers_for(lifetime)
    advised = replace(predictor.advised_plan(), lifetime=lifetime)
    least = max(least, _kept_share(predictor) * lifetime)
    return [
        replace(advised, buffer=buffer)
        for buffer in [long for long in buffers if long >= least] or buffers[-1:]
    ]


def _kept_share(predictor: Predictor) -> float:
    """Return the share of a lifetime that its buffer keeps: that in force where a log is too short.

    A log of an hour shows hardly a pause that the buffer in force saves.
    """
    seen = predictor.sign_ins(predictor.current_plan())
    current = predictor.measurements.current
    return 0.0 if seen is None or seen.is_resolved else current.buffer / current.lifetime


def _best(predictor: Predictor, lifetimes: list[float], least: float) -> SettingsPlan | None:
    """Return the plan that forces the fewest sign-ins; None where they are unknown."""
    longest = [_plans(predictor, lifetime, least)[-1] for lifetime in lifetimes]
    if predictor.sign_in_rate(longest[0]) is None:
        return None
    return min(longest, key=lambda plan: _rate(predictor, plan))


def _rate(predictor: Predictor, plan: SettingsPlan) -> float:
    rate = predictor.sign_in_rate(plan)
    return math.inf if rate is None else rate


def _first(
    predictor: Predictor, lifetimes: list[float], least: float, allows: _Allows
) -> SettingsPlan | None:
    """Return the first lifetime, with its shortest buffer, that is allowed; None if none is."""
    found = (_shortest_buffer(predictor, lifetime, least, allows) for lifetime in lifetimes)
    return next((plan for plan in found if plan is not None), None)


def _shortest_buffer(
    predictor: Predictor, lifetime: float, least: float, allows: _Allows
) -> SettingsPlan | None:
    """Return the shortest buffer that is allowed; with a longer buffer a plan stays allowed."""
    plans = _plans(predictor, lifetime, least)
    if not allows(plans[-1]):
        return None
    return plans[bisect_left(plans, True, key=allows)]


def _enough(predictor: Predictor, best: SettingsPlan, equal: float) -> float:
    """Return the sign-ins that count as no more than the fewest."""
    seen, rate = predictor.sign_ins(best), _rate(predictor, best)
    unseen = LEAST_SEEN / seen.person_days if seen and seen.person_days else 0.0
    return rate + max(rate * equal, unseen)


def _meets(predictor: Predictor, plan: SettingsPlan, target: float) -> bool:
    """Return whether the upper end meets the target; it takes longer to compute than the rate."""
    if _rate(predictor, plan) > target:
        return False
    seen = predictor.sign_ins(plan)
    return seen is not None and is_shown(target, seen)


def _chosen(
    predictor: Predictor, plan: SettingsPlan, aim: ChoiceAim, *, is_met: bool
) -> LifetimeChoice:
    return LifetimeChoice(
        lifetime=plan.lifetime,
        buffer=plan.buffer,
        sign_ins=predictor.sign_ins(plan),
        aim=aim,
        is_met=is_met,
    )


def lifetime_for_outage(predictor: Predictor, lifetime: float, outage: float) -> LifetimeChoice:
    """Return the shortest buffer that is at least `outage`, for clients that refresh.

    A token falls due when the buffer begins, so no token expires in an outage that is no longer,
    if its client keeps trying. If half the lifetime has no room for it, the result is the longest
    buffer. It is never shorter than a client needs to refresh a token before it sends it. Lifetime
    and buffer force no sign-in; the ends of sessions do.
    """
    buffers = buffers_for(lifetime)
    outage = max(outage, LEAST_LEFT)
    found = next((buffer for buffer in buffers if buffer >= outage), buffers[-1])
    target = predictor.measurements.targets.max_sign_ins
    plan = replace(predictor.advised_plan(), lifetime=lifetime, buffer=found)
    sign_ins = predictor.sign_ins(plan)
    is_few = target is None or sign_ins is None or sign_ins.total.value <= target
    return LifetimeChoice(
        lifetime=lifetime, buffer=found, sign_ins=sign_ins, aim="token life", is_met=is_few
    )


def _unknown(predictor: Predictor, lifetime: float) -> LifetimeChoice:
    """Return the buffer in force, shortened only where the lifetime requires it."""
    buffer = min(predictor.measurements.current.buffer, buffers_for(lifetime)[-1])
    return LifetimeChoice(
        lifetime=lifetime, buffer=buffer, sign_ins=None, aim="token life", is_met=True
    )
