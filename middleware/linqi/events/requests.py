"""Events of requests: refused tokens, and connections that end with their token."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "RefusalBodyFailed",
    "SocketClosed",
    "StreamClosed",
    "TokenBridged",
    "TokenRefused",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """A request was refused: it carries no token, or one that is not accepted."""

    status: int
    """The response's: 400, 401, 403 or 503."""
    code: str
    """The error's `linqi.errors.LinqiError.code`; ``no_token`` without a token."""
    detail: str
    path: str
    token_digest: str
    """First eight hex digits of the SHA-256 of the token; empty if there is none."""
    expired_for: float | None = None
    """Seconds since ``exp``, for a token that is expired and otherwise valid."""
    lag: float | None = None
    """Seconds since such a token was due; None for a token that the middleware never renews."""
    buffer: float | None = None
    """The buffer of such a token in seconds; None as for `lag`."""
    quiet: bool = False
    """Whether the request is one that never extends a session, such as a poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketClosed:
    """A WebSocket was closed with 4401 because its token or session ended."""

    user: str
    code: str
    """The error's `linqi.errors.LinqiError.code`."""
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClosed:
    """The body of an event stream was ended because its token or session ended."""

    user: str
    code: str
    """The error's `linqi.errors.LinqiError.code`."""
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalBodyFailed:
    """`on_refusal` raised or returned a wrong value; the body of the style was sent."""

    code: str
    """The code of the refusal."""
    detail: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBridged:
    """A token of an earlier system was accepted; a hit of the cache is not reported again."""

    user: str
    session: str
    seconds_left: float
    """Until the token, or the bridge, ends."""
