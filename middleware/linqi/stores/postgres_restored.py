"""The sessions of a PostgreSQL database that was restored from a backup."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from linqi.sessions.restored import EndedPart

__all__ = ["PostgresRestored"]

_AT_ONCE: Final = 500
_END: Final = """
WITH part AS (
    SELECT session_id, started_at, revoked_at FROM linqi_sessions
    WHERE session_id > $1 ORDER BY session_id LIMIT $4
), ended AS (
    UPDATE linqi_sessions AS s SET revoked_at = $3, cause = 'lost' FROM part
    WHERE s.session_id = part.session_id AND s.revoked_at = 0 AND s.started_at < $2 RETURNING 1
)
SELECT (SELECT max(session_id) FROM part), (SELECT count(*) FROM ended),
    (SELECT min(started_at) FROM part WHERE revoked_at = 0 AND started_at >= $2)
"""


class PostgresRestored:
    """`RestoredSessions` of a `PostgresStore`.

    Args:
        fetch: Runs a statement on the store's connections.
        now: Returns the server's clock.

    """

    def __init__(
        self, fetch: Callable[..., Awaitable[list[Any]]], now: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._now = now

    async def end(self, before: float, now: float) -> AsyncIterator[EndedPart]:
        """Revoke sessions part by part; see `RestoredSessions`."""
        last = ""
        while True:
            ((last, ended, since),) = await self._fetch(_END, last, before, now, _AT_ONCE)
            if last is None:
                return
            yield EndedPart(ended, math.inf if since is None else since)

    async def allow_forgotten(self, rotations: int, seconds: float) -> None:
        """Store the number, and until when it holds; see `RestoredSessions`."""
        await self._fetch(
            "INSERT INTO linqi_marks SELECT * FROM unnest($1::text[], $2::float8[])"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            ["most_forgotten", "most_forgotten_until"],
            [float(rotations), self._now() + seconds],
        )
