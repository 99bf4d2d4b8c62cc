"""Whether a verified token gets a successor, and which: pure decisions, without I/O."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Literal

from linqi import _base64url
from linqi.jose.verified import Verified
from linqi.sessions.renewal import RenewalSettings, TokenSpan

__all__ = ["NOT_DUE", "NOT_OURS", "Decision", "Due", "NotRenewed", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A successor may be made: its validity and its derived id."""

    span: TokenSpan
    token_id: str
    due_at: float
    """When the renewal became due; the reported lag is counted from here."""
    session_end: float | None = None
    """The claim of the session that the successor begins, in Unix seconds; None for one that goes
    on, whose tokens have it."""


@dataclass(frozen=True, slots=True)
class NotRenewed:
    """No successor is made, and why.

    ``bound``: the token is bound to a key (``cnf``, RFC 7800) whose proof was not checked here, so
    it is not renewed (R4).
    """

    reason: Literal["not_due", "not_ours", "no_session", "bound", "at_end", "expired"]
    session_end: float | None = None
    """The end of the session in Unix seconds, for ``at_end``."""


Decision = Due | NotRenewed
NOT_DUE: Final = NotRenewed("not_due")
NOT_OURS: Final = NotRenewed("not_ours")
_NO_SESSION: Final = NotRenewed("no_session")
_BOUND: Final = NotRenewed("bound")
_EXPIRED: Final = NotRenewed("expired")


def decide(verified: Verified, now: float, settings: RenewalSettings) -> Decision:
    """Decide whether a verified token gets a successor at `now`.

    A bridged token gets the first token of a session of ours, whenever it is presented. Another one
    is not near expiry yet at ``now == due_at``. At ``now == exp`` it is expired, and an expired
    token is never renewed, whatever the leeway of its verification was (R2).

    Args:
        verified: The token.
        now: Unix seconds.
        settings: How sessions slide.

    """
    due_at = verified.due_at
    if due_at == math.inf:  # verified where no middleware renews
        session = verified.session_id if verified.own else None
        due_at = settings.due_at(session, verified.issued_at, verified.expires_at)
    if now <= due_at:
        return NOT_DUE
    if not verified.own:
        return NOT_OURS
    if now >= verified.expires_at:
        return _EXPIRED
    if verified.origin.bridged:
        return _first(verified, now, settings)
    registered = verified.registered
    session, auth_time, end = registered.sid, registered.auth_time, registered.session_end
    if None in (session, auth_time, end, registered.jti):
        return _NO_SESSION
    # Both ends hold: the one fixed at login, and today's settings should they be stricter (R1).
    end = min(end, settings.session_end(session, auth_time))
    span = settings.policy.successor(session, now, verified.expires_at, settings)
    issued_at = max(span.issued_at, verified.issued_at or 0)
    expires_at = min(span.expires_at, end)
    if expires_at <= verified.expires_at:
        return NotRenewed("at_end", end) if expires_at == end else NOT_DUE
    if "cnf" in verified.claims:
        return _BOUND
    return Due(
        span=TokenSpan(issued_at=issued_at, expires_at=expires_at),
        token_id=_derive_id(session, registered.jti, expires_at),
        due_at=due_at,
    )


def _first(verified: Verified, now: float, settings: RenewalSettings) -> Due | NotRenewed:
    """Decide on the first token of the session that takes over a bridged token.

    There is none where the session would end before the bridged token does: the client would
    lose by it. No claim of a bridged token is fresher than the token, so nor is its session (R1).
    """
    registered = verified.registered
    session, auth_time, token_id = registered.sid, registered.auth_time, registered.jti
    end = settings.session_end(session, auth_time)
    if end <= verified.expires_at:
        return NotRenewed("at_end", end)
    span = settings.policy.first(session, now, settings)
    expires_at = min(span.expires_at, end)
    return Due(
        span=TokenSpan(issued_at=span.issued_at, expires_at=expires_at),
        token_id=_derive_id(session, token_id, expires_at),
        due_at=now,
        session_end=end,
    )


def _derive_id(session: str, token_id: str, expires_at: float) -> str:
    """Return the ``jti`` of a successor: a pure function, so that all workers derive the same."""
    digest = hashlib.sha256(f"{session}\n{token_id}\n{expires_at!r}".encode()).digest()
    return _base64url.encode(digest[:16]).decode()
