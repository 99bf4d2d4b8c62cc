"""The metrics of linqi: what each counts, and the events that it is read from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from linqi import events
from linqi.events import Event

__all__ = ["LAG_BUCKETS", "METRICS", "NOT_COUNTED", "EventReader", "LateToken", "Metric", "Sample"]

LAG_BUCKETS: Final = (
    *(0.1, 0.3, 1, 3, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720),
    *(900, 1200, 1500, 1800, 2400, 3600, 7200, 14_400, 43_200),
)
"""In seconds: close together where buffers are, since the tuner reads the share above a buffer."""
_REMEMBERED: Final = 4_096

Sample: TypeAlias = tuple[float, tuple[str, ...]]
"""A value, and the values of its metric's labels."""
Reading: TypeAlias = Callable[[Any], Iterable[Sample]]
"""Returns what an event adds to a metric; for a gauge, what it sets it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateToken:
    """An expired token was presented for the first time by a user who returned."""

    lag: float | None
    """Seconds since it was due; None for a token that the middleware never renews."""


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
    _count("sessions_started", "Sign-ins", "{session}", events.SessionStarted),
    _count("refreshes", "Refresh tokens redeemed", "{refresh}", events.SessionRefreshed, "outcome"),
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


class EventReader:
    """Reads what events add to the metrics, and passes it to a sink; it is a hook.

    The last 4,096 expired tokens are remembered, so that a client that presents one again and again
    counts once. Quiet requests do not count as late: no user returned.

    Args:
        record: Called with a metric, a value and the values of its labels.

    """

    def __init__(self, record: Callable[[Metric, float, tuple[str, ...]], object]) -> None:
        self._record = record
        self._expired: OrderedDict[str, None] = OrderedDict()
        self._readings: dict[type[Any], list[tuple[Metric, Reading]]] = {}
        for metric in METRICS:
            for event, reading in metric.readings.items():
                self._readings.setdefault(event, []).append((metric, reading))

    def __call__(self, event: Event | LateToken) -> None:
        """Record what `event` adds to each metric."""
        for metric, reading in self._readings.get(type(event), ()):
            for value, labels in reading(event):
                self._record(metric, value, labels)
        if isinstance(event, events.TokenRefused) and self._is_first_late(event):
            self(LateToken(lag=event.lag))

    def _is_first_late(self, event: events.TokenRefused) -> bool:
        if event.expired_for is None or event.quiet or event.token_digest in self._expired:
            return False
        self._expired[event.token_digest] = None
        if len(self._expired) > _REMEMBERED:
            self._expired.popitem(last=False)
        return True
