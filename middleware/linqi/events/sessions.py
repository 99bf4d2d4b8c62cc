"""Events of stored sessions and their refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "RefreshDenied",
    "RefreshTokenReused",
    "SessionRefreshed",
    "SessionRevoked",
    "SessionRouteFailed",
    "SessionStarted",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked:
    """A session ended before its time."""

    user: str
    session: str
    cause: str
    """``logout``, ``admin``, ``limit`` or ``denied``."""


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
class SessionRouteFailed:
    """A session route failed, and the request is not the cause.

    ``status`` 500: a fault of the application; 503: the store is unavailable; 400: the
    application returned a subject that no token can carry.
    """

    status: int
    code: str
    detail: str
    path: str
