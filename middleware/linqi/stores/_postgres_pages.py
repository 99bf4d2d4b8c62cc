"""Lists of the sessions of one subject in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from linqi.sessions.record import SessionRecord
from linqi.sessions.session_page import PagePlace
from linqi.stores._table_rows import session_of

__all__ = ["PostgresPages"]

_PAGE: Final = (
    "SELECT * FROM linqi_sessions WHERE subject = $1"
    ' AND (revoked_at, started_at, session_id) > ($2, $3, $4::text COLLATE "C")'
)
_LIVE: Final = " AND revoked_at = 0 AND expires_at > $6 AND ends_at > $6"
_ORDER: Final = ' ORDER BY revoked_at, started_at, session_id COLLATE "C" LIMIT $5'


class PostgresPages:
    """Reads pages by the index of a subject's sessions; see `SessionPages`."""

    def __init__(self, fetch: Callable[..., Awaitable[Sequence[Any]]]) -> None:
        self._fetch = fetch

    async def page(
        self, subject: str, now: float, after: PagePlace, most: int, *, ended: bool
    ) -> Sequence[SessionRecord]:
        """Return the sessions behind `after`; see `SessionPages`."""
        text, last = (_PAGE + _ORDER, ()) if ended else (_PAGE + _LIVE + _ORDER, (now,))
        rows = await self._fetch(text, subject, *after, most, *last)
        return [session_of(row) for row in rows]
