"""Sessions in a SQLite file, for the workers of one machine; they survive a killed process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from linqi.errors import ConfigurationError, NotStarted
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.store import OnRevocations
from linqi.stores._fork_safe import ForkSafeConnection
from linqi.stores._sqlite_faults import in_time
from linqi.stores._sqlite_file import connect
from linqi.stores._table_rows import (
    REVOCATION_COLUMNS,
    SESSION_COLUMNS,
    revocation_of,
    revocation_row,
    session_of,
    session_row,
)
from linqi.stores._writer import Writer
from linqi.stores.sqlite_attempts import SQLiteAttempts

__all__ = ["SQLiteStore"]

_T = TypeVar("_T")

_VERSION: Final = 2
_MOST_AT_ONCE: Final = 256
_SESSION: Final = ", ".join(SESSION_COLUMNS)
_REVOCATION: Final = ", ".join(REVOCATION_COLUMNS)
_INSERT_SESSION: Final = (
    f"INSERT OR IGNORE INTO sessions ({_SESSION})"  # noqa: S608
    f" VALUES ({', '.join('?' * len(SESSION_COLUMNS))})"
)
_SCHEMA: Final = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, subject TEXT NOT NULL, counter INTEGER NOT NULL,
    parent INTEGER NOT NULL, rotated_at REAL NOT NULL, started_at REAL NOT NULL,
    expires_at REAL NOT NULL, ends_at REAL NOT NULL, revoked_at REAL NOT NULL, cause TEXT NOT NULL,
    claims TEXT NOT NULL, device TEXT NOT NULL, first_rotated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject, started_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, value TEXT NOT NULL,
    at REAL NOT NULL, until REAL NOT NULL, spared TEXT NOT NULL
);
CREATE INDEX revocations_by_end ON revocations (until);
CREATE TABLE marks (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
_TO_2: Final = """
ALTER TABLE sessions ADD COLUMN first_rotated_at REAL NOT NULL DEFAULT 0;
UPDATE sessions SET first_rotated_at = rotated_at;
CREATE TABLE marks (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
"""From schema 1, whose rows lack the time of the parent's first rotation. That of the last rotation
takes its place: such a row can be recovered for longer, once."""

_DEVICES: Final = (
    "CREATE TABLE IF NOT EXISTS devices (owner TEXT PRIMARY KEY, ended_at REAL NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS devices_by_end ON devices (ended_at)",
)
"""Created beside every schema; earlier releases do not read it."""


class SQLiteStore:
    """A `SessionStore` in a file, for the processes of one machine.

    One thread owns the connection. Operations that arrive while it writes wait, and then share one
    transaction with one sync to the disk. An operation returns only after its transaction is on
    the disk.

    Args:
        path: The file; created with mode 0600 if absent. It must not be on a network file system.
        timeout: Seconds for each operation, waiting included; 0.1 to 60.
        poll_seconds: How often revocations of other processes are read; 0.005 to 10 s.
        is_grouped: Whether waiting operations share a transaction.

    Raises:
        ConfigurationError: A number is out of range.

    """

    def __init__(
        self,
        path: str | Path,
        *,
        timeout: float = 5.0,
        poll_seconds: float = 0.05,
        is_grouped: bool = True,
    ) -> None:
        faults = []
        if not 0.1 <= timeout <= 60:
            faults.append(f"timeout is {timeout!r}, expected 0.1 to 60 seconds")
        if not 0.005 <= poll_seconds <= 10:
            faults.append(f"poll_seconds is {poll_seconds!r}, expected 0.005 to 10")
        if faults:
            raise ConfigurationError(faults)
        self._path = Path(path)
        self._timeout = timeout
        self._poll_seconds = poll_seconds
        self._writer = Writer(self._open, _MOST_AT_ONCE if is_grouped else 1)
        self._attempts = SQLiteAttempts(f"{path}-attempts", timeout=timeout)

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in a file beside this one; see `CountsAttempts`."""
        return self._attempts

    async def start(self) -> None:
        """Open the file and create its tables; raise `Unavailable` if that fails."""
        if not self._writer.is_running:
            self._writer.start()
        await self._run(lambda connection: None)

    async def close(self) -> None:
        """Finish the waiting operations and close the file."""
        await self._attempts.close()
        await self._writer.close()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""

        def create(connection: sqlite3.Connection) -> list[str]:
            connection.execute(_INSERT_SESSION, session_row(record))
            live = _live(connection, record.subject, record.started_at)
            surplus = [row.session_id for row in live if row.session_id != record.session_id]
            surplus = surplus[: max(0, len(live) - most_sessions)]
            for session_id in surplus:
                _revoke(connection, session_id, record.started_at, "limit")
            return surplus

        return await self._run(create)

    async def present(
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""

        def present(connection: sqlite3.Connection) -> RotationOutcome:
            before = _get(connection, session_id)
            outcome = decide_rotation(before, counter, now, settings)
            if outcome.record is not None and outcome.record is not before:
                _put(connection, outcome.record)
            return outcome

        return await self._run(present)

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        return await self._run(lambda connection: _get(connection, session_id))

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        return await self._run(lambda connection: _live(connection, subject, now))

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`."""
        return await self._run(lambda connection: _revoke(connection, session_id, now, cause))

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`."""

        def revoke_all(connection: sqlite3.Connection) -> list[str]:
            connection.execute(
                "UPDATE sessions SET revoked_at = ?, cause = ?"
                " WHERE subject = ? AND session_id != ? AND revoked_at = 0",
                (now, cause, subject, kept_session),
            )
            found = connection.execute(
                "SELECT session_id FROM sessions WHERE subject = ? AND session_id != ?",
                (subject, kept_session),
            )
            return [row[0] for row in found]

        return await self._run(revoke_all)

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
        """Store `revocations`; other processes find them at their next read."""
        rows = [revocation_row(revocation) for revocation in revocations]

        def publish(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT INTO revocations ({_REVOCATION}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
                rows,
            )

        await self._run(publish)

    async def follow(self, since: float, on_revocations: OnRevocations) -> None:
        """Read what is alive at `since`, then what is new every `poll_seconds`."""
        number, is_over = -1, False

        def look(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            if is_over:  # a thread that began after the end: what it opened is closed again
                raise sqlite3.ProgrammingError("the follower has ended")
            return connection.execute(
                f"SELECT number, {_REVOCATION} FROM revocations"  # noqa: S608
                " WHERE number > ? AND until > ? ORDER BY number",
                (number, since),
            ).fetchall()

        reader = ForkSafeConnection(self._open)
        try:
            while True:
                found = await self._in_time(asyncio.to_thread(reader.use, look))
                if found:
                    number = found[-1][0]
                on_revocations([revocation_of(row[1:]) for row in found])
                await asyncio.sleep(self._poll_seconds)
        finally:
            is_over = True
            reader.close()

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""

        def purge(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM revocations WHERE until <= ?", (now,))
            connection.execute(
                "DELETE FROM devices WHERE owner IN"
                " (SELECT owner FROM devices WHERE ended_at <= ? LIMIT ?)",
                (now - LONGEST_DEVICE_SECONDS, most),
            )
            done = connection.execute(
                "DELETE FROM sessions WHERE session_id IN"
                " (SELECT session_id FROM sessions WHERE expires_at <= ? LIMIT ?)",
                (now, most),
            )
            return done.rowcount

        return await self._run(purge)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return the result of `work` in the thread's next transaction, after its commit."""
        if not self._writer.is_running:
            raise NotStarted("the SQLite store")
        answer: _T = await self._in_time(self._writer.ask(work))
        return answer

    async def _in_time(self, waited: Any) -> Any:
        return await in_time(waited, self._path, self._timeout)

    def _open(self) -> sqlite3.Connection:
        # A commit is on the disk.
        connection = connect(self._path, self._timeout, synchronous="FULL")
        try:
            _make_schema(connection)
            for statement in _DEVICES:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def _make_schema(connection: sqlite3.Connection) -> None:
    """Create the tables, or migrate those of an earlier release, in one transaction."""
    if _version(connection) < _VERSION:
        connection.execute("BEGIN IMMEDIATE")
        before = _version(connection)  # another process may have been quicker
        if before < _VERSION:
            for statement in (_SCHEMA if before == 0 else _TO_2).split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
    if (version := _version(connection)) > _VERSION:
        raise sqlite3.DatabaseError(f"the file has schema {version}, this release knows {_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _get(connection: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    row = connection.execute(
        f"SELECT {_SESSION} FROM sessions WHERE session_id = ?",  # noqa: S608
        (session_id,),
    ).fetchone()
    return None if row is None else session_of(row)


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


def _live(connection: sqlite3.Connection, subject: str, now: float) -> list[SessionRecord]:
    rows = connection.execute(
        f"SELECT {_SESSION} FROM sessions WHERE subject = ? AND revoked_at = 0"  # noqa: S608
        " AND expires_at > ? AND ends_at > ? ORDER BY started_at, session_id",
        (subject, now, now),
    )
    return [session_of(row) for row in rows]


def _revoke(connection: sqlite3.Connection, session_id: str, now: float, cause: str) -> bool:
    record = _get(connection, session_id)
    if record is None:
        return False
    _put(connection, revoked(record, now, cause))
    return True
