"""The times of a remote key set, from the way its issuer rotates keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["KeyRotation", "KeyTimes", "key_times", "kids_to_remember", "unknown_kid_wait"]

_SKEW: Final = 5.0
_LEAST, _MOST = 60.0, 3_600.0
_LONGEST_STALE: Final = 86_400.0
_MOST_KIDS: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """An issuer's rotation of keys; durations in seconds.

    Attributes:
        published_ahead: How long a new key is in the set before it signs; None where unknown.
        outage: The longest outage of the issuer in which known keys must still verify.
        withdrawn_within: How soon a withdrawn key must be refused while the issuer responds; None
            for no bound.

    """

    published_ahead: float | None = None
    outage: float = 3_600.0
    withdrawn_within: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """Settings of a remote key set, and what they guarantee; durations in seconds.

    Attributes:
        may_meet_unknown: Whether a new key may sign before it has been fetched.
        withdrawn_after: How long a withdrawn key can verify while the issuer responds.
        withdrawn_in_outage: The same during an outage of the issuer.

    """

    lifetime: float
    most_lifetime: float
    stale: float
    cooldown: float
    may_meet_unknown: bool
    withdrawn_after: float
    withdrawn_in_outage: float


def key_times(rotation: KeyRotation, timeout: float = 5.0, refresh_ahead: float = 0.8) -> KeyTimes:
    """Return the times that suit `rotation`.

    A key is fetched before it signs if ``refresh_ahead * lifetime + timeout + skew`` is at most
    the time it is published ahead: no unknown key id occurs then. Where that time is unknown or
    short, the unknown id causes a fetch, after at most the cooldown. A shorter lifetime costs the
    issuer requests, so the longest that suits is chosen, from 60 s to an hour.
    """
    wanted = 600.0
    if rotation.published_ahead is not None:
        wanted = (rotation.published_ahead - timeout - _SKEW) / refresh_ahead
    if rotation.withdrawn_within is not None:
        wanted = min(wanted, rotation.withdrawn_within)
    lifetime = math.floor(min(max(wanted, _LEAST), _MOST))
    ahead = rotation.published_ahead
    meets = ahead is None or refresh_ahead * lifetime + timeout + _SKEW > ahead
    stale = min(max(rotation.outage - (1 - refresh_ahead) * lifetime, 0.0), _LONGEST_STALE)
    return KeyTimes(
        lifetime=lifetime,
        most_lifetime=max(lifetime, min(_MOST, rotation.withdrawn_within or _MOST)),
        stale=math.ceil(stale),
        cooldown=10.0 if meets and ahead is not None else 30.0,
        may_meet_unknown=meets,
        withdrawn_after=lifetime,
        withdrawn_in_outage=lifetime + math.ceil(stale),
    )


def unknown_kid_wait(cooldown: float, timeout: float) -> float:
    """Return the longest time in seconds for which a new key is refused: a cooldown and a fetch."""
    return cooldown + timeout


def kids_to_remember(hostile_rate: float, seconds: float) -> int:
    """Return how many unknown key ids to remember against `hostile_rate` invented ones per second.

    All that arrive within `seconds`, from 256 to 65,536. More are not needed, as the cooldown
    bounds the fetches in any case.
    """
    return max(256, min(_MOST_KIDS, math.ceil(hostile_rate * seconds)))
