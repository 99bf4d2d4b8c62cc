"""Time limits of retries, clients and revocations: grace, thresholds and lag."""

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
"""Seconds before expiry from which a client refreshes before it sends, for long lifetimes."""


def grace(refresh_p999: float) -> float:
    """Return the grace in seconds: how long the parent token gets the same successor again.

    ``max(10, 3 * p99.9)`` of the refresh latency, at most 60: a first try, a timeout of a client
    that knows that latency, and a second try. The 3 is a judgement. A stolen parent token works
    for as long as the grace.
    """
    return float(min(_MOST_GRACE, max(_LEAST_GRACE, math.ceil(3 * refresh_p999))))


def lost_replies(drop_share: float, refreshes_per_day: float) -> float:
    """Return the share of users who lose a response to a refresh in a day: ``1 - (1 - q)**n``.

    Without a grace or recovery each of them is signed out.
    """
    if drop_share >= 1:
        return 1.0
    return -math.expm1(refreshes_per_day * math.log1p(-drop_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientThresholds:
    """When a client renews, in seconds before expiry; `jitter` is a share."""

    advisory: float
    mandatory: float
    jitter: float


def client_thresholds(lifetime: float, buffer: float, refresh_p999: float) -> ClientThresholds:
    """Return the thresholds of clients that decide by ``exp``.

    They begin to renew when the server's buffer begins, at most half a lifetime before expiry. A
    client does not send a token with less time left than twice the slowest refresh and the skew of
    the clocks, at most a tenth of the lifetime. The jitter spreads timers that started together.
    """
    advisory = min(buffer, lifetime / 2)
    mandatory = min(max(LEAST_LEFT, 2 * refresh_p999 + _SKEW), lifetime / 10, advisory)
    return ClientThresholds(advisory=advisory, mandatory=mandatory, jitter=0.1)


def revocation_lag(
    lifetime: float, feed_seconds: float | None = None, stale_after: float = math.inf
) -> float:
    """Return the longest time in seconds for which a revoked session's access token is accepted.

    Without a feed (`feed_seconds` None) it is accepted until it expires. With one, for as long as
    the feed takes, and if the feed is lost until ``stale_after``, when requests get 503.
    """
    if feed_seconds is None:
        return lifetime
    return min(lifetime, max(feed_seconds, stale_after))
