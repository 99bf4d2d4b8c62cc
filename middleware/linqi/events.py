"""What happened, as frozen values that hooks receive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from linqi._dispatcher import Dispatcher, VerboseHook

__all__ = [
    "BackgroundTaskFailed",
    "Dispatcher",
    "Event",
    "Hook",
    "KeyFileNotRead",
    "KeyFileRead",
    "KeySkipped",
    "KeysExpired",
    "KeysNotFetched",
    "KeysRefreshed",
    "LoginThrottleFailed",
    "LoginThrottled",
    "RefreshDenied",
    "RefreshTokenReused",
    "RenewalDeferred",
    "RenewalDenied",
    "RenewalFailed",
    "RenewalNotDue",
    "RenewalSkipped",
    "RevocationFailed",
    "RevocationFeedLost",
    "RevocationFeedRestored",
    "ServicesNotStarted",
    "SessionCapReached",
    "SessionRefreshed",
    "SessionRevoked",
    "SessionRouteFailed",
    "SessionStarted",
    "SkipReason",
    "SocketClosed",
    "StreamClosed",
    "TokenRefused",
    "TokenRenewed",
    "VerboseHook",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """A request without a usable token: ``status`` is the answer it got."""

    status: int
    code: str
    detail: str
    path: str
    token_digest: str
    """First eight hex digits of the SHA-256 of what was presented; empty when nothing was."""
    expired_for: float | None = None
    """Seconds since ``exp``, for a token whose signature is good and whose time is over."""
    quiet: bool = False
    """Whether the request never extends a session: a poll, and not a user who came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRenewed:
    """A successor was handed out; ``lag`` is the time from due to renewed, in seconds."""

    user: str
    session: str
    old_expires_at: float
    new_expires_at: float
    buffer: float
    lag: float
    signed: bool
    """Whether this request paid for the signature; the others share its successor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalNotDue:
    """A verified token is not near expiry yet; it will be in ``due_in`` seconds."""

    user: str
    expires_at: float
    buffer: float
    due_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalDeferred:
    """A renewal waits for a later request.

    ``budget``: the renewal budget has none to give yet; ``slow``: the signature was not ready in
    time; ``response``: the application's answer may not carry one; ``cacheable``: it may be kept by
    a cache, and ``skip_cacheable`` leaves it alone.
    """

    user: str
    session: str
    reason: Literal["budget", "slow", "response", "cacheable"]
    seconds_left: float


SkipReason: TypeAlias = Literal[
    "method",
    "quiet",
    "status",
    "websocket",
    "unanswered",
    "not_ours",
    "no_session",
    "bound",
    "expired",
]
"""``method``: HEAD or OPTIONS; ``status``: not 2xx; ``websocket``: a handshake; ``unanswered``: no
response; ``no_session``: without ``sid``, ``auth_time``, ``session_end`` or ``jti``; ``bound``: by
``cnf``; ``expired``: let in by leeway; ``quiet``, ``not_ours``: the request or the token is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalSkipped:
    """A near-expiry request whose answer carries no successor, by its kind or its token's."""

    user: str
    session: str
    reason: SkipReason
    seconds_left: float
    status: int = 0
    """The response's, for the reason ``status``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalDenied:
    """The application's hook or a revocation said no: the session ends with its token."""

    user: str
    session: str
    reason: Literal["authorize", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalFailed:
    """A successor could not be made; the request itself was answered as usual."""

    user: str
    session: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCapReached:
    """A near-expiry token is not renewed because its session ends at ``session_end``."""

    user: str
    session: str
    session_end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFailed:
    """The revocation check raised; ``detail`` says what, or only its type if linqi did not."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketClosed:
    """A WebSocket was closed with 4401 because its token or session ended."""

    user: str
    code: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClosed:
    """The body of an event stream was ended because its token or session ended."""

    user: str
    code: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRefreshed:
    """An issuer's key set is known anew; ``added`` and ``removed`` are key ids."""

    issuer: str
    keys: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    """Tokens they signed are refused from now on, cached ones included."""
    lifetime: float
    """Seconds until the set is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysNotFetched:
    """An issuer could not be asked, or its answer says nothing; the set at hand stays."""

    issuer: str
    detail: str
    failures: int
    """In a row."""
    retry_in: float
    trusted_for: float
    """Seconds for which the set at hand is still believed; 0 without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySkipped:
    """A published key is not used because of a fault that the issuer should mend."""

    issuer: str
    position: int
    kid: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysExpired:
    """An issuer's set is too old to be believed: its tokens get 503 until there is another."""

    issuer: str
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFileRead:
    """A key file that had changed was taken up; ``added`` and ``removed`` are key ids."""

    path: str
    keys: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFileNotRead:
    """A key file cannot be used as it is now; the keys at hand stay."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """Somebody signed in."""

    user: str
    session: str
    ends_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefreshed:
    """A refresh token was redeemed: ``rotated``, ``replayed`` or ``recovered``."""

    user: str
    session: str
    outcome: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked:
    """A session is over before its time: ``logout``, ``admin``, ``limit`` or ``denied``."""

    user: str
    session: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRouteFailed:
    """A session route failed through no fault of the request; ``status`` is its answer.

    500: the application's fault; 503: the store is away; 400: a subject that no token can carry.
    """

    status: int
    code: str
    detail: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenReused:
    """A spent refresh token was presented: its session, in somebody else's hands, was revoked."""

    user: str
    session: str
    presented: int
    current: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDenied:
    """A refresh token was not redeemed; ``reason`` as in `linqi.errors.RefreshRefused`."""

    reason: str
    detail: str
    session: str
    """Empty where the token does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginThrottled:
    """A sign-in was refused unasked: ``pair``, ``address``, ``name`` or ``device`` was over."""

    limits: tuple[str, ...]
    wait: float
    """After how many seconds one is allowed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginThrottleFailed:
    """The counters of sign-ins could not be reached.

    ``reserve``: refused with 503; ``release``: right, but it still counts; ``device``: no token.
    """

    step: Literal["reserve", "release", "device"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFeedLost:
    """What other workers revoke does not arrive; after ``served_for`` seconds requests get 503."""

    detail: str
    served_for: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFeedRestored:
    """Revocations arrive again, those of the meantime included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTaskFailed:
    """A background task raised and is started again in ``retry_in`` seconds."""

    name: str
    detail: str
    """The type of what it raised; the log has the traceback."""
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesNotStarted:
    """Services could not start with a request; requests get 503 for ``retry_in`` seconds."""

    detail: str
    retry_in: float


Event: TypeAlias = (
    TokenRefused
    | TokenRenewed
    | RenewalNotDue
    | RenewalDeferred
    | RenewalDenied
    | RenewalFailed
    | RenewalSkipped
    | SessionCapReached
    | LoginThrottled
    | LoginThrottleFailed
    | RevocationFailed
    | SocketClosed
    | StreamClosed
    | KeysRefreshed
    | KeysNotFetched
    | KeySkipped
    | KeysExpired
    | KeyFileRead
    | KeyFileNotRead
    | SessionStarted
    | SessionRefreshed
    | SessionRevoked
    | SessionRouteFailed
    | RefreshTokenReused
    | RefreshDenied
    | RevocationFeedLost
    | RevocationFeedRestored
    | BackgroundTaskFailed
    | ServicesNotStarted
)

Hook: TypeAlias = Callable[[Event], None]
"""Receives every event, on the event loop: it must return at once and keep what it needs.

What it raises is logged and changes nothing else. `RenewalNotDue` would be made on nearly every
request, so only a `VerboseHook` gets it.
"""
