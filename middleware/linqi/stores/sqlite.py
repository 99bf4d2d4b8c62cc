"""Sessions in a SQLite file, for the workers of one machine; they survive a killed process."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from linqi._notes import NoteStore
from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError, NotStarted, Unavailable
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.restored import RestoredSessions
from linqi.sessions.session_page import SessionPages
from linqi.sessions.store import REPEATED_SECONDS, RevocationReader
from linqi.stores._batches import Batches
from linqi.stores._sqlite_faults import in_time, unavailable
from linqi.stores._sqlite_feed import follow_file
from linqi.stores._sqlite_file import connect
from linqi.stores._sqlite_pages import SQLitePages, live_rows
from linqi.stores._sqlite_purge import count_ended_rows, purge_rows
from linqi.stores._sqlite_schema import make_schema, read_sqlite_schema
from linqi.stores._table_rows import (
    REVOCATION_COLUMNS,
    SESSION_COLUMNS,
    revocation_row,
    session_of,
    session_row,
)
from linqi.stores._writer import Writer
from linqi.stores.schema_state import SchemaState
from linqi.stores.sqlite_attempts import SQLiteAttempts
from linqi.stores.sqlite_notes import NOTES_SCHEMA, SQLiteNotes
from linqi.stores.sqlite_restored import SQLiteRestored, most_forgotten_in

__all__ = ["SQLiteStore"]

_T = TypeVar("_T")
_Presented: TypeAlias = tuple[str, int, float, SessionSettings]
"""Session id and counter of a refresh token, the deadline, and the rules."""

_MOST_AT_ONCE: Final = 256
_SESSION: Final = ", ".join(SESSION_COLUMNS)
_REVOCATION: Final = ", ".join(REVOCATION_COLUMNS)
_INSERT_SESSION: Final = (
    f"INSERT OR IGNORE INTO sessions ({_SESSION})"  # noqa: S608
    f" VALUES ({', '.join('?' * len(SESSION_COLUMNS))})"
)

_REVOKED_AT_ONCE: Final = 500
"""Sessions of one subject that a transaction revokes: about 5 ms."""
_DELETED_AT_ONCE: Final = 20
"""Expired sessions that a sign-in of their subject deletes: more than it adds."""


class SQLiteStore:
    """A `SessionStore` in a file, for the processes of one machine.

    One thread owns the connection. Operations that arrive while it writes wait, and then share one
    transaction with one sync to the disk. An operation returns only after its transaction is on
    the disk.

    Args:
        path: The file; created with mode 0600 if absent. It must not be on a network file system.
        timeout: Seconds for each operation, waiting included; 0.05 to 60.
        poll_seconds: How often revocations of other processes are read; 0.005 to 10 s.
        is_grouped: Whether waiting operations share a transaction.
        clock: Returns Unix seconds: the clock of the machine, which all processes share.

    Raises:
        ConfigurationError: A number is out of range.

    """

    RANGES: ClassVar[Ranges] = {
        "timeout": Range(0.05, 60, "seconds"),
        "poll_seconds": Range(0.005, 10, "seconds"),
    }

    def __init__(
        self,
        path: str | Path,
        *,
        timeout: float = 5.0,
        poll_seconds: float = 0.05,
        is_grouped: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        values = {"timeout": timeout, "poll_seconds": poll_seconds}
        if faults := range_faults(self.RANGES, values):
            raise ConfigurationError(faults)
        self.path = Path(path)
        """The file."""
        self._timeout = timeout
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._writer = Writer(self._open, _MOST_AT_ONCE if is_grouped else 1)
        # One job for all that wait: the writing thread is woken once for them, and wakes us once.
        self._rotations: Batches[_Presented, RotationOutcome] = Batches(
            lambda presented: self._writer.ask(
                lambda connection: _present(connection, presented, clock)
            ),
            timeout=timeout,
            most_at_once=_MOST_AT_ONCE if is_grouped else 1,
            most_under_way=1,
        )
        self._attempts = SQLiteAttempts(f"{path}-attempts", timeout=timeout)

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in a file beside this one; see `CountsAttempts`."""
        return self._attempts

    def notes(self) -> NoteStore:
        """Return the notes in this file; see `KeepsNotes`."""
        return SQLiteNotes(self._run, self._clock)

    def restored(self) -> RestoredSessions:
        """Return the sessions of a restored backup; see `Restorable`."""
        return SQLiteRestored(self._run, self.now)

    def pages(self) -> SessionPages:
        """Return the sessions of a subject, page by page; see `ListsSessions`."""
        return SQLitePages(self._run)

    def now(self) -> float:
        """Return the clock's instant."""
        return self._clock()

    async def schema_state(self) -> SchemaState:
        """Return what the file's schema is, and what `start` would change; see `HasSchema`."""

        def read() -> SchemaState:
            if not self.path.exists():
                return SchemaState(version=0, steps=("create the file",))
            connection = sqlite3.connect(self.path, timeout=self._timeout)
            with contextlib.closing(connection):
                return read_sqlite_schema(connection)

        state: SchemaState = await self._in_time(asyncio.to_thread(read))
        return state

    async def start(self) -> None:
        """Open the file and create its tables; raise `Unavailable` if that fails."""
        if not self._writer.is_running:
            self._writer.start()
        await self._run(lambda connection: None)

    async def close(self) -> None:
        """Finish the waiting operations and close the file."""
        await self._attempts.close()
        await self._rotations.finish()
        await self._writer.close()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""

        def create(connection: sqlite3.Connection) -> list[str]:
            connection.execute(_INSERT_SESSION, session_row(record))
            live, over = _unrevoked(connection, record)
            connection.executemany("DELETE FROM sessions WHERE session_id = ?", over)
            surplus = [name for name in live if name != record.session_id]
            surplus = surplus[: max(0, len(live) - most_sessions)]
            for session_id in surplus:
                _revoke(connection, session_id, record.started_at, "limit")
            return surplus

        return await self._run(create)

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        self._started()
        deadline = self._clock() + self._timeout
        try:
            return await self._rotations((session_id, counter, deadline, settings))
        except (TimeoutError, sqlite3.Error) as error:
            raise unavailable(self.path, self._timeout, error) from error

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        return await self._run(lambda connection: _get(connection, session_id))

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        return await self._run(lambda connection: live_rows(connection, subject, now))

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`."""
        return await self._run(lambda connection: _revoke(connection, session_id, now, cause))

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`."""
        others = "subject = ? AND session_id != ? AND revoked_at"

        def recent(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(
                f"SELECT session_id FROM sessions WHERE {others} > ?",  # noqa: S608
                (subject, kept_session, now - REPEATED_SECONDS),
            )
            return [row[0] for row in found]

        def revoke_some(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(
                f"SELECT session_id FROM sessions WHERE {others} = 0 LIMIT ?",  # noqa: S608
                (subject, kept_session, _REVOKED_AT_ONCE),
            ).fetchall()
            connection.executemany(
                "UPDATE sessions SET revoked_at = ?, cause = ? WHERE session_id = ?",
                [(now, cause, *row) for row in found],
            )
            return [row[0] for row in found]

        ids = await self._run(recent)
        while some := await self._run(revoke_some):
            ids += some
            if len(some) < _REVOKED_AT_ONCE:
                break
        return ids

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest access lifetime; see `SessionStore`."""

        def raise_it(connection: sqlite3.Connection) -> float:
            row = connection.execute(
                "SELECT value FROM marks WHERE name = 'longest_lifetime'"
            ).fetchone()
            kept = 0.0 if row is None else float(row[0])
            if kept < seconds:
                connection.execute(
                    "INSERT OR REPLACE INTO marks VALUES ('longest_lifetime', ?)", (seconds,)
                )
            return max(kept, seconds)

        return await self._run(raise_it)

    async def end_devices(self, owner: str, now: float) -> None:
        """Store the end of device tokens; see `SessionStore`."""
        await self._run(
            lambda connection: connection.execute(
                "INSERT INTO devices (owner, ended_at) VALUES (?, ?) ON CONFLICT (owner)"
                " DO UPDATE SET ended_at = max(excluded.ended_at, ended_at + ?)",
                (owner, now, LEAST_STEP),
            )
        )

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens; see `SessionStore`."""

        def ended_at(connection: sqlite3.Connection) -> float:
            row = connection.execute(
                "SELECT ended_at FROM devices WHERE owner = ?", (owner,)
            ).fetchone()
            return 0.0 if row is None else float(row[0])

        return await self._run(ended_at)

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Store `revocations` in short steps; other processes find them at their next read."""
        rows = [revocation_row(revocation) for revocation in revocations]
        for begin in range(0, len(rows), _REVOKED_AT_ONCE):
            piece = rows[begin : begin + _REVOKED_AT_ONCE]
            await self._run(partial(_publish, rows=piece))

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Read what is alive at `since`, then what is new every `poll_seconds`."""
        await follow_file(
            self._open, since, reader, in_time=self._in_time, poll_seconds=self._poll_seconds
        )

    async def count_ended(self, now: float, most: int) -> int:
        """Count what is over, on a connection that does not write; see `CountsEnded`."""

        def count() -> int:
            with contextlib.closing(self._open()) as connection:
                return count_ended_rows(connection, now, most)

        self._started()
        counted: int = await self._in_time(asyncio.to_thread(count))
        return counted

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""
        return await self._run(lambda connection: purge_rows(connection, now, most))

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return the result of `work` in the thread's next transaction, after its commit."""
        self._started()
        answer: _T = await self._in_time(self._writer.ask(work))
        return answer

    def _started(self) -> None:
        if not self._writer.is_running:
            raise NotStarted("the SQLite store")

    async def _in_time(self, waited: Any) -> Any:
        return await in_time(waited, self.path, self._timeout)

    def _open(self) -> sqlite3.Connection:
        # A commit is on the disk.
        connection = connect(self.path, self._timeout, synchronous="FULL")
        try:
            make_schema(connection)
            connection.execute(NOTES_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection


def _get(connection: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    row = connection.execute(
        f"SELECT {_SESSION} FROM sessions WHERE session_id = ?",  # noqa: S608
        (session_id,),
    ).fetchone()
    return None if row is None else session_of(row)


def _present(
    connection: sqlite3.Connection, presented: Sequence[_Presented], clock: Callable[[], float]
) -> list[RotationOutcome | Exception]:
    """Redeem refresh tokens one after the other; this transaction has the file's lock by now."""
    outcomes: list[RotationOutcome | Exception] = []
    for session_id, counter, deadline, settings in presented:
        before = _get(connection, session_id)
        try:
            now = clock()
            if before is not None and counter - before.counter > settings.most_forgotten:
                settings = settings.allowing(most_forgotten_in(connection, now))
            outcome = decide_rotation(before, counter, now, settings, deadline)
        except (TypeError, ValueError):  # a row that another program changed fails alone
            outcomes.append(Unavailable(f"the row of session {session_id} is damaged"))
            continue
        if outcome.record is not None and outcome.record is not before:
            _put(connection, outcome.record)
        outcomes.append(outcome)
    return outcomes


def _put(connection: sqlite3.Connection, record: SessionRecord) -> None:
    connection.execute(
        "UPDATE sessions SET counter = ?, parent = ?, rotated_at = ?, first_rotated_at = ?,"
        " expires_at = ?, revoked_at = ?, cause = ? WHERE session_id = ?",
        (
            record.counter,
            record.parent,
            record.rotated_at,
            record.first_rotated_at,
            record.expires_at,
            record.revoked_at,
            record.cause,
            record.session_id,
        ),
    )


def _unrevoked(
    connection: sqlite3.Connection, new: SessionRecord
) -> tuple[list[str], list[tuple[str]]]:
    """Return the ids of the live sessions of a subject, oldest first, and of some expired ones."""
    live: list[str] = []
    over: list[tuple[str]] = []
    for session_id, end in connection.execute(
        "SELECT session_id, min(expires_at, ends_at) FROM sessions"
        " WHERE subject = ? AND revoked_at = 0 ORDER BY started_at, session_id",
        (new.subject,),
    ):
        if end > new.started_at:
            live.append(session_id)
        elif end <= new.rotated_at and session_id != new.session_id:
            over.append((session_id,))
    return live, over[:_DELETED_AT_ONCE]


def _publish(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.executemany(
        f"INSERT INTO revocations ({_REVOCATION}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
        rows,
    )


def _revoke(connection: sqlite3.Connection, session_id: str, now: float, cause: str) -> bool:
    record = _get(connection, session_id)
    if record is None:
        return False
    _put(connection, revoked(record, now, cause))
    return True
