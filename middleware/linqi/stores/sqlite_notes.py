"""Notes in the SQLite file of the sessions, for the workers of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from linqi._notes import MOST_NOTES, Note

__all__ = ["NOTES_SCHEMA", "SQLiteNotes"]

NOTES_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS notes (kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
    " at REAL NOT NULL, until REAL NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID"
)
"""Created beside every schema; earlier releases do not read it."""


class SQLiteNotes:
    """A `NoteStore` in the file of a `SQLiteStore`.

    Args:
        run: Runs a function in the next transaction of the store.
        clock: Returns Unix seconds: the clock of the machine.

    """

    def __init__(
        self,
        run: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._clock = clock

    async def put(self, kind: str, name: str, text: str, seconds: float) -> None:
        """Write a note; see `NoteStore`."""
        await self._run(lambda connection: self._write(connection, kind, name, text, seconds))

    async def claim(self, kind: str, name: str, text: str, seconds: float) -> bool:
        """Write a note if there is none; see `NoteStore`."""

        def claim(connection: sqlite3.Connection) -> bool:
            if name in self._live(connection, kind):
                return False
            self._write(connection, kind, name, text, seconds)
            return True

        return bool(await self._run(claim))

    async def drop(self, kind: str, name: str, text: str) -> None:
        """Delete a note; see `NoteStore`."""
        await self._run(
            lambda connection: connection.execute(
                "DELETE FROM notes WHERE kind = ? AND name = ? AND text = ?", (kind, name, text)
            )
        )

    async def read(self, kind: str) -> Mapping[str, Note]:
        """Return the notes of a kind; see `NoteStore`."""
        found: dict[str, Note] = await self._run(lambda connection: self._live(connection, kind))
        return found

    def _write(
        self, connection: sqlite3.Connection, kind: str, name: str, text: str, seconds: float
    ) -> None:
        now = self._clock()
        connection.execute("DELETE FROM notes WHERE until <= ?", (now,))
        connection.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?)",
            (kind, name, text, now, now + seconds),
        )

    def _live(self, connection: sqlite3.Connection, kind: str) -> dict[str, Note]:
        now = self._clock()
        rows = connection.execute(
            "SELECT name, text, at FROM notes WHERE kind = ? AND until > ? ORDER BY name LIMIT ?",
            (kind, now, MOST_NOTES),
        )
        return {name: Note(text, now - at) for name, text, at in rows}
