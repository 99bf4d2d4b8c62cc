"""Notes in a PostgreSQL database, for the workers of several machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from linqi._notes import MOST_NOTES, Note

__all__ = ["PostgresNotes"]

_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
_WRITE: Final = (
    "WITH over AS (SELECT kind, name FROM linqi_notes"  # noqa: S608
    f" WHERE until <= {_NOW} AND (kind, name) <> ($1, $2) LIMIT 100 FOR UPDATE SKIP LOCKED),"
    " gone AS (DELETE FROM linqi_notes WHERE (kind, name) IN (SELECT kind, name FROM over))"
    f" INSERT INTO linqi_notes AS n VALUES ($1, $2, $3, {_NOW}, {_NOW} + $4)"
    " ON CONFLICT (kind, name) DO UPDATE"
    " SET text = excluded.text, at = excluded.at, until = excluded.until"
)


class PostgresNotes:
    """A `NoteStore` in the database of a `PostgresStore`.

    The table is unlogged: no commit waits for the disk, and after a crash of the server it is
    empty.

    Args:
        fetch: Runs a statement on the store's connections.

    """

    def __init__(self, fetch: Callable[..., Awaitable[list[Any]]]) -> None:
        self._fetch = fetch

    async def put(self, kind: str, name: str, text: str, seconds: float) -> None:
        """Write a note; see `NoteStore`."""
        await self._fetch(_WRITE, kind, name, text, float(seconds))

    async def claim(self, kind: str, name: str, text: str, seconds: float) -> bool:
        """Write a note if there is none; see `NoteStore`."""
        sql = f"{_WRITE} WHERE n.until <= {_NOW} RETURNING 1"
        return bool(await self._fetch(sql, kind, name, text, float(seconds)))

    async def drop(self, kind: str, name: str, text: str) -> None:
        """Delete a note; see `NoteStore`."""
        await self._fetch(
            "DELETE FROM linqi_notes WHERE kind = $1 AND name = $2 AND text = $3", kind, name, text
        )

    async def read(self, kind: str) -> Mapping[str, Note]:
        """Return the notes of a kind; see `NoteStore`."""
        rows = await self._fetch(
            f"SELECT name, text, {_NOW} - at FROM linqi_notes"  # noqa: S608
            f" WHERE kind = $1 AND until > {_NOW} ORDER BY name LIMIT $2",
            kind,
            MOST_NOTES,
        )
        return {name: Note(text, float(age)) for name, text, age in rows}
