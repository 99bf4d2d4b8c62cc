"""The metrics of linqi: what each counts, read from which events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from linqi import events

__all__ = [
    "LAG_BUCKETS",
    "METRICS",
    "NOT_COUNTED",
    "CacheCounted",
    "LateToken",
    "Metric",
    "Reading",
    "Sample",
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

Sample: TypeAlias = tuple[float, tuple[str, ...]]
"""A value, and the values of its metric's labels."""
Reading: TypeAlias = Callable[[Any], Iterable[Sample]]
"""Returns what an event adds to a metric; for a gauge, what it sets it to."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, with the events that it is read from.

    No label holds a token, a user, a session, a path or a key id: each has a few values, fixed by
    the code or, for issuers, by the settings.
    """

    name: str
    """As in OpenTelemetry, without ``linqi.``: dots part name spaces, underscores words."""
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    unit: str
    """In the code of UCUM: ``s``, or what is counted in braces, as in ``{request}``."""
    labels: tuple[str, ...]
    """By their short names; `ATTRIBUTES` has those of OpenTelemetry."""
    readings: Mapping[type[Any], Reading]
    buckets: tuple[float, ...] = ()
    """The upper bounds of a histogram."""
    at_start: float | None = None
    """The value of a gauge before the first event; None for a gauge without one."""


def _one(*fields: str) -> Reading:
    """Return the reading that counts 1, with fields of the event as labels."""
    return lambda event: ((1, tuple(str(getattr(event, name)) for name in fields)),)


def _counter(
    name: str, meaning: str, unit: str, readings: Mapping[type[Any], Reading], *labels: str
) -> Metric:
    return Metric(
        name=name, kind="counter", meaning=meaning, unit=unit, labels=labels, readings=readings
    )


def _count(name: str, meaning: str, unit: str, event: type[Any], *labels: str) -> Metric:
    """Return the counter of one kind of event, whose fields are its labels."""
    return _counter(name, meaning, unit, {event: _one(*labels)}, *labels)


def _gauge(
    name: str,
    meaning: str,
    unit: str,
    readings: Mapping[type[Any], Callable[[Any], float]],
    at_start: float | None = None,
) -> Metric:
    def reading(value_of: Callable[[Any], float]) -> Reading:
        return lambda event: ((value_of(event), ()),)

    return Metric(
        name=name,
        kind="gauge",
        meaning=meaning,
        unit=unit,
        labels=(),
        readings={event: reading(value_of) for event, value_of in readings.items()},
        at_start=at_start,
    )


METRICS: Final[tuple[Metric, ...]] = (
    _count("refusals", "Requests refused", "{request}", events.TokenRefused, "status", "code"),
    _count(
        "expired_presented",
        "Tokens first presented after their expiry: sessions that were lost, or users who returned"
        " late",
        "{token}",
        LateToken,
    ),
    _count(
        "sockets_closed", "WebSockets closed with 4401", "{socket}", events.SocketClosed, "code"
    ),
    _count(
        "streams_closed",
        "Event streams ended with their token",
        "{stream}",
        events.StreamClosed,
        "code",
    ),
    _count("refusal_bodies_failed", "Faults of on_refusal", "{fault}", events.RefusalBodyFailed),
    _counter(
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
    _count("renewals", "Responses that carried a successor", "{response}", events.TokenRenewed),
    _gauge(
        "renewal.buffer",
        "The buffer of the token that was renewed last",
        "s",
        {events.TokenRenewed: lambda e: e.buffer},
    ),
    _counter(
        "renewal.signatures",
        "Successors that were signed",
        "{signature}",
        {events.TokenRenewed: lambda e: ((1, ()),) if e.signed else ()},
    ),
    _count(
        "renewals_deferred",
        "Renewals left to a later request",
        "{renewal}",
        events.RenewalDeferred,
        "reason",
    ),
    _count(
        "renewals_skipped",
        "Near-expiry requests not renewed",
        "{request}",
        events.RenewalSkipped,
        "reason",
    ),
    _count("renewals_denied", "Renewals refused", "{renewal}", events.RenewalDenied, "reason"),
    _count(
        "renewals_failed", "Successors that could not be made", "{renewal}", events.RenewalFailed
    ),
    _count(
        "session_caps",
        "Near-expiry requests of sessions at their end",
        "{request}",
        events.SessionCapReached,
    ),
    _count(
        "tokens_bridged", "Tokens of an earlier system verified", "{token}", events.TokenBridged
    ),
    _count("tokens_moved", "Such tokens replaced by ours", "{response}", events.TokenMoved),
    _count("sessions_started", "Sign-ins", "{session}", events.SessionStarted),
    _count("refreshes", "Refresh tokens redeemed", "{refresh}", events.SessionRefreshed, "outcome"),
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
    _count(
        "sessions_revoked",
        "Sessions ended before their time",
        "{session}",
        events.SessionRevoked,
        "cause",
    ),
    _count("claims_outdated", "Calls of refresh_claims", "{call}", events.ClaimsOutdated),
    _count(
        "claims_updated",
        "Sliding tokens replaced for their claims",
        "{response}",
        events.ClaimsUpdated,
    ),
    _count(
        "refresh_reuse",
        "Refresh tokens presented again after rotation",
        "{token}",
        events.RefreshTokenReused,
    ),
    _count(
        "refreshes_denied",
        "Refresh tokens not redeemed",
        "{refresh}",
        events.RefreshDenied,
        "reason",
    ),
    _count(
        "refreshes_too_late", "Refreshes after their deadline", "{refresh}", events.RefreshTooLate
    ),
    _gauge(
        "store.clock_difference",
        "How far this clock was ahead of the store's, when they last differed by over a second",
        "s",
        {events.StoreClockDiffers: lambda e: e.ahead},
        0,
    ),
    _count(
        "store.warnings",
        "Servers of the store that may lose what they acknowledged, as found at the start",
        "{warning}",
        events.StoreWarning,
    ),
    _count(
        "purges_behind",
        "Ten minutes in which the purge did not keep up",
        "{interval}",
        events.PurgeFellBehind,
    ),
    _counter(
        "store.forgotten_rotations",
        "Rotations that the store had lost, and that were taken over",
        "{rotation}",
        {events.StoreForgot: lambda e: ((e.rotations, ()),)},
    ),
    _count(
        "session_route_failures",
        "Session routes that failed without a fault of the request",
        "{request}",
        events.SessionRouteFailed,
        "status",
        "code",
    ),
    _counter(
        "logins_throttled",
        "Sign-ins refused by a limit before the password was checked",
        "{sign_in}",
        {events.LoginThrottled: lambda e: tuple((1, (limit,)) for limit in e.limits)},
        "limit",
    ),
    _count(
        "login_throttle_failures",
        "Sign-ins that could not be counted",
        "{sign_in}",
        events.LoginThrottleFailed,
        "step",
    ),
    _count(
        "revocation_failures",
        "Revocation checks that raised",
        "{check}",
        events.RevocationFailed,
    ),
    _gauge(
        "revocation.feed_up",
        "0 while no revocations of other workers arrive",
        "1",
        {events.RevocationFeedLost: lambda _: 0, events.RevocationFeedRestored: lambda _: 1},
        1,
    ),
    _counter(
        "key.fetches",
        "Fetches of key sets",
        "{fetch}",
        {
            events.KeysRefreshed: lambda e: ((1, (e.issuer, "fetched")),),
            events.KeysNotFetched: lambda e: ((1, (e.issuer, "failed")),),
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
    _count(
        "keys_skipped",
        "Published keys that cannot be used, by a fault of their issuer",
        "{key}",
        events.KeySkipped,
        "issuer",
    ),
    _count(
        "keys_expired", "Key sets too old to be trusted", "{key_set}", events.KeysExpired, "issuer"
    ),
    _counter(
        "key_file_reads",
        "Key files that changed",
        "{read}",
        {
            events.KeyFileRead: lambda _: ((1, ("read",)),),
            events.KeyFileNotRead: lambda _: ((1, ("failed",)),),
        },
        "outcome",
    ),
    _count(
        "keys_missing",
        "Times that other workers were found to have keys that this one lacks",
        "{time}",
        events.KeysMissing,
    ),
    _count(
        "keys_not_announced",
        "Times that the store did not take the key ids of this worker",
        "{time}",
        events.KeysNotAnnounced,
    ),
    _count(
        "background_failures",
        "Background tasks started again",
        "{failure}",
        events.BackgroundTaskFailed,
    ),
    _counter(
        "cache.lookups",
        "Look-ups in the cache of verified tokens",
        "{lookup}",
        {CacheCounted: lambda e: ((e.hits, ("hit",)), (e.misses, ("miss",)))},
        "outcome",
    ),
    _counter(
        "cache.evictions",
        "Verified tokens that left the cache for want of room",
        "{token}",
        {CacheCounted: lambda e: ((e.evictions, ()),)},
    ),
    _gauge(
        "cache.entries",
        "Verified tokens in the cache",
        "{token}",
        {CacheCounted: lambda e: e.entries},
        0,
    ),
    _count(
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
