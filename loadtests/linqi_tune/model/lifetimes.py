"""The shortest lifetime and buffer that meet the target for lost renewals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linqi_tune.model.intervals import rule_of_three
from linqi_tune.model.losses import Loss
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.time_limits import LEAST_LEFT

__all__ = [
    "LifetimeChoice",
    "buffers_for",
    "choose_lifetime",
    "lifetime_for_outage",
    "lifetimes_for",
    "longest_lifetime",
    "provable_target",
]

_NICE: Final = (
    *(
        1,
        2,
        3,
        5,
        10,
        15,
        20,
        30,
        45,
        60,
        90,
        120,
        150,
        180,
        210,
        240,
        270,
        300,
        360,
        420,
        440,
        480,
    ),
    *(540, 600, 720, 840, 900, 1080, 1200, 1320, 1500, 1800, 2100, 2400, 3000, 3600, 4200, 5400),
    *(7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400),
)
"""Round numbers of seconds."""
_MOST_BUFFER: Final = 0.49
"""As a share of the lifetime: the middleware requires less than half."""
_ROOM: Final = 1.05
"""The target counts as met up to this ratio, which the evidence cannot resolve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeChoice:
    """A lifetime and a buffer in seconds, with their predicted loss; None where it is unknown."""

    lifetime: float
    buffer: float
    loss: Loss | None
    is_met: bool
    """Whether the target is met, as far as the evidence can show."""


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


def provable_target(target: float, loss: Loss) -> float:
    """Return the upper end that counts as the target: these cycles can show no lower loss."""
    return max(target, rule_of_three(loss.cycles) * _ROOM)


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


def choose_lifetime(
    predictor: Predictor,
    lifetimes: list[float],
    target: float,
    *,
    least: float = 0.0,
    by_upper: bool = True,
) -> LifetimeChoice:
    """Return the first of `lifetimes` that has a buffer with a loss of at most `target`.

    The buffer is the shortest such one, as each second of buffer costs renewals. If no lifetime
    has one, the result is the lifetime and buffer that lose least, and is not met.

    Args:
        predictor: Predicts the losses.
        lifetimes: In seconds, in order of preference.
        target: The share of renewals that may be lost.
        least: The shortest buffer in seconds, where half the lifetime allows it.
        by_upper: Whether the upper end of the interval must meet the target, as far as the
            evidence can show; else the estimate must.

    """
    best = (2.0, lifetimes[0], 0.0)
    for lifetime in lifetimes:
        buffers = buffers_for(lifetime)
        for buffer in [long for long in buffers if long >= least] or buffers[-1:]:
            seen = predictor.quick_loss(lifetime, buffer)
            if seen is None:
                return _unknown(predictor, lifetime)
            best = min(best, (seen, lifetime, buffer))
            if seen > target:
                continue
            loss = predictor.loss(lifetime, buffer)
            if loss and (not by_upper or loss.savable.high <= provable_target(target, loss)):
                return LifetimeChoice(lifetime=lifetime, buffer=buffer, loss=loss, is_met=True)
    _, lifetime, buffer = best
    loss = predictor.loss(lifetime, buffer)
    return LifetimeChoice(lifetime=lifetime, buffer=buffer, loss=loss, is_met=False)


def lifetime_for_outage(lifetime: float, outage: float) -> LifetimeChoice:
    """Return the shortest buffer that is at least `outage`, for clients that refresh.

    A token falls due when the buffer begins, so no token expires in an outage that is no longer,
    if its client keeps trying. If half the lifetime has no room for it, the result is the longest
    buffer. It is never shorter than a client needs to refresh a token before it sends it.
    """
    buffers = buffers_for(lifetime)
    outage = max(outage, LEAST_LEFT)
    found = next((buffer for buffer in buffers if buffer >= outage), buffers[-1])
    return LifetimeChoice(lifetime=lifetime, buffer=found, loss=Loss.none(), is_met=found >= outage)


def _unknown(predictor: Predictor, lifetime: float) -> LifetimeChoice:
    """Return the buffer in force, shortened only where the lifetime requires it."""
    buffer = min(predictor.measurements.current.buffer, buffers_for(lifetime)[-1])
    return LifetimeChoice(lifetime=lifetime, buffer=buffer, loss=None, is_met=True)
