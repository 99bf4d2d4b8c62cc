"""Lists of the sessions of one subject in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from linqi.sessions.record import SessionRecord
from linqi.sessions.session_page import PagePlace
from linqi.stores._table_rows import SESSION_COLUMNS, session_of

__all__ = ["SQLitePages", "live_rows"]

_SESSION: Final = ", ".join(SESSION_COLUMNS)
_LIVE: Final = "revoked_at = 0 AND expires_at > ? AND ends_at > ?"


def live_rows(connection: sqlite3.Connection, subject: str, now: float) -> list[SessionRecord]:
    """Return the live sessions of `subject`, oldest first."""
    rows = connection.execute(
        f"SELECT {_SESSION} FROM sessions WHERE subject = ? AND {_LIVE}"  # noqa: S608
        " ORDER BY started_at, session_id",
        (subject, now, now),
    )
    return [session_of(row) for row in rows]


class SQLitePages:
    """Reads pages by the index of a subject's sessions; see `SessionPages`."""

    def __init__(
        self, run: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]
    ) -> None:
        self._run = run

    async def page(
        self, subject: str, now: float, after: PagePlace, most: int, *, ended: bool
    ) -> Sequence[SessionRecord]:
        """Return the sessions behind `after`; see `SessionPages`."""
        rule, values = ("", ()) if ended else (f" AND {_LIVE}", (now, now))

        def read(connection: sqlite3.Connection) -> list[SessionRecord]:
            rows = connection.execute(
                f"SELECT {_SESSION} FROM sessions WHERE subject = ?"  # noqa: S608
                f" AND (revoked_at, started_at, session_id) > (?, ?, ?){rule}"
                " ORDER BY revoked_at, started_at, session_id LIMIT ?",
                (subject, *after, *values, most),
            )
            return [session_of(row) for row in rows]

        found: list[SessionRecord] = await self._run(read)
        return found
