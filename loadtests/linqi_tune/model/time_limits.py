"""How much patience retries, clients and revocations need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = [
    "LEAST_LEFT",
    "ClientThresholds",
    "client_thresholds",
    "grace",
    "lost_replies",
    "revocation_lag",
]

_LEAST_GRACE, _MOST_GRACE = 10.0, 60.0
_SKEW: Final = 2.0
LEAST_LEFT: Final = 10.0
"""Seconds of life below which a client refreshes before it sends, where a token lives for long."""


def grace(refresh_p999: float) -> float:
    """Give for how long the token before the current one gets the same successor, in seconds.

    ``max(10, 3 * p99.9)`` of the refresh latency, at most 60: a first try, a timeout of a client
    that knows that latency, and a second try. The 3 is a judgement. A longer grace helps a thief
    with a stolen parent for as long.
    """
    return float(min(_MOST_GRACE, max(_LEAST_GRACE, math.ceil(3 * refresh_p999))))


def lost_replies(drop_share: float, refreshes_per_day: float) -> float:
    """Give the share of users who lose a reply to a refresh in a day: ``1 - (1 - q)**n``.

    Without a grace or a late retry each of them is signed out.
    """
    if drop_share >= 1:
        return 1.0
    return -math.expm1(refreshes_per_day * math.log1p(-drop_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientThresholds:
    """How early a client renews, in seconds of life left; `jitter` as a share."""

    advisory: float
    mandatory: float
    jitter: float


def client_thresholds(lifetime: float, buffer: float, refresh_p999: float) -> ClientThresholds:
    """Give the thresholds of clients that judge for themselves.

    They begin with the server's buffer, at most half a life. Nobody sends a token with less life
    than a request that waits for its refresh needs: twice the slowest refresh and the skew of the
    clocks, at most a tenth of the life. A jitter spreads timers that were started together.
    """
    advisory = min(buffer, lifetime / 2)
    mandatory = min(max(LEAST_LEFT, 2 * refresh_p999 + _SKEW), lifetime / 10, advisory)
    return ClientThresholds(advisory=advisory, mandatory=mandatory, jitter=0.1)


def revocation_lag(
    lifetime: float, feed_seconds: float | None = None, stale_after: float = math.inf
) -> float:
    """Give the longest time in seconds for which a revoked session's access token is accepted.

    Without a feed (`feed_seconds` None) it lives to its end. With one, as long as the feed takes,
    and while the feed is lost until ``stale_after``, when requests are answered with 503.
    """
    if feed_seconds is None:
        return lifetime
    return min(lifetime, max(feed_seconds, stale_after))
