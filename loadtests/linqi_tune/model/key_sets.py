"""How long an outside issuer's keys may be kept, against the way it rotates them."""

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
    """What is known of an issuer's rotation; durations in seconds."""

    published_ahead: float | None = None
    """How long a new key is in the set before it signs; None where unknown."""
    outage: float = 3_600.0
    """An outage of the issuer that must refuse nobody."""
    withdrawn_within: float | None = None
    """How soon a withdrawn key must be refused everywhere, the issuer answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """Settings of a remote key set, in seconds, and what they promise."""

    lifetime: float
    most_lifetime: float
    stale: float
    cooldown: float
    may_meet_unknown: bool
    """Whether a new key may sign before it has been fetched."""
    withdrawn_after: float
    """How long a withdrawn key can verify while the issuer answers."""
    withdrawn_in_outage: float
    """The same while it does not."""


def key_times(rotation: KeyRotation, timeout: float = 5.0, refresh_ahead: float = 0.8) -> KeyTimes:
    """Give the times that fit `rotation`.

    A key is fetched before it signs if ``refresh_ahead * lifetime + timeout + skew`` is at most
    the time it is published ahead: no unknown key id ever occurs then. Where that is unknown or
    short, a fetch for the sake of the unknown id mends it, after at most the cooldown. A shorter
    lifetime costs the issuer requests, so the longest that fits is taken, from 60 s to an hour.
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
    """Give the longest time, in seconds, for which a new key is refused: a cooldown and a fetch."""
    return cooldown + timeout


def kids_to_remember(hostile_rate: float, seconds: float) -> int:
    """Give how many unknown key ids to remember against `hostile_rate` made-up ones per second.

    All that come within `seconds`; at most 65,536, above which forgetting costs no fetch either,
    as the cooldown bounds those.
    """
    return max(256, min(_MOST_KIDS, math.ceil(hostile_rate * seconds)))
