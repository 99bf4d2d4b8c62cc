"""The metrics of linqi: what each counts, read from which events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from linqi import events
from linqi.instrumentation.metric import Metric, count, counter, gauge

__all__ = [
    "LAG_BUCKETS",
    "METRICS",
    "NOT_COUNTED",
    "CacheCounted",
    "LateToken",
]

LAG_BUCKETS: Final = (
    *(0.1, 0.3, 1, 3, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720),
    *(900, 1200, 1500, 1800, 2400, 3600, 7200, 14_400, 43_200),
)
"""In seconds: close together where buffers are, since the tuner reads the share above a buffer."""
STORE_BUCKETS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
)
"""In seconds: from an embedded store to the longest time limit of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateToken:
    """An expired token was presented for the first time by a user who returned."""

    lag: float | None
    """Seconds since it was due; None for a token that the middleware never renews."""
    is_lost: bool
    """Whether it expired less than its buffer ago: its session went on until a moment ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCounted:
    """What a cache of verified tokens did since it was counted the last time."""

    hits: int
    misses: int
    evictions: int
    entries: int
    """How many it holds now, those of the other caches of the process included."""


METRICS: Final[tuple[Metric, ...]] = (
    count("refusals", "Requests refused", "{request}", events.TokenRefused, "status", "code"),
    count(
        "expired_presented",
        "Tokens first presented after their expiry: sessions that were lost, or users who returned"
        " late",
        "{token}",
        LateToken,
    ),
    count("sockets_closed", "WebSockets closed with 4401", "{socket}", events.SocketClosed, "code"),
    count(
        "streams_closed",
        "Event streams ended with their token",
        "{stream}",
        events.StreamClosed,
        "code",
    ),
    count("refusal_bodies_failed", "Faults of on_refusal", "{fault}", events.RefusalBodyFailed),
    counter(
        "sessions_lost",
        "Tokens first presented less than their buffer after their expiry: active users who have to"
        " sign in again",
        "{session}",
        {LateToken: lambda e: ((1, ()),) if e.is_lost else ()},
    ),
    Metric(
        name="renewal.lag",
        kind="histogram",
        meaning="From when a token was due to the request that renewed it, or that first presented"
        " it expired; once for each signature",
        unit="s",
        labels=(),
        readings={
            events.TokenRenewed: lambda e: ((e.lag, ()),) if e.signed else (),
            LateToken: lambda e: () if e.lag is None else ((e.lag, ()),),
        },
        buckets=LAG_BUCKETS,
    ),
    count("renewals", "Responses that carried a successor", "{response}", events.TokenRenewed),
    gauge(
        "renewal.buffer",
        "The buffer of the token that was renewed last",
        "s",
        {events.TokenRenewed: lambda e: e.buffer},
    ),
    counter(
        "renewal.signatures",
        "Successors that were signed",
        "{signature}",
        {events.TokenRenewed: lambda e: ((1, ()),) if e.signed else ()},
    ),
    count(
        "renewals_deferred",
        "Renewals left to a later request",
        "{renewal}",
        events.RenewalDeferred,
        "reason",
        known=(("budget",), ("slow",), ("response",), ("cacheable",)),
    ),
    count(
        "renewals_skipped",
        "Near-expiry requests not renewed",
        "{request}",
        events.RenewalSkipped,
        "reason",
    ),
    count(
        "renewals_denied",
        "Renewals refused",
        "{renewal}",
        events.RenewalDenied,
        "reason",
        known=(("authorize",), ("revoked",)),
    ),
    count(
        "renewals_failed", "Successors that could not be made", "{renewal}", events.RenewalFailed
    ),
    count(
        "session_caps",
        "Near-expiry requests of sessions at their end",
        "{request}",
        events.SessionCapReached,
    ),
    count("tokens_bridged", "Tokens of an earlier system verified", "{token}", events.TokenBridged),
    count("tokens_moved", "Such tokens replaced by ours", "{response}", events.TokenMoved),
    count("sessions_started", "Sign-ins", "{session}", events.SessionStarted),
    count(
        "refreshes",
        "Refresh tokens redeemed",
        "{refresh}",
        events.SessionRefreshed,
        "outcome",
        known=(("rotated",), ("replayed",), ("recovered",)),
    ),
    count(
        "refreshes_shared",
        "Requests that waited for the refresh of another with the same token",
        "{request}",
        events.RefreshShared,
    ),
    Metric(
        name="store.rotation",
        kind="histogram",
        meaning="How long the store took to redeem a refresh token, waiting for a connection"
        " included",
        unit="s",
        labels=(),
        readings={events.SessionRefreshed: lambda e: ((e.store_seconds, ()),)},
        buckets=STORE_BUCKETS,
    ),
    count(
        "sessions_revoked",
        "Sessions ended before their time",
        "{session}",
        events.SessionRevoked,
        "cause",
    ),
    count("claims_outdated", "Calls of refresh_claims", "{call}", events.ClaimsOutdated),
    count(
        "claims_updated",
        "Sliding tokens replaced for their claims",
        "{response}",
        events.ClaimsUpdated,
    ),
    count(
        "refresh_reuse",
        "Refresh tokens presented again after rotation",
        "{token}",
        events.RefreshTokenReused,
    ),
    count(
        "refreshes_denied",
        "Refresh tokens not redeemed",
        "{refresh}",
        events.RefreshDenied,
        "reason",
    ),
    count(
        "refreshes_too_late", "Refreshes after their deadline", "{refresh}", events.RefreshTooLate
    ),
    gauge(
        "store.clock_difference",
        "How far this clock was ahead of the store's, when they last differed by over a second",
        "s",
        {events.StoreClockDiffers: lambda e: e.ahead},
        0,
    ),
    count(
        "store.warnings",
        "Servers of the store that may lose what they acknowledged, as found at the start",
        "{warning}",
        events.StoreWarning,
    ),
    count(
        "purges_behind",
        "Ten minutes in which the purge did not keep up",
        "{interval}",
        events.PurgeFellBehind,
    ),
    counter(
        "store.forgotten_rotations",
        "Rotations that the store had lost, and that were taken over",
        "{rotation}",
        {events.StoreForgot: lambda e: ((e.rotations, ()),)},
    ),
    count(
        "session_route_failures",
        "Session routes that failed without a fault of the request",
        "{request}",
        events.SessionRouteFailed,
        "status",
        "code",
        known=(("503", "unavailable"),),
    ),
    counter(
        "logins_throttled",
        "Sign-ins refused by a limit before the password was checked",
        "{sign_in}",
        {events.LoginThrottled: lambda e: tuple((1, (limit,)) for limit in e.limits)},
        "limit",
        known=(("pair",), ("address",), ("name",), ("device",)),
    ),
    count(
        "login_throttle_failures",
        "Sign-ins that could not be counted",
        "{sign_in}",
        events.LoginThrottleFailed,
        "step",
        known=(("reserve",), ("release",), ("device",)),
    ),
    count(
        "revocation_failures",
        "Revocation checks that raised",
        "{check}",
        events.RevocationFailed,
    ),
    gauge(
        "revocation.feed_up",
        "0 while no revocations of other workers arrive",
        "1",
        {events.RevocationFeedLost: lambda _: 0, events.RevocationFeedRestored: lambda _: 1},
        1,
    ),
    counter(
        "key.fetches",
        "Fetches of key sets",
        "{fetch}",
        {
            events.KeysRefreshed: lambda e: ((1, (e.issuer, "fetched")), (0, (e.issuer, "failed"))),
            events.KeysNotFetched: lambda e: (
                (1, (e.issuer, "failed")),
                (0, (e.issuer, "fetched")),
            ),
        },
        "issuer",
        "outcome",
    ),
    Metric(
        name="key_set.stale",
        kind="gauge",
        meaning="1 while a key set is older than its lifetime, because it cannot be fetched",
        unit="1",
        labels=("issuer",),
        readings={
            events.KeysRefreshed: lambda e: ((0, (e.issuer,)),),
            events.KeysNotFetched: lambda e: ((float(e.fresh_for <= 0), (e.issuer,)),),
        },
    ),
    count(
        "keys_skipped",
        "Published keys that cannot be used, by a fault of their issuer",
        "{key}",
        events.KeySkipped,
        "issuer",
    ),
    counter(
        "keys_expired",
        "Key sets too old to be trusted",
        "{key_set}",
        {
            events.KeysRefreshed: lambda e: ((0, (e.issuer,)),),
            events.KeysNotFetched: lambda e: ((0, (e.issuer,)),),
            events.KeysExpired: lambda e: ((1, (e.issuer,)),),
        },
        "issuer",
    ),
    counter(
        "key_file_reads",
        "Key files that changed",
        "{read}",
        {
            events.KeyFileRead: lambda _: ((1, ("read",)),),
            events.KeyFileNotRead: lambda _: ((1, ("failed",)),),
        },
        "outcome",
    ),
    count(
        "keys_missing",
        "Times that other workers were found to have keys that this one lacks",
        "{time}",
        events.KeysMissing,
    ),
    count(
        "keys_not_announced",
        "Times that the store did not take the key ids of this worker",
        "{time}",
        events.KeysNotAnnounced,
    ),
    counter(
        "introspections",
        "Questions about opaque tokens; throttled ones were not asked",
        "{question}",
        {
            events.TokenIntrospected: lambda e: ((1, (e.issuer, e.outcome)),),
            events.AnswerRefused: lambda e: ((1, (e.issuer, "refused")),),
            events.IntrospectionFailed: lambda e: ((1, (e.issuer, "failed")),),
            events.IntrospectionThrottled: lambda e: ((e.requests, (e.issuer, "throttled")),),
        },
        "issuer",
        "outcome",
    ),
    count(
        "background_failures",
        "Background tasks started again",
        "{failure}",
        events.BackgroundTaskFailed,
    ),
    counter(
        "cache.lookups",
        "Look-ups in the cache of verified tokens",
        "{lookup}",
        {CacheCounted: lambda e: ((e.hits, ("hit",)), (e.misses, ("miss",)))},
        "outcome",
    ),
    counter(
        "cache.evictions",
        "Verified tokens that left the cache for want of room",
        "{token}",
        {CacheCounted: lambda e: ((e.evictions, ()),)},
    ),
    gauge(
        "cache.entries",
        "Verified tokens in the cache",
        "{token}",
        {CacheCounted: lambda e: e.entries},
        0,
    ),
    count(
        "services_not_started",
        "Starts of services that failed",
        "{start}",
        events.ServicesNotStarted,
    ),
)
NOT_COUNTED: Final[Mapping[type[Any], str]] = {
    events.RenewalNotDue: "made on nearly every request, and only for hooks that want it",
}
"""The events without a metric, and why."""
