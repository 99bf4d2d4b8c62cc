"""Counters of sign-in attempts in a SQLite file, for the workers of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from linqi.sessions.attempts import Counter, Full, full_counter
from linqi.stores._sqlite_faults import in_time
from linqi.stores._sqlite_file import connect
from linqi.stores._writer import Writer

__all__ = ["SQLiteAttempts"]

_MOST_AT_ONCE: Final = 256
_MOST_ENTRIES: Final = 1_000_000
_SWEPT_AT_ONCE: Final = 8
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY, counter TEXT NOT NULL, attempt TEXT NOT NULL,
    at REAL NOT NULL, until REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS attempts_by_counter ON attempts (counter, attempt);
CREATE INDEX IF NOT EXISTS attempts_by_end ON attempts (until);
"""


class SQLiteAttempts:
    """An `AttemptStore` in a file of its own.

    SQLite allows one writer per file: attempts in the file of the sessions would delay refreshes.
    A commit does not wait for the disk, so a power failure may lose the last attempts; a killed
    process loses none.

    Args:
        path: The file; created with mode 0600 if absent.
        timeout: Seconds for each operation, waiting included.
        most_entries: How many attempts are kept; the oldest are deleted beyond that.

    """

    def __init__(
        self, path: str | Path, *, timeout: float = 5.0, most_entries: int = _MOST_ENTRIES
    ) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._most_entries = most_entries
        self._writer = Writer(self._open, _MOST_AT_ONCE)

    async def reserve(
        self, attempt: str, counters: Sequence[Counter], now: float
    ) -> Sequence[Full]:
        """Count the attempt in all `counters` or in none; see `AttemptStore`."""

        def reserve(connection: sqlite3.Connection) -> list[Full]:
            full = [
                found
                for counter in counters
                if (found := _full(connection, counter, attempt, now)) is not None
            ]
            if not full:
                rows = [(c.key, attempt, now, now + c.limit.seconds) for c in counters]
                connection.executemany(
                    "INSERT OR IGNORE INTO attempts (counter, attempt, at, until)"
                    " VALUES (?, ?, ?, ?)",
                    rows,
                )
                _sweep(connection, now, self._most_entries)
            return full

        found: list[Full] = await self._run(reserve)
        return found

    async def release(self, attempt: str, counters: Sequence[Counter]) -> None:
        """Remove the entries of `attempt`; see `AttemptStore`."""
        rows = [(counter.key, attempt) for counter in counters]
        await self._run(
            lambda connection: connection.executemany(
                "DELETE FROM attempts WHERE counter = ? AND attempt = ?", rows
            )
        )

    async def close(self) -> None:
        """Finish the waiting operations and close the file."""
        await self._writer.close()

    async def _run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        if not self._writer.is_running:
            self._writer.start()
        return await in_time(self._writer.ask(work), self._path, self._timeout)

    def _open(self) -> sqlite3.Connection:
        # No wait for the disk at a commit.
        connection = connect(self._path, self._timeout, synchronous="NORMAL")
        try:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def _full(
    connection: sqlite3.Connection, counter: Counter, attempt: str, now: float
) -> Full | None:
    connection.execute(
        "DELETE FROM attempts WHERE counter = ? AND abs(at - ?) >= ?",
        (counter.key, now, counter.limit.seconds),
    )
    rows = connection.execute(
        "SELECT at FROM attempts WHERE counter = ? AND attempt != ?", (counter.key, attempt)
    )
    return full_counter(counter, [at for (at,) in rows], now)


def _sweep(connection: sqlite3.Connection, now: float, most: int) -> None:
    """Delete a few entries that are over, and a few of the oldest if there are too many."""
    connection.execute(
        "DELETE FROM attempts WHERE number IN"
        " (SELECT number FROM attempts WHERE until <= ? LIMIT ?)",
        (now, _SWEPT_AT_ONCE),
    )
    connection.execute(
        "DELETE FROM attempts WHERE number IN (SELECT number FROM attempts"
        " WHERE number <= (SELECT max(number) FROM attempts) - ? ORDER BY number LIMIT ?)",
        (most, _SWEPT_AT_ONCE),
    )
