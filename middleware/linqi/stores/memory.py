"""Sessions in this process only: for tests, and for services that may lose them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.store import OnRevocations
from linqi.stores.memory_attempts import MemoryAttempts

__all__ = ["MemoryStore"]

_BEAT_SECONDS = 1.0


class MemoryStore:
    """A `SessionStore` in a dict; atomic, as no check is separated from its write by an await."""

    def __init__(self) -> None:
        self._rows: dict[str, SessionRecord] = {}
        self._by_subject: dict[str, dict[str, None]] = {}
        self._revocations: dict[tuple[str, str, str], Revocation] = {}
        self._longest_lifetime = 0.0
        self._followers: dict[asyncio.Queue[Sequence[Revocation]], asyncio.AbstractEventLoop] = {}
        self._attempts = MemoryAttempts()
        self._devices: dict[str, float] = {}

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in this process; see `CountsAttempts`."""
        return self._attempts

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing: sessions stay until the process ends."""

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""
        self._rows.setdefault(record.session_id, record)
        self._by_subject.setdefault(record.subject, {})[record.session_id] = None
        live = self._live(record.subject, record.started_at)
        surplus = [row.session_id for row in live if row.session_id != record.session_id]
        surplus = surplus[: max(0, len(live) - most_sessions)]
        for session_id in surplus:
            self._revoke(session_id, record.started_at, "limit")
        return surplus

    async def present(
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        outcome = decide_rotation(self._rows.get(session_id), counter, now, settings)
        if outcome.record is not None:
            self._rows[session_id] = outcome.record
        return outcome

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        return self._rows.get(session_id)

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        return self._live(subject, now)

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`."""
        return self._revoke(session_id, now, cause)

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`."""
        ids = [name for name in self._by_subject.get(subject, ()) if name != kept_session]
        for session_id in ids:
            self._revoke(session_id, now, cause)
        return ids

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest access lifetime; see `SessionStore`."""
        self._longest_lifetime = max(self._longest_lifetime, seconds)
        return self._longest_lifetime

    async def end_devices(self, owner: str, now: float) -> None:
        """Store the end of device tokens; see `SessionStore`."""
        self._devices[owner] = max(now, self._devices.get(owner, 0.0) + LEAST_STEP)

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens; see `SessionStore`."""
        return self._devices.get(owner, 0.0)

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Store `revocations` and pass them to the followers."""
        for revocation in revocations:
            key = revocation.kind, revocation.value, revocation.kept_session
            self._revocations[key] = revocation
        for follower, loop in [*self._followers.items()]:
            if loop.is_closed():
                del self._followers[follower]
            else:
                follower.put_nowait(revocations)

    async def follow(self, since: float, on_revocations: OnRevocations) -> None:
        """Pass on what is stored, then what is published; see `SessionStore`."""
        queue: asyncio.Queue[Sequence[Revocation]] = asyncio.Queue()
        self._followers[queue] = asyncio.get_running_loop()
        try:
            on_revocations([known for known in self._revocations.values() if known.until > since])
            while True:
                try:
                    async with asyncio.timeout(_BEAT_SECONDS):
                        found = await queue.get()
                except TimeoutError:
                    found = ()
                on_revocations(found)
        finally:
            self._followers.pop(queue, None)

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""
        over = [row for row in self._rows.values() if now >= min(row.expires_at, row.ends_at)]
        for row in over[:most]:
            del self._rows[row.session_id]
            names = self._by_subject[row.subject]
            del names[row.session_id]
            if not names:
                del self._by_subject[row.subject]
        for key in [key for key, known in self._revocations.items() if known.until <= now]:
            del self._revocations[key]
        oldest = now - LONGEST_DEVICE_SECONDS
        for owner in [owner for owner, at in self._devices.items() if at <= oldest]:
            del self._devices[owner]
        return len(over[:most])

    def _live(self, subject: str, now: float) -> list[SessionRecord]:
        rows = [self._rows[name] for name in self._by_subject.get(subject, ())]
        live = (row for row in rows if row.is_live(now))
        return sorted(live, key=lambda row: (row.started_at, row.session_id))

    def _revoke(self, session_id: str, now: float, cause: str) -> bool:
        row = self._rows.get(session_id)
        if row is None:
            return False
        self._rows[session_id] = revoked(row, now, cause)
        return True
