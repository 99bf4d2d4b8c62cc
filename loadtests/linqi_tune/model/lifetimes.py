"""The shortest lifetime and buffer that lose as few sessions as is wanted."""

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
"""Seconds that a person would choose."""
_MOST_BUFFER: Final = 0.49
"""Of the lifetime: the middleware asks for less than half."""
_ROOM: Final = 1.05
"""What the evidence cannot tell from the target counts as reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeChoice:
    """A lifetime and buffer, in seconds, with the loss they are predicted to have."""

    lifetime: float
    buffer: float
    loss: Loss | None
    is_met: bool
    """Whether the target is met as far as the evidence can tell."""


def lifetimes_for(current: float, most: float) -> list[float]:
    """Give the lifetimes to consider: the current one first, then longer ones up to `most`.

    Where `most` forbids the current one, only `most`, as nothing says that less is better.
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
    """Give the buffers to consider, rising; the last is the longest that a lifetime allows."""
    longest = lifetime * _MOST_BUFFER
    longest = float(int(longest)) if longest >= 10 else longest
    nice = [float(buffer) for buffer in _NICE if buffer < longest]
    return [*nice, longest]


def provable_target(target: float, loss: Loss) -> float:
    """Give the upper end that counts as the target: less cannot be shown by so few cycles."""
    return max(target, rule_of_three(loss.cycles) * _ROOM)


def longest_lifetime(measurements: Measurements) -> tuple[float, str]:
    """Give the longest access token's life that the targets allow, in seconds, and which it is."""
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
    """Give the first lifetime of `lifetimes` that has a buffer with a loss of at most `target`.

    Its shortest such buffer of at least `least` seconds, as each second of buffer costs renewals;
    where half a lifetime has no room for that, its longest. `by_upper`: the upper end of the
    interval must keep the target, as far as the evidence reaches; else the estimate itself.
    Without one, the longest lifetime with the buffer that loses least.
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
    """Give the shortest buffer that is at least `outage`, for clients that refresh by themselves.

    A token falls due with the buffer left, so an outage that is no longer expires none that its
    client goes on trying to replace. Without such a buffer under half the lifetime, the longest;
    and never less than clients need to have a token refreshed before they send it.
    """
    buffers = buffers_for(lifetime)
    outage = max(outage, LEAST_LEFT)
    found = next((buffer for buffer in buffers if buffer >= outage), buffers[-1])
    return LifetimeChoice(lifetime=lifetime, buffer=found, loss=Loss.none(), is_met=found >= outage)


def _unknown(predictor: Predictor, lifetime: float) -> LifetimeChoice:
    """Without evidence nothing is changed but what must be."""
    buffer = min(predictor.measurements.current.buffer, buffers_for(lifetime)[-1])
    return LifetimeChoice(lifetime=lifetime, buffer=buffer, loss=None, is_met=True)
