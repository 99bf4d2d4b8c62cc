"""Recommendations for the key sets of outside issuers: the table ``[jwks]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linqi_tune.model.advice import Recommendation, toml_number
from linqi_tune.model.key_sets import (
    KeyRotation,
    KeyTimes,
    key_times,
    kids_to_remember,
    unknown_kid_wait,
)
from linqi_tune.model.measurements import Measurements

__all__ = ["key_set_recommendations"]

_JWKS_TIMEOUT: Final = 5.0
_HOSTILE_KIDS: Final = 10.0
"""Per second: a flood of invented key ids that the cache of unknown ones must hold."""
_KID_SECONDS: Final = 300.0


def key_set_recommendations(measurements: Measurements) -> Iterator[Recommendation]:
    """Yield the recommendations of ``[jwks]`` and ``[jwks_limits]``, if there are issuers."""
    if not measurements.current.has_issuers:
        return
    targets = measurements.targets
    rotation = KeyRotation(
        published_ahead=targets.published_ahead,
        withdrawn_within=targets.revocation,
        outage=max(3_600.0, targets.outage),
    )
    times = key_times(rotation, _JWKS_TIMEOUT)
    is_known = targets.published_ahead is not None
    for key, value, reason, decided_by, change in _times(times, rotation.outage, is_known):
        yield Recommendation(
            table="jwks",
            key=key,
            value=toml_number(value),
            unit="seconds",
            reason=reason,
            inputs=(decided_by,),
            would_change=f"another {change}",
        )
    yield Recommendation(
        table="jwks_limits",
        key="unknown_kids",
        value=kids_to_remember(_HOSTILE_KIDS, _KID_SECONDS),
        unit="ids",
        reason=f"{_HOSTILE_KIDS:g} invented key ids per second are remembered for"
        f" {_KID_SECONDS:g} s.",
        inputs=("judgement",),
        would_change="a larger flood",
    )


def _times(
    times: KeyTimes, outage: float, is_known: bool
) -> Iterator[tuple[str, float, str, str, str]]:
    """Yield key, value, reason, deciding input and what would change it, for ``[jwks]``."""
    overlap = "--key-overlap-seconds"
    rotation = overlap if is_known else "unknown rotation of the issuers"
    revocation = "--revocation-seconds"
    withdrawn = (
        "A withdrawn key verifies for at most this long, and for"
        f" {times.withdrawn_in_outage:g} s during an outage of the issuer."
    )
    cooldown = "Invented key ids cause at most one request to the issuer in this time."
    limit = "rate limit or rotation of the issuer"
    stale = f"During an outage of the issuer of {outage:g} s known keys stay trusted."
    yield "lifetime_seconds", times.lifetime, _first_use(times), rotation, overlap
    yield "most_lifetime_seconds", times.most_lifetime, withdrawn, revocation, revocation
    yield "cooldown_seconds", times.cooldown, cooldown, rotation, limit
    yield "stale_seconds", times.stale, stale, "--outage-seconds", "bound on withdrawn keys"


def _first_use(times: KeyTimes) -> str:
    if times.may_meet_unknown:
        wait = unknown_kid_wait(times.cooldown, _JWKS_TIMEOUT)
        return f"A new key may sign before it is fetched; it is refused for at most {wait:g} s."
    return (
        "A new key is fetched before it signs, with time for a slow response and clocks that"
        " differ."
    )
