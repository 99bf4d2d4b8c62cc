"""The Prometheus sink: events as metrics, and the door to prometheus-client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from linqi.events import (
    BackgroundTaskFailed,
    ClaimsOutdated,
    ClaimsUpdated,
    Event,
    KeysExpired,
    KeysNotFetched,
    KeysRefreshed,
    LoginThrottled,
    LoginThrottleFailed,
    PurgeFellBehind,
    RefreshDenied,
    RefreshTokenReused,
    RefreshTooLate,
    RefusalBodyFailed,
    RenewalDeferred,
    RenewalDenied,
    RenewalFailed,
    RenewalSkipped,
    RevocationFailed,
    RevocationFeedLost,
    RevocationFeedRestored,
    ServicesNotStarted,
    SessionCapReached,
    SessionRefreshed,
    SessionRevoked,
    SessionRouteFailed,
    SessionStarted,
    SocketClosed,
    StoreClockDiffers,
    StoreForgot,
    StreamClosed,
    TokenRefused,
    TokenRenewed,
)

__all__ = ["LAG_BUCKETS", "PrometheusHook"]

LAG_BUCKETS: Final = (
    *(0.1, 0.3, 1, 3, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720),
    *(900, 1200, 1500, 1800, 2400, 3600, 7200, 14_400, 43_200),
)
"""In seconds: close together where buffers are, since the tuner reads the share above a buffer."""
_REMEMBERED: Final = 4_096


class PrometheusHook:
    """Counts events in Prometheus metrics; pass it in ``hooks``, and expose `registry` as usual.

    No label holds a token, a user, a session, a path or a key id: each label has a few values,
    fixed by the code or, for issuers, by the settings.

    ``linqi tune`` reads the histogram ``linqi_renewal_lag_seconds``. It holds, once for each
    signature, the time from when a token was due to the request that renewed it, and once for each
    token first presented after its expiry, the time from due to that request. The share above B is
    what a buffer of B seconds loses. The last 4,096 expired tokens are remembered, so that a client
    that presents one again and again counts once. Quiet requests do not count: no user returned.

    Args:
        registry: Where the metrics are registered.

    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._expired: OrderedDict[str, None] = OrderedDict()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"linqi_{name}", text, labels, registry=registry)

        self._refusals = counter("refusals", "Requests refused", "status", "code")
        self._late = counter("expired_presented", "Tokens first presented after their expiry")
        self._sockets = counter("sockets_closed", "WebSockets closed with 4401", "code")
        self._streams = counter("streams_closed", "Event streams ended with their token", "code")
        self._bodies = counter("refusal_bodies_failed", "Faults of on_refusal")
        self._renewals = counter("renewals", "Responses that carried a successor")
        self._signatures = counter("renewal_signatures", "Successors that were signed")
        self._lag = Histogram(
            "linqi_renewal_lag_seconds",
            "From when a token was due to the first request after, expired tokens included",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._deferred = counter("renewals_deferred", "Renewals left to a later request", "reason")
        self._skipped = counter("renewals_skipped", "Near-expiry requests not renewed", "reason")
        self._denied = counter("renewals_denied", "Renewals refused", "reason")
        self._failed = counter("renewals_failed", "Successors that could not be made")
        self._caps = counter("session_caps", "Near-expiry requests of sessions at their end")
        self._started = counter("sessions_started", "Sign-ins")
        self._refreshes = counter("refreshes", "Refresh tokens redeemed", "outcome")
        self._revoked = counter("sessions_revoked", "Sessions ended before their time", "cause")
        self._outdated = counter("claims_outdated", "Calls of refresh_claims")
        self._updated = counter("claims_updated", "Sliding tokens replaced for their claims")
        self._reuses = counter("refresh_reuse", "Refresh tokens presented again after rotation")
        self._no_refresh = counter("refreshes_denied", "Refresh tokens not redeemed", "reason")
        self._broken = counter(
            "session_route_failures", "Session routes that failed", "status", "code"
        )
        self._throttled = counter("logins_throttled", "Sign-ins refused by a limit", "limit")
        self._uncounted = counter("login_throttle_failures", "Sign-ins not counted", "step")
        self._unchecked = counter("revocation_failures", "Revocation checks that raised")
        self._feed = Gauge(
            "linqi_revocation_feed_up", "0 while no revocations arrive", registry=registry
        )
        self._feed.set(1)
        self._clock_ahead = Gauge(
            "linqi_store_clock_difference_seconds",
            "How far this clock is ahead of the store's, when they last differed by over a second",
            registry=registry,
        )
        self._too_late = counter("refreshes_too_late", "Refreshes after their deadline")
        self._behind = counter("purges_behind", "Ten minutes in which the purge did not keep up")
        self._forgot = counter("store_forgotten_rotations", "Rotations that the store had lost")
        self._fetches = counter("key_fetches", "Fetches of key sets", "issuer", "outcome")
        self._stale = counter("keys_expired", "Key sets too old to be trusted", "issuer")
        self._restarts = counter("background_failures", "Background tasks started again")
        self._no_services = counter("services_not_started", "Starts of services that failed")
        self._count_by_type: dict[type[Any], Callable[[Any], object]] = {
            TokenRefused: self._count_refused,
            SocketClosed: lambda e: self._sockets.labels(e.code).inc(),
            StreamClosed: lambda e: self._streams.labels(e.code).inc(),
            RefusalBodyFailed: lambda _: self._bodies.inc(),
            TokenRenewed: self._count_renewed,
            RenewalDeferred: lambda e: self._deferred.labels(e.reason).inc(),
            RenewalSkipped: lambda e: self._skipped.labels(e.reason).inc(),
            RenewalDenied: lambda e: self._denied.labels(e.reason).inc(),
            RenewalFailed: lambda _: self._failed.inc(),
            SessionCapReached: lambda _: self._caps.inc(),
            SessionStarted: lambda _: self._started.inc(),
            SessionRefreshed: lambda e: self._refreshes.labels(e.outcome).inc(),
            SessionRevoked: lambda e: self._revoked.labels(e.cause).inc(),
            ClaimsOutdated: lambda _: self._outdated.inc(),
            ClaimsUpdated: lambda _: self._updated.inc(),
            RefreshTokenReused: lambda _: self._reuses.inc(),
            RefreshDenied: lambda e: self._no_refresh.labels(e.reason).inc(),
            RefreshTooLate: lambda _: self._too_late.inc(),
            StoreClockDiffers: lambda e: self._clock_ahead.set(e.ahead),
            PurgeFellBehind: lambda _: self._behind.inc(),
            StoreForgot: lambda e: self._forgot.inc(e.rotations),
            SessionRouteFailed: lambda e: self._broken.labels(str(e.status), e.code).inc(),
            LoginThrottled: self._count_throttled,
            LoginThrottleFailed: lambda e: self._uncounted.labels(e.step).inc(),
            RevocationFailed: lambda _: self._unchecked.inc(),
            RevocationFeedLost: lambda _: self._feed.set(0),
            RevocationFeedRestored: lambda _: self._feed.set(1),
            KeysRefreshed: lambda e: self._fetches.labels(e.issuer, "fetched").inc(),
            KeysNotFetched: lambda e: self._fetches.labels(e.issuer, "failed").inc(),
            KeysExpired: lambda e: self._stale.labels(e.issuer).inc(),
            BackgroundTaskFailed: lambda _: self._restarts.inc(),
            ServicesNotStarted: lambda _: self._no_services.inc(),
        }

    def __call__(self, event: Event) -> None:
        """Count `event`, if its type has a metric."""
        count = self._count_by_type.get(type(event))
        if count is not None:
            count(event)

    def _count_renewed(self, event: TokenRenewed) -> None:
        self._renewals.inc()
        if event.signed:
            self._signatures.inc()
            self._lag.observe(event.lag)

    def _count_throttled(self, event: LoginThrottled) -> None:
        for limit in event.limits:
            self._throttled.labels(limit).inc()

    def _count_refused(self, event: TokenRefused) -> None:
        self._refusals.labels(str(event.status), event.code).inc()
        if event.expired_for is None or event.quiet or event.token_digest in self._expired:
            return
        self._expired[event.token_digest] = None
        if len(self._expired) > _REMEMBERED:
            self._expired.popitem(last=False)
        self._late.inc()
        if event.lag is not None:
            self._lag.observe(event.lag)
