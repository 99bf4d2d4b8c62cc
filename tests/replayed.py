"""A replay of request instants that knows nothing of the tuner: one request after the other."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DAY = 86_400.0


@dataclass(slots=True)
class Token:
    """A token as the middleware issues it."""

    due: float
    expires: float


@dataclass(slots=True)
class Settings:
    """The settings of sliding sessions, in seconds."""

    lifetime: float
    buffer: float
    policy: str = "grid"
    width: float = 0.1
    longest: float = math.inf


def first_token(settings: Settings, now: float, phase: float, rng: random.Random) -> Token:
    """Issue the token of a sign-in."""
    life = settings.lifetime
    if settings.policy == "jitter":
        life -= rng.random() * settings.width * (settings.lifetime - settings.buffer)
    expires = now + life
    return Token(_due(settings, now, expires, phase), expires)


def next_token(
    settings: Settings, old: Token, now: float, phase: float, rng: random.Random
) -> Token:
    """Issue the successor of `old`."""
    if settings.policy == "grid":
        expires = _point_after(settings, now, phase) + settings.buffer
    elif settings.policy == "jitter":
        cut = rng.random() * settings.width * (settings.lifetime - settings.buffer)
        expires = old.due + settings.lifetime - cut
    else:
        expires = now + settings.lifetime
    return Token(_due(settings, now, expires, phase), expires)


def _point_after(settings: Settings, now: float, phase: float) -> float:
    period = settings.lifetime - settings.buffer
    point = phase
    point += math.floor((now - phase) / period) * period
    while point <= now:
        point += period
    return point


def _due(settings: Settings, now: float, expires: float, phase: float) -> float:
    if settings.policy == "grid":
        return min(_point_after(settings, now, phase), expires - settings.buffer)
    return expires - settings.buffer


@dataclass(slots=True)
class Replayed:
    """The requests that came without a live token, and the renewals."""

    forced: list[tuple[int, float]]
    renewals: int


def play_log(
    persons: Sequence[Sequence[float]],
    settings: Settings,
    *,
    phase_of: Callable[[int], float] | None = None,
    length_of: Callable[[int], float] | None = None,
    seed: int = 1,
) -> Replayed:
    """Replay each person's requests; the first one is a sign-in of its own accord.

    `phase_of`: the share of the period at which a person's grid begins; random by default.
    """
    rng = random.Random(seed)
    played = Replayed([], 0)
    for person, instants in enumerate(persons):
        phase = phase_of(person) if phase_of else rng.random()
        phase *= settings.lifetime - settings.buffer
        length = length_of(person) if length_of else settings.longest
        token, ends = None, math.inf
        for now in instants:
            if token is None or now >= min(token.expires, ends):
                if token is not None:
                    played.forced.append((person, now))
                token = first_token(settings, now, phase, rng)
                ends = now + length
            elif now > token.due:
                successor = next_token(settings, token, now, phase, rng)
                if min(successor.expires, ends) > min(token.expires, ends):
                    played.renewals += 1
                    token = successor
    return played


def days_in_use(persons: Sequence[Sequence[float]], start: float = 0.0) -> float:
    """Return persons and days after `start`, averaged over the instants at which days may begin.

    A person who requested nothing before `start` counts a day for the first request.
    """
    total = 0.0
    for instants in persons:
        before = -math.inf
        for now in instants:
            if now >= start:
                total += min(now - before, DAY) / DAY
            before = now
    return total
