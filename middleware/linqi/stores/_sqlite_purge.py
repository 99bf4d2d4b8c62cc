"""What is over in a SQLite file: counted, and deleted in pieces."""

from __future__ import annotations

import sqlite3
from typing import Final

from linqi.sessions.device_token import LONGEST_DEVICE_SECONDS

__all__ = ["count_ended_rows", "purge_rows"]

_ENDS: Final = (
    ("sessions", "session_id", "expires_at"),
    ("revocations", "number", "until"),
    ("devices", "owner", "ended_at"),
)
"""Each table that is purged, its key, and the column that says when a row is over."""
_DELETE: Final = tuple(
    f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608
    f" (SELECT {key} FROM {table} WHERE {end} <= ? ORDER BY {end} LIMIT ?)"
    for table, key, end in _ENDS
)
_ENDED: Final = " UNION ALL ".join(
    f"SELECT 1 FROM {table} WHERE {end} <= ?"  # noqa: S608
    for table, _, end in _ENDS
)


def purge_rows(connection: sqlite3.Connection, now: float, most: int) -> int:
    """Delete at most `most` rows of each table that are over, and return how many in all."""
    ends = (now, now, now - LONGEST_DEVICE_SECONDS)
    return sum(
        connection.execute(statement, (end, most)).rowcount
        for statement, end in zip(_DELETE, ends, strict=True)
    )


def count_ended_rows(connection: sqlite3.Connection, now: float, most: int) -> int:
    """Return how many rows are over; at most `most`."""
    (found,) = connection.execute(
        f"SELECT count(*) FROM ({_ENDED} LIMIT ?)",  # noqa: S608
        (now, now, now - LONGEST_DEVICE_SECONDS, most),
    ).fetchone()
    return int(found)
