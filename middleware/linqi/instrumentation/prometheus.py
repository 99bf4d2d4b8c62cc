"""Events as Prometheus metrics: the door to prometheus-client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from linqi.events import (
    BackgroundTaskFailed,
    Event,
    KeysExpired,
    KeysNotFetched,
    KeysRefreshed,
    LoginThrottled,
    LoginThrottleFailed,
    RefreshDenied,
    RefreshTokenReused,
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
    StreamClosed,
    TokenRefused,
    TokenRenewed,
)

__all__ = ["LAG_BUCKETS", "PrometheusHook"]

LAG_BUCKETS: Final = (
    *(0.1, 0.3, 1, 3, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720),
    *(900, 1200, 1500, 1800, 2400, 3600, 7200, 14_400, 43_200),
)
"""In seconds: close together where buffers are, as the tuner reads the share above a buffer."""
_REMEMBERED: Final = 4_096


class PrometheusHook:
    """Counts what happens; pass it in ``hooks``, and expose `registry` as usual.

    No label ever holds a token, a user, a session, a path or a key id: each has a few values that
    are fixed by the code or, for issuers, by the settings.

    ``linqi_renewal_lag_seconds`` is what ``linqi tune`` reads. It holds, once for each signature,
    the time from when a token was due to the request that renewed it, and once for each token
    that was presented only after its expiry, the time from due to that request: the share above B
    is what a buffer of B seconds loses. For the latter the buffer must be known: `buffer`, in
    seconds, or that of the last renewal. The last 4,096 expired tokens are remembered, so that a
    client that goes on presenting one counts once. A quiet request is no visit: it counts in
    neither, as nobody came back with it.
    """

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, *, buffer: float | None = None
    ) -> None:
        self._buffer = buffer
        self._expired: OrderedDict[str, None] = OrderedDict()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"linqi_{name}", text, labels, registry=registry)

        self._renewals = counter("renewals", "Responses that carried a successor")
        self._signatures = counter("renewal_signatures", "Successors that were signed")
        self._lag = Histogram(
            "linqi_renewal_lag_seconds",
            "From when a token was due to the first request after, expired tokens included",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._late = counter("expired_presented", "Tokens first presented after their expiry")
        self._deferred = counter("renewals_deferred", "Renewals put off", "reason")
        self._skipped = counter("renewals_skipped", "Near-expiry requests without one", "reason")
        self._denied = counter("renewals_denied", "Renewals refused", "reason")
        self._failed = counter("renewals_failed", "Successors that could not be made")
        self._caps = counter("session_caps", "Near-expiry requests of sessions at their end")
        self._refusals = counter("refusals", "Requests without a usable token", "status", "code")
        self._started = counter("sessions_started", "Sign-ins")
        self._refreshes = counter("refreshes", "Refresh tokens redeemed", "outcome")
        self._no_refresh = counter("refreshes_denied", "Refresh tokens not redeemed", "reason")
        self._reuses = counter("refresh_reuse", "Spent refresh tokens presented")
        self._revoked = counter("sessions_revoked", "Sessions over before their time", "cause")
        self._broken = counter(
            "session_route_failures", "Session routes that failed", "status", "code"
        )
        self._throttled = counter("logins_throttled", "Sign-ins refused unasked", "limit")
        self._uncounted = counter("login_throttle_failures", "Sign-ins not counted", "step")
        self._sockets = counter("sockets_closed", "WebSockets closed with 4401", "code")
        self._streams = counter("streams_closed", "Event streams ended with their token", "code")
        self._unchecked = counter("revocation_failures", "Revocation checks that raised")
        self._feed = Gauge("linqi_revocation_feed_up", "0 while no revocations arrive",
                           registry=registry)  # fmt: skip
        self._feed.set(1)
        self._fetches = counter("key_fetches", "Fetches of key sets", "issuer", "outcome")
        self._stale = counter("keys_expired", "Key sets too old to be believed", "issuer")
        self._restarts = counter("background_failures", "Background tasks started again")
        self._no_services = counter("services_not_started", "Starts of services that failed")
        self._takers: dict[type[Any], Callable[[Any], object]] = {
            TokenRenewed: self._take_renewed,
            TokenRefused: self._take_refused,
            RenewalDeferred: lambda e: self._deferred.labels(e.reason).inc(),
            RenewalSkipped: lambda e: self._skipped.labels(e.reason).inc(),
            RenewalDenied: lambda e: self._denied.labels(e.reason).inc(),
            RenewalFailed: lambda _: self._failed.inc(),
            SessionCapReached: lambda _: self._caps.inc(),
            SessionStarted: lambda _: self._started.inc(),
            SessionRefreshed: lambda e: self._refreshes.labels(e.outcome).inc(),
            RefreshDenied: lambda e: self._no_refresh.labels(e.reason).inc(),
            RefreshTokenReused: lambda _: self._reuses.inc(),
            SessionRevoked: lambda e: self._revoked.labels(e.cause).inc(),
            SessionRouteFailed: lambda e: self._broken.labels(str(e.status), e.code).inc(),
            LoginThrottled: self._take_throttled,
            LoginThrottleFailed: lambda e: self._uncounted.labels(e.step).inc(),
            SocketClosed: lambda e: self._sockets.labels(e.code).inc(),
            StreamClosed: lambda e: self._streams.labels(e.code).inc(),
            RevocationFailed: lambda _: self._unchecked.inc(),
            RevocationFeedLost: lambda _: self._feed.set(0),
            RevocationFeedRestored: lambda _: self._feed.set(1),
            BackgroundTaskFailed: lambda _: self._restarts.inc(),
            ServicesNotStarted: lambda _: self._no_services.inc(),
            KeysRefreshed: lambda e: self._fetches.labels(e.issuer, "fetched").inc(),
            KeysNotFetched: lambda e: self._fetches.labels(e.issuer, "failed").inc(),
            KeysExpired: lambda e: self._stale.labels(e.issuer).inc(),
        }

    def __call__(self, event: Event) -> None:
        """Count `event`, if it is one that is counted."""
        take = self._takers.get(type(event))
        if take is not None:
            take(event)

    def _take_renewed(self, event: TokenRenewed) -> None:
        self._buffer = event.buffer
        self._renewals.inc()
        if event.signed:
            self._signatures.inc()
            self._lag.observe(event.lag)

    def _take_throttled(self, event: LoginThrottled) -> None:
        for limit in event.limits:
            self._throttled.labels(limit).inc()

    def _take_refused(self, event: TokenRefused) -> None:
        self._refusals.labels(str(event.status), event.code).inc()
        if event.expired_for is None or event.quiet or event.token_digest in self._expired:
            return
        self._expired[event.token_digest] = None
        if len(self._expired) > _REMEMBERED:
            self._expired.popitem(last=False)
        self._late.inc()
        if self._buffer is not None:
            self._lag.observe(self._buffer + event.expired_for)
