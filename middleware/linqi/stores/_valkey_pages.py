"""Lists of the sessions of one subject in Valkey or Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from linqi.sessions.record import SessionRecord
from linqi.sessions.session_page import PagePlace, page_of
from linqi.stores._valkey_subjects import SubjectSessions

__all__ = ["ValkeyPages"]


class ValkeyPages:
    """Reads the rows of a subject, of the ended ones the newest thousand; see `SessionPages`."""

    def __init__(
        self,
        subjects: SubjectSessions,
        in_time: Callable[[], AbstractAsyncContextManager[float]],
    ) -> None:
        self._subjects = subjects
        self._in_time = in_time

    async def page(
        self, subject: str, now: float, after: PagePlace, most: int, *, ended: bool
    ) -> Sequence[SessionRecord]:
        """Return the sessions behind `after`; see `SessionPages`."""
        async with self._in_time():
            rows = await self._subjects.known(subject, ended=ended)
        return page_of(rows, now, after, most, ended=ended)
