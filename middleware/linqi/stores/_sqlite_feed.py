"""The revocations of a SQLite file, read in pages by a thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from linqi.sessions.store import RevocationReader
from linqi.stores._fork_safe import ForkSafeConnection
from linqi.stores._table_rows import REVOCATION_COLUMNS, revocation_of

__all__ = ["follow_file"]

_AT_ONCE: Final = 500
"""Rows of one read; see `_postgres_feed`."""
_COLUMNS: Final = f"number, {', '.join(REVOCATION_COLUMNS)}"


async def follow_file(
    open_file: Callable[[], sqlite3.Connection],
    since: float,
    reader: RevocationReader,
    *,
    in_time: Callable[[Awaitable[Any]], Awaitable[Any]],
    poll_seconds: float,
) -> None:
    """Pass on what the file holds, then what is new every `poll_seconds`; see `SessionStore`.

    Rows are numbered in the order of their commits, as SQLite has one writer. So a follower that
    has read up to a row goes on behind it, if the file still has that row: a file that was restored
    from a backup may have given its number to another.
    """
    is_over = False

    def look(connection: sqlite3.Connection) -> list[tuple[Any, ...]] | None:
        if is_over:  # a thread that began after the end: what it opened is closed again
            raise sqlite3.ProgrammingError("the follower has ended")
        return _rows_after(connection, reader.position, since)

    held = ForkSafeConnection(open_file)
    # Not the loop's threads: an application that hashes passwords there would stop the feed.
    thread, loop = ThreadPoolExecutor(1, "linqi-feed"), asyncio.get_running_loop()
    try:
        while True:
            reader.begin_read()
            rows = await in_time(loop.run_in_executor(thread, held.use, look))
            if rows is None:
                reader.position = None
                continue
            reader.add([revocation_of(row[1:]) for row in rows])
            if rows:
                reader.position = rows[-1]
            if len(rows) < _AT_ONCE:
                reader.caught_up()
                await asyncio.sleep(poll_seconds)
    finally:
        is_over = True
        thread.shutdown(wait=False)
        held.close()


def _rows_after(
    connection: sqlite3.Connection, last: object, since: float
) -> list[tuple[Any, ...]] | None:
    """Return the next rows after the row `last`; None if the file does not have that any more."""
    number = -1
    if isinstance(last, tuple):
        number = last[0]
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM revocations WHERE number = ?",  # noqa: S608
            (number,),
        )
        if found.fetchone() != last:
            return None
    return connection.execute(
        f"SELECT {_COLUMNS} FROM revocations WHERE number > ? AND until > ?"  # noqa: S608
        " ORDER BY number LIMIT ?",
        (number, since, _AT_ONCE),
    ).fetchall()
