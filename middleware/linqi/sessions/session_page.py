"""The sessions of one subject, page by page: the order, the cursor and the contract of stores."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from linqi import _base64url
from linqi.errors import ConfigurationError, InvalidCursor
from linqi.sessions.record import SessionRecord

__all__ = [
    "FIRST",
    "MOST_ON_PAGE",
    "ListsSessions",
    "PagePlace",
    "SessionPage",
    "SessionPages",
    "cursor_of",
    "page_of",
    "place_of",
    "read_cursor",
    "read_page",
]

MOST_ON_PAGE: Final = 500
_LONGEST_CURSOR: Final = 256
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PagePlace(NamedTuple):
    """The place of a session in the list: live ones first, then as they were revoked."""

    revoked_at: float
    started_at: float
    session_id: str


FIRST: Final = PagePlace(-1.0, 0.0, "")
"""Before every session."""
_read_place: Final = msgspec.json.Decoder(tuple[float, float, str]).decode


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the sessions of one subject."""

    sessions: tuple[SessionRecord, ...]
    """Live ones first, oldest first; then those that were revoked, in that order."""
    cursor: str
    """Returns the next page; empty if this is the last."""


class SessionPages(Protocol):
    """Lists sessions of one subject."""

    async def page(
        self, subject: str, now: float, after: PagePlace, most: int, *, ended: bool
    ) -> Sequence[SessionRecord]:
        """Return at most `most` sessions behind `after`, in the order of `PagePlace`.

        Args:
            subject: The ``sub``.
            now: Unix seconds of the store's clock.
            after: The place of the last one that was returned, or `FIRST`.
            most: How many at most.
            ended: Whether those that ended, and that the store still has, are listed too.

        """
        ...


@runtime_checkable
class ListsSessions(Protocol):
    """A store that lists sessions page by page."""

    def pages(self) -> SessionPages:
        """Return the lists."""
        ...


async def read_page(
    store: object,
    subject: str,
    now: Callable[[], Awaitable[float]],
    limit: int,
    cursor: str,
    *,
    ended: bool,
) -> SessionPage:
    """Return one page from `store`; see `Sessions.page`. `now` returns its clock."""
    after = read_cursor(cursor)
    if type(limit) is not int or not 1 <= limit <= MOST_ON_PAGE:
        raise InvalidCursor(f"limit is {repr(limit)[:40]}, expected 1 to {MOST_ON_PAGE}")
    if not isinstance(store, ListsSessions):
        raise ConfigurationError(["the store lists no sessions: it has no method pages"])
    found = await store.pages().page(subject, await now(), after, limit + 1, ended=ended)
    rest = cursor_of(found[limit - 1]) if len(found) > limit else ""
    return SessionPage(sessions=tuple(found[:limit]), cursor=rest)


def place_of(record: SessionRecord) -> PagePlace:
    """Return where a session stands in the list."""
    return PagePlace(record.revoked_at, record.started_at, record.session_id)


def cursor_of(record: SessionRecord) -> str:
    """Return the cursor of what follows `record`. It holds no secret, and grants nothing."""
    return _base64url.encode(msgspec.json.encode(place_of(record))).decode()


def read_cursor(cursor: object) -> PagePlace:
    """Return the place that a cursor names; `FIRST` for an empty one.

    Raises:
        InvalidCursor: `cursor_of` did not make it.

    """
    if cursor == "":
        return FIRST
    fault = InvalidCursor("the cursor is none that a list of sessions returned")
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR or not cursor.isascii():
        raise fault
    try:
        place = PagePlace(*_read_place(_base64url.decode(cursor)))
    except (ValueError, msgspec.MsgspecError):
        raise fault from None
    if not (math.isfinite(place.revoked_at) and math.isfinite(place.started_at)):
        raise fault
    if not _SESSION_ID.fullmatch(place.session_id):
        raise fault
    return place


def page_of(
    records: Iterable[SessionRecord], now: float, after: PagePlace, most: int, *, ended: bool
) -> list[SessionRecord]:
    """Return the page of all `records` of a subject, for stores that cannot sort them."""
    listed = (record for record in records if ended or record.is_live(now))
    behind = (record for record in listed if place_of(record) > after)
    return sorted(behind, key=place_of)[:most]
