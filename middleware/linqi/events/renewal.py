"""Events of renewals: what happened to a token near expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "RenewalDeferred",
    "RenewalDenied",
    "RenewalFailed",
    "RenewalNotDue",
    "RenewalSkipped",
    "SessionCapReached",
    "SkipReason",
    "TokenMoved",
    "TokenRenewed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRenewed:
    """A response carries a successor of its request's token."""

    user: str
    session: str
    old_expires_at: float
    new_expires_at: float
    buffer: float
    """The least seconds before ``exp`` from which a token is due."""
    lag: float
    """Seconds from when the token was due to its renewal."""
    signed: bool
    """Whether this request waited for the signature; others of the token share its successor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalNotDue:
    """A verified token is not near expiry yet."""

    user: str
    expires_at: float
    buffer: float
    due_in: float
    """Seconds until it is near expiry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalDeferred:
    """A renewal is left to a later request.

    ``budget``: the renewal budget is spent for now; ``slow``: the signature was not ready in time;
    ``response``: the application's response may not carry a successor; ``cacheable``: a cache may
    keep the response, and ``skip_cacheable`` is set.
    """

    user: str
    session: str
    reason: Literal["budget", "slow", "response", "cacheable"]
    seconds_left: float
    """Until the token expires."""


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
"""``method``: HEAD or OPTIONS; ``quiet``: the request extends no session; ``status``: not 2xx;
``websocket``: a handshake; ``unanswered``: no response; ``not_ours``: a token of another issuer;
``no_session``: without ``sid``, ``auth_time``, ``session_end`` or ``jti``; ``bound``: by ``cnf``;
``expired``: accepted within the leeway only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalSkipped:
    """A token near expiry is not renewed, because of the kind of the request or of the token."""

    user: str
    session: str
    reason: SkipReason
    seconds_left: float
    """Until the token expires."""
    status: int = 0
    """The response's, for the reason ``status``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalDenied:
    """A renewal was refused by ``authorize`` or a revocation: the session ends with its token."""

    user: str
    session: str
    reason: Literal["authorize", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalFailed:
    """A successor could not be made; the response was sent without one."""

    user: str
    session: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCapReached:
    """A token near expiry is not renewed, because its session ends at ``session_end``."""

    user: str
    session: str
    session_end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMoved:
    """A response carries the first token of ours for a client with a bridged token."""

    user: str
    session: str
    old_expires_at: float
    new_expires_at: float
    signed: bool
    """Whether this request waited for the signature; others of the token share its successor."""
