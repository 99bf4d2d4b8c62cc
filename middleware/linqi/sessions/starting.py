"""The start of a stored session: at a sign-in, or for a bridged token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from linqi.errors import RefreshRefused
from linqi.events import Dispatcher, Event, SessionRevoked, SessionStarted
from linqi.jose.claims import split_scope
from linqi.jose.verified import Verified
from linqi.sessions._claims import check_start, claims_text, read_claims
from linqi.sessions.pair import PairMaker, TokenPair
from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.revocation_publisher import RevocationPublisher
from linqi.sessions.store import SessionStore

__all__ = ["Starting"]

_LONGEST_DEVICE: Final = 256


class Starting:
    """Stores new sessions, and makes their first tokens.

    Args:
        store: Returns the store in use.
        settings: How long sessions last.
        publisher: Publishes the revocation of sessions beyond the limit.
        pairs: Makes the tokens.
        events: Receives what happened.
        claims_instant: Starts the service, and returns as of when claims are that are read next.
        clock: Returns Unix seconds.

    """

    def __init__(
        self,
        store: Callable[[], SessionStore],
        settings: SessionSettings,
        *,
        publisher: RevocationPublisher,
        pairs: PairMaker,
        events: Dispatcher[Event],
        claims_instant: Callable[[], Awaitable[float]],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._settings = settings
        self._publisher = publisher
        self._pairs = pairs
        self._events = events
        self._claims_instant = claims_instant
        self._clock = clock

    async def sign_in(
        self,
        subject: str,
        claims: Mapping[str, Any] | None,
        scopes: Sequence[str],
        device: str,
        claims_at: float | None,
    ) -> TokenPair:
        """Return the first tokens of a new session; see `Sessions.sign_in`."""
        check_start(subject, claims, scopes)
        text = claims_text(claims, scopes)
        instant = await self._claims_instant()
        now, started_at = self._store().now(), float(int(self._clock()))
        session_id = new_session_id(subject)
        ends_at = self._settings.end_of(session_id, now)
        record = self._record(session_id, subject, now, started_at, ends_at, text, device)
        await self._create(record)
        return await self._first_pair(record, instant if claims_at is None else claims_at)

    async def move(
        self,
        verified: Verified,
        claims: Mapping[str, Any],
        scopes: Sequence[str],
        device: str,
        claims_at: float,
    ) -> TokenPair:
        """Return the first tokens of the session of a bridged token; see `Sessions.move_in`.

        Every worker that is asked at the same time, and every retry, gets the same refresh token:
        the session is stored once, under an id that is derived from the bridged token.
        """
        check_start(verified.identity, claims, scopes)
        now, session_id = self._store().now(), verified.session_id or ""
        began = verified.auth_time or 0.0
        ends_at = self._settings.end_of(session_id, min(began, now))
        if ends_at <= now:
            raise RefreshRefused("expired", "a session from this sign-in would have ended")
        text = claims_text(claims, scopes)
        started_at = float(int(began))
        given = self._record(session_id, verified.identity, now, started_at, ends_at, text, device)
        if await self._store().get(session_id) is None:
            await self._create(given)
        record = await self._store().get(session_id)
        if record is None or record.revoked_at:
            raise RefreshRefused("revoked", "the session of the token was revoked")
        if record.counter or not record.is_live(now):
            # Else a copy of the old token would bring the refresh token that its client has now.
            raise RefreshRefused("moved", "the session of the token goes on by its refresh token")
        return await self._first_pair(record, claims_at)

    def _record(
        self,
        session_id: str,
        subject: str,
        now: float,
        started_at: float,
        ends_at: float,
        claims: str,
        device: str,
    ) -> SessionRecord:
        return SessionRecord(
            session_id=session_id,
            subject=subject,
            rotated_at=now,
            first_rotated_at=now,
            started_at=started_at,
            expires_at=self._settings.expiry(now, ends_at),
            ends_at=ends_at,
            claims=claims,
            device="".join(c for c in device[:_LONGEST_DEVICE] if c.isprintable()),
        )

    async def _create(self, record: SessionRecord) -> None:
        subject, session_id = record.subject, record.session_id
        surplus = await self._store().create(record, self._settings.most_sessions)
        if surplus:
            await self._publisher.revoke_surplus(surplus, session_id, self._clock())
            for name in surplus:
                self._events(SessionRevoked(user=subject, session=name, cause="limit"))
        self._events(SessionStarted(user=subject, session=session_id, ends_at=record.ends_at))

    async def _first_pair(self, record: SessionRecord, claims_at: float) -> TokenPair:
        claims = read_claims(record.claims)
        scopes = split_scope(claims.get("scope", ""))
        return await self._pairs.make(record, "started", claims, scopes, claims_at)
