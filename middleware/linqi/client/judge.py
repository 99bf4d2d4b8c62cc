"""Whether the access token at hand is fresh, near expiry or expired: decisions without I/O.

The same rules stand in JavaScript; ``tests/vectors/judge.json`` is the table that both fulfil.
All durations are in seconds; wall clocks count Unix seconds, monotonic ones from anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from linqi.errors import ConfigurationError

__all__ = ["HeldToken", "JudgeSettings", "Verdict", "clock_offset", "hold", "judge", "seconds_left"]

Verdict: TypeAlias = Literal["fresh", "advisory", "mandatory", "expired"]
"""``advisory``: one caller renews while the others go on with the token; ``mandatory``: all wait
for the one renewal; ``expired``: the token is not sent any more."""

_HALF_SECOND: Final = 0.5
"""``Date`` has whole seconds, rounded down: on average it is half a second late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """How early a token is renewed."""

    advisory: float = 300
    """Near expiry begins with so much life left, unless the server said ``refresh_in``."""
    mandatory: float = 30
    """With less than this left nobody sends the token any more."""
    share: float = 0.5
    """Neither threshold is more than this share of the life that a token has when it arrives, so
    that a short one is used at all; `mandatory` at most half of that. Above 0 to 0.9."""
    jitter: float = 0.1
    """The advisory threshold is longer by up to this share, at random for each token, so that the
    clients of one deployment part. 0 to 0.5."""

    def __post_init__(self) -> None:
        values = (self.advisory, self.mandatory, self.share, self.jitter)
        if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
            raise ConfigurationError(["every judge setting is a finite number"])
        checks = [
            (
                0 <= self.mandatory <= self.advisory <= 86_400,
                f"the thresholds are mandatory {self.mandatory:g} and advisory {self.advisory:g} s,"
                " expected 0 <= mandatory <= advisory <= 86400",
            ),
            (0 < self.share <= 0.9, f"share is {self.share:g}, expected above 0 to 0.9"),
            (0 <= self.jitter <= 0.5, f"jitter is {self.jitter:g}, expected 0 to 0.5"),
        ]
        if faults := [fault for holds, fault in checks if not holds]:
            raise ConfigurationError(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldToken:
    """What a client remembers of a token: when it came, and how long it lives."""

    expires_at: float
    """``exp``, by the server's clock."""
    offset: float
    """The server's wall clock less ours."""
    life: float
    """Seconds left when it came."""
    monotonic: float
    """When it came, by the monotonic clock."""
    advisory: float
    mandatory: float


def clock_offset(wall: float, date: float | None, issued_at: float | None) -> float:
    """Estimate the server's clock less ours, from an answer that came at `wall`.

    `date` is its ``Date`` header. Without one, ``iat`` says only that the server's clock is not
    behind it: a client whose clock is slower than that is put right, any other is believed.
    """
    if date is not None:
        return date + _HALF_SECOND - wall
    return 0.0 if issued_at is None else max(0.0, issued_at - wall)


def hold(
    *,
    issued_at: float | None,
    expires_at: float,
    wall: float,
    monotonic: float,
    date: float | None = None,
    refresh_in: float | None = None,
    chance: float = 0.0,
    settings: JudgeSettings,
) -> HeldToken:
    """Take up a token that came at `wall` and `monotonic`.

    `refresh_in`: what the server said beside it; it stands for the advisory threshold where it
    lies within the token's life. `chance`: from 0 to 1, for the jitter.
    """
    offset = clock_offset(wall, date, issued_at)
    life = max(0.0, expires_at - (wall + offset))
    most = life * settings.share
    if refresh_in is not None and 0 < refresh_in < life:
        advisory = life - refresh_in
    else:
        advisory = min(settings.advisory * (1 + settings.jitter * chance), most)
    return HeldToken(
        expires_at=expires_at,
        offset=offset,
        life=life,
        monotonic=monotonic,
        advisory=advisory,
        mandatory=min(settings.mandatory, most / 2, advisory),
    )


def seconds_left(held: HeldToken, wall: float, monotonic: float) -> float:
    """Give the life that is left: the shorter by either clock.

    The monotonic clock is not fooled by a wall clock that is set back; the wall clock has counted
    the hours in which a sleeping machine's monotonic one stood still.
    """
    by_monotonic = held.life - (monotonic - held.monotonic)
    by_wall = held.expires_at - (wall + held.offset)
    return min(by_monotonic, by_wall)


def judge(held: HeldToken, wall: float, monotonic: float) -> Verdict:
    """Tell what the token at hand is good for; with exactly a threshold left it is above it."""
    left = seconds_left(held, wall, monotonic)
    if left <= 0:
        return "expired"
    if left < held.mandatory:
        return "mandatory"
    return "advisory" if left < held.advisory else "fresh"
