"""The sessions of a SQLite file that was restored from a backup."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from linqi.sessions.restored import EndedPart, ended_part

__all__ = ["SQLiteRestored", "most_forgotten_in"]

_AT_ONCE: Final = 500
_MARKS: Final = ("most_forgotten", "most_forgotten_until")


class SQLiteRestored:
    """`RestoredSessions` of a `SQLiteStore`.

    Args:
        run: Runs a function in the next transaction of the store.
        now: Returns the machine's clock.

    """

    def __init__(
        self,
        run: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
        now: Callable[[], float],
    ) -> None:
        self._run = run
        self._now = now

    async def end(self, before: float, now: float) -> AsyncIterator[EndedPart]:
        """Revoke sessions part by part; see `RestoredSessions`."""
        last = ""
        while True:

            def end_part(connection: sqlite3.Connection, last: str = last) -> Sequence[Any]:
                rows = connection.execute(
                    "SELECT session_id, started_at FROM sessions WHERE session_id > ?"
                    " AND revoked_at = 0 ORDER BY session_id LIMIT ?",
                    (last, _AT_ONCE),
                ).fetchall()
                old = [(now, name) for name, started_at in rows if started_at < before]
                connection.executemany(
                    "UPDATE sessions SET revoked_at = ?, cause = 'lost' WHERE session_id = ?", old
                )
                return rows

            rows = await self._run(end_part)
            if not rows:
                return
            last = rows[-1][0]
            yield ended_part([started_at for _, started_at in rows], before)

    async def allow_forgotten(self, rotations: int, seconds: float) -> None:
        """Store the number, and until when it holds; see `RestoredSessions`."""
        values = (rotations, self._now() + seconds)
        await self._run(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO marks VALUES (?, ?)", zip(_MARKS, values, strict=True)
            )
        )


def most_forgotten_in(connection: sqlite3.Connection, now: float) -> int:
    """Return the number that `SQLiteRestored.allow_forgotten` stored; 0 after its end."""
    rows = connection.execute("SELECT name, value FROM marks WHERE name IN (?, ?)", _MARKS)
    marks = dict(rows.fetchall())
    return int(marks.get(_MARKS[0], 0)) if now < marks.get(_MARKS[1], 0) else 0
