"""What a refresh gets after the store has decided: the session's row, or a refusal."""

from __future__ import annotations

from collections.abc import Callable

from linqi.errors import RefreshRefused, Unavailable
from linqi.events import (
    Dispatcher,
    Event,
    RefreshTokenReused,
    RefreshTooLate,
    SessionRevoked,
    StoreForgot,
)
from linqi.sessions.record import RotationOutcome, SessionRecord
from linqi.sessions.revocation import Revocations
from linqi.sessions.revocation_publisher import RevocationPublisher
from linqi.sessions.store import SessionStore

__all__ = ["Redemption"]


class Redemption:
    """Turns the outcome of a presented refresh token into a row, a refusal, and events.

    Args:
        store: Where sessions are stored.
        revocations: What this process knows of revocations.
        publisher: Sends revocations to the other workers.
        events: Receives `RefreshTokenReused`, `RefreshTooLate`, `StoreForgot`, `SessionRevoked`.
        clock: Returns Unix seconds.

    """

    def __init__(
        self,
        store: SessionStore,
        revocations: Revocations,
        publisher: RevocationPublisher,
        events: Dispatcher[Event],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._publisher = publisher
        self._events = events
        self._clock = clock

    async def redeemed(
        self, outcome: RotationOutcome, session_id: str, presented: int
    ) -> SessionRecord:
        """Return the row to make tokens for; report and raise if the token is not redeemed.

        Raises:
            RefreshRefused: The token is not redeemed.
            Unavailable: The command was late, or a revocation could not be sent on.

        """
        record = outcome.record
        if outcome.kind == "late":
            self._events(RefreshTooLate(session=session_id, at=outcome.at))
            raise Unavailable("the store executed the refresh after its deadline")
        if record is None:
            raise RefreshRefused("unknown", "the store has no such session")
        if outcome.kind == "reused":
            self._events(
                RefreshTokenReused(
                    user=record.subject,
                    session=session_id,
                    presented=presented,
                    current=record.counter,
                )
            )
        if outcome.kind in ("reused", "revoked"):
            is_new = outcome.kind == "reused" or not outcome.is_published
            await self._publisher.repeat(record, outcome.at, is_new=is_new)
        if outcome.kind == "reused":
            raise RefreshRefused("reused", f"token {presented} was spent; the session is revoked")
        if outcome.kind == "revoked":
            raise RefreshRefused("revoked", f"the session was revoked ({record.cause})")
        if outcome.kind == "expired":
            raise RefreshRefused("expired", "the session is at its end")
        if self._revocations.knows(session_id):
            await self._store_again(record)
            raise RefreshRefused("revoked", "the session was revoked")
        if outcome.forgotten:
            self._events(
                StoreForgot(user=record.subject, session=session_id, rotations=outcome.forgotten)
            )
        return record

    async def _store_again(self, record: SessionRecord) -> None:
        """Store a revocation that the store lost; it may also have come in this instant.

        The rotation that was just stored does no harm: no token of it is given.
        """
        stored = await self._store.get(record.session_id)
        if stored is None or stored.revoked_at:
            return
        await self._store.revoke(record.session_id, self._store.now(), "lost")
        await self._publisher.revoke_sessions([record.session_id], self._clock())
        self._events(SessionRevoked(user=record.subject, session=record.session_id, cause="lost"))
