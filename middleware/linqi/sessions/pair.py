"""The access token and refresh token that a session issues to a client."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from linqi import _base64url
from linqi.events import Dispatcher
from linqi.jose.signer import Signer
from linqi.sessions.claims_marks import CLAIMS_AT
from linqi.sessions.record import OutcomeKind, SessionRecord
from linqi.sessions.refresh_token import RefreshTokens
from linqi.sessions.renewal import RenewalSettings

__all__ = ["PairMaker", "TokenPair"]


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that a sign-in or a refresh returns."""

    access_token: str
    access_expires_at: float
    """``exp`` of the access token, in Unix seconds."""
    refresh_in: float
    """Seconds from now until the client should refresh."""
    refresh_token: str
    refresh_expires_at: float
    """When the refresh token expires unless it is used."""
    session_id: str
    session_ends_at: float
    sequence: int
    """Rises with every rotation: a client keeps the pair with the highest, in whatever order they
    arrive."""
    outcome: OutcomeKind | str
    """``started``, ``rotated``, ``replayed`` or ``recovered``."""
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<TokenPair number {self.sequence} of session {self.session_id}, {self.outcome}>"


class PairMaker:
    """Makes the tokens of a session's state; every worker makes the same ones."""

    def __init__(
        self,
        signer: Signer,
        tokens: RefreshTokens,
        access: RenewalSettings,
        *,
        on_issue: Callable[[str], object] | None,
        clock: Callable[[], float],
    ) -> None:
        self._signer = signer
        self._tokens = tokens
        self._access = access
        self._on_issue: Dispatcher[str] = Dispatcher(() if on_issue is None else (on_issue,))
        self._clock = clock

    async def make(
        self,
        record: SessionRecord,
        outcome: OutcomeKind | str,
        claims: Mapping[str, Any],
        scopes: tuple[str, ...],
        claims_at: float,
    ) -> TokenPair:
        """Return a signed access token with `claims` and `scopes`, and the current refresh token.

        `claims_at` is the instant as of which the claims are, by the store's clock.

        Raises:
            SigningError: The signature failed; the refresh token can be presented again.

        """
        now, access = self._clock(), self._access
        span = access.policy.access(record.session_id, now, access)
        expires_at = min(span.expires_at, record.ends_at)
        # A session that began at a worker whose clock is ahead began in the future of this one; in
        # whole seconds, as its start, so that replays within a second get the same token.
        issued_at = max(span.issued_at, min(record.started_at, float(int(now))))
        content = {
            **claims,
            "scope": " ".join(scopes),
            "sub": record.subject,
            "sid": record.session_id,
            "auth_time": _whole(record.started_at),
            "session_end": _whole(record.ends_at),
            "iat": _whole(issued_at),
            "exp": _whole(expires_at),
            "jti": _token_id(record, expires_at, scopes),
            CLAIMS_AT: _whole(claims_at),
        }
        if not scopes:
            del content["scope"]
        token = await self._signed(content)
        self._on_issue(token)
        return TokenPair(
            access_token=token,
            access_expires_at=expires_at,
            refresh_in=access.refresh_in(record.session_id, issued_at, expires_at, now),
            refresh_token=self._tokens.make(record.session_id, record.counter, record.expires_at),
            refresh_expires_at=record.expires_at,
            session_id=record.session_id,
            session_ends_at=record.ends_at,
            sequence=record.counter,
            outcome=outcome,
            scopes=scopes,
        )

    async def _signed(self, claims: Mapping[str, Any]) -> str:
        if self._signer.is_slow:
            return await asyncio.to_thread(self._signer.sign, claims)
        return self._signer.sign(claims)


def _token_id(record: SessionRecord, expires_at: float, scopes: Sequence[str]) -> str:
    """Return the ``jti``: a pure function, so that a replay in another worker has the same."""
    text = f"{record.session_id}\n{record.counter}\n{expires_at!r}\n{' '.join(scopes)}"
    digest = hashlib.sha256(text.encode()).digest()
    return _base64url.encode(digest[:16]).decode()


def _whole(instant: float) -> float:
    """Return an instant without ``.0``, as other libraries expect of ``exp``."""
    return int(instant) if instant % 1 == 0 else instant
