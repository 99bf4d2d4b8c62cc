"""Events of stored sessions and their refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ClaimsOutdated",
    "ClaimsUpdated",
    "PurgeFellBehind",
    "RefreshDenied",
    "RefreshShared",
    "RefreshTokenReused",
    "RefreshTooLate",
    "SessionRefreshed",
    "SessionRevoked",
    "SessionRouteFailed",
    "SessionStarted",
    "StoreClockDiffers",
    "StoreForgot",
    "StoreWarning",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A user signed in."""

    user: str
    session: str
    ends_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefreshed:
    """A refresh token was redeemed."""

    user: str
    session: str
    outcome: str
    """``rotated``, ``replayed`` or ``recovered``."""
    sequence: int
    """How many rotations the session has had."""
    store_seconds: float = 0.0
    """How long the store took for this one, waiting for a connection included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshShared:
    """A request waited for the refresh of another with the same token, and got its result."""

    session: str
    sequence: int
    """As of the `SessionRefreshed` that it waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked:
    """A session ended before its time."""

    user: str
    session: str
    cause: str
    """``logout``, ``admin``, ``limit``, ``password`` (it was changed), ``disabled`` (the account
    was) or ``lost``: the store lost the revocation that this process knew, and it was stored
    again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsOutdated:
    """The claims of a user changed: access tokens with earlier ones are refused until refreshed."""

    user: str
    at: float
    """The mark in Unix seconds of the store's clock: tokens with claims as of before are stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsUpdated:
    """A sliding token with stale claims was replaced by one with those of now."""

    user: str
    session: str
    signed: bool
    """Whether this request waited for the signature; others shared it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenReused:
    """A refresh token that is no longer current was presented, so its session was revoked.

    Two clients hold tokens of the session: one of them may be a thief (RFC 9700, section 4.14.2).
    """

    user: str
    session: str
    presented: int
    """The rotation that the presented token belongs to."""
    current: int
    """The rotation that the session had reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDenied:
    """A refresh token was not redeemed."""

    reason: str
    """As in `linqi.errors.RefreshRefused`."""
    detail: str
    session: str
    """Empty if the token does not name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTooLate:
    """A refresh reached the store after its deadline: the store changed nothing.

    The caller gets `linqi.errors.Unavailable` and can present the token again. A worker that gave
    up before does not receive this; it raised `Unavailable` then.
    """

    session: str
    at: float
    """The store's clock when the command was executed, in Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreClockDiffers:
    """The clock of this worker and that of the store differ by more than a second.

    The age of sessions is judged by the store's clock, so no session ends by this. Access tokens
    are made and judged by the clocks of the workers.
    """

    ahead: float
    """Seconds by which this worker's clock is ahead of the store's; negative if it is behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWarning:
    """A server of the store may lose what it acknowledged, or did not tell. Sent at the start."""

    detail: str
    """The server, what is wrong, and what to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeFellBehind:
    """For ten minutes there were always more ended sessions or revocations than were deleted.

    The store grows, or holds many from a time without a purge. No request is harmed.
    """

    deleted: int
    """How many rows this worker deleted in that time."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreForgot:
    """A refresh token was ahead of the store and was taken over: the store had lost writes.

    They were acknowledged, so others may be lost too, sign-outs among them: a failover to a lagging
    replica, or a restored backup. The user stays signed in.
    """

    user: str
    session: str
    rotations: int
    """How many rotations of this session the store had lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRouteFailed:
    """A session route failed, and the request is not the cause.

    ``status`` 500: a fault of the application; 503: the store is unavailable; 400: the
    application returned a subject that no token can carry.
    """

    status: int
    code: str
    detail: str
    path: str
