"""Whether a verified token is expired, not valid yet, or has to be asked about again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linqi.errors import TokenExpired, Unavailable
from linqi.jose.claims import check_times
from linqi.jose.verified import OPAQUE, RenewalSchedule, Verified

if TYPE_CHECKING:
    from linqi.jose.bridge import Bridge

__all__ = ["check_age"]


def check_age(
    verified: Verified,
    now: float,
    leeway: float,
    bridge: Bridge | None,
    schedule: RenewalSchedule | None,
) -> None:
    """Check that `verified` is accepted at `now`, as far as time decides.

    Raises:
        TokenExpired: It is expired; how late is noted for a middleware that renews by `schedule`.
        TokenNotYetValid: It is not valid yet.
        BridgeClosed: It is of an earlier system, whose tokens are no longer accepted.
        Unavailable: It is opaque, and the answer about it is too old. That is judged by one clock
            alone, so without leeway, and the token may be valid for longer.

    """
    if verified.algorithm == OPAQUE and now >= verified.expires_at:
        raise Unavailable("the issuer's answer about the token is too old")
    is_bridged = verified.origin.bridged
    if is_bridged and bridge is not None:
        bridge.check_open(verified, now)
    try:
        check_times(verified.expires_at, verified.valid_from, now, leeway)
    except TokenExpired as error:
        if schedule is not None and verified.own and not is_bridged:
            error.lag = now - verified.due_at
            error.buffer = schedule.buffer
        raise
