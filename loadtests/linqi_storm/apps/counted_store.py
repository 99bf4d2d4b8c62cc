"""A session store that counts its calls."""

from __future__ import annotations

from collections.abc import Sequence

from linqi import SessionSettings, SessionStore
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.store import RevocationReader

__all__ = ["CountedStore"]


class CountedStore:
    """Forwards every call to `store`; ``calls`` counts those that take a round trip."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self.calls = 0

    def now(self) -> float:
        """Return the store's clock."""
        return self._store.now()

    async def start(self) -> None:
        """Start the store."""
        await self._store.start()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Create a session."""
        self.calls += 1
        return await self._store.create(record, most_sessions)

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token."""
        self.calls += 1
        return await self._store.present(session_id, counter, settings)

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session."""
        self.calls += 1
        return await self._store.get(session_id)

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of a subject."""
        self.calls += 1
        return await self._store.live(subject, now)

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session."""
        self.calls += 1
        return await self._store.revoke(session_id, now, cause)

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of a subject."""
        self.calls += 1
        return await self._store.revoke_all(subject, now, cause, kept_session)

    async def raise_lifetime(self, seconds: float) -> float:
        """Raise the longest access lifetime."""
        self.calls += 1
        return await self._store.raise_lifetime(seconds)

    async def end_devices(self, owner: str, now: float) -> None:
        """Record the end of device tokens."""
        self.calls += 1
        await self._store.end_devices(owner, now)

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens."""
        self.calls += 1
        return await self._store.devices_ended_at(owner)

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Publish revocations."""
        self.calls += 1
        await self._store.publish(revocations)

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Receive revocations; one long call, which is not counted."""
        await self._store.follow(since, reader)

    async def purge(self, now: float, most: int) -> int:
        """Delete what has expired."""
        self.calls += 1
        return await self._store.purge(now, most)
