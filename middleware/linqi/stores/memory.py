"""Sessions in this process only: for tests, and for services that may lose them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from itertools import islice

from linqi._notes import NoteStore
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.session_page import PagePlace, SessionPages, page_of
from linqi.sessions.store import REPEATED_SECONDS, RevocationReader
from linqi.stores.memory_attempts import MemoryAttempts
from linqi.stores.memory_notes import MemoryNotes

__all__ = ["MemoryStore"]

_BEAT_SECONDS = 1.0
_AT_ONCE = 500


class MemoryStore:
    """A `SessionStore` in a dict; atomic, as no check is separated from its write by an await.

    Args:
        clock: Returns Unix seconds.

    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows: dict[str, SessionRecord] = {}
        self._by_subject: dict[str, dict[str, None]] = {}
        self._revocations: dict[tuple[str, str, str], Revocation] = {}
        self._longest_lifetime = 0.0
        self._followers: dict[asyncio.Queue[Sequence[Revocation]], asyncio.AbstractEventLoop] = {}
        self._attempts = MemoryAttempts()
        self._notes = MemoryNotes(clock)
        self._devices: dict[str, float] = {}

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in this process; see `CountsAttempts`."""
        return self._attempts

    def notes(self) -> NoteStore:
        """Return the notes in this process; see `KeepsNotes`."""
        return self._notes

    def pages(self) -> SessionPages:
        """Return the sessions of a subject, page by page; see `ListsSessions`."""
        return self

    async def page(
        self, subject: str, now: float, after: PagePlace, most: int, *, ended: bool
    ) -> Sequence[SessionRecord]:
        """Return the sessions behind `after`; see `SessionPages`."""
        rows = [self._rows[name] for name in self._by_subject.get(subject, ())]
        return page_of(rows, now, after, most, ended=ended)

    def now(self) -> float:
        """Return the clock's instant."""
        return self._clock()

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
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; it is never late, as the call itself executes it."""
        outcome = decide_rotation(self._rows.get(session_id), counter, self._clock(), settings)
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
        rows = [self._rows[name] for name in self._by_subject.get(subject, ())]
        ids = [
            row.session_id
            for row in rows
            if row.session_id != kept_session
            and (not row.revoked_at or row.revoked_at > now - REPEATED_SECONDS)
        ]
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

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Pass on what is stored, then what is published; see `SessionStore`."""
        queue: asyncio.Queue[Sequence[Revocation]] = asyncio.Queue()
        self._followers[queue] = asyncio.get_running_loop()
        try:
            reader.begin_read()
            known = [*self._revocations.values()]
            for begin in range(0, len(known), _AT_ONCE):
                page = known[begin : begin + _AT_ONCE]
                reader.add([revocation for revocation in page if revocation.until > since])
                await asyncio.sleep(0)
            while True:
                reader.caught_up()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_SECONDS):
                        reader.add(await queue.get())
                if queue.empty():
                    reader.begin_read()
        finally:
            self._followers.pop(queue, None)

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""
        over = (row for row in self._rows.values() if now >= min(row.expires_at, row.ends_at))
        sessions = [*islice(over, most)]
        for row in sessions:
            del self._rows[row.session_id]
            names = self._by_subject[row.subject]
            del names[row.session_id]
            if not names:
                del self._by_subject[row.subject]
        known = self._revocations.items()
        revocations = [*islice((key for key, one in known if one.until <= now), most)]
        for key in revocations:
            del self._revocations[key]
        oldest = now - LONGEST_DEVICE_SECONDS
        owners = [*islice((one for one, at in self._devices.items() if at <= oldest), most)]
        for owner in owners:
            del self._devices[owner]
        return len(sessions) + len(revocations) + len(owners)

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
