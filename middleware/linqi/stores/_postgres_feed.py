"""The revocations of a PostgreSQL table, read in pages, and their notifications."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec

from linqi.errors import Unavailable
from linqi.sessions.record import Revocation
from linqi.sessions.store import RevocationReader
from linqi.stores._table_rows import revocation_of

__all__ = ["CHANNEL", "follow_table", "notices"]

CHANNEL: Final = "linqi_revocations"
_MOST_IN_NOTICE: Final = 7_000
"""Bytes; PostgreSQL allows 8,000 a notification."""
_BEAT_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
"""Rows of one read. With pages of 1,000, a million rows paused the loop for 20 ms, with 500 for
3 ms: more than 700 new objects at once call the garbage collector while the page is in use."""
_NOTICES_AT_ONCE: Final = 16
_read_all: Final = msgspec.json.Decoder(list[Revocation]).decode


async def follow_table(
    sender: Any,
    listener: Any,
    since: float,
    reader: RevocationReader,
    *,
    in_time: Callable[[], AbstractAsyncContextManager[None]],
    verify: Callable[[Any], Awaitable[object]] | None,
    seconds: float,
) -> None:
    """Listen, pass on what is stored, then each notification; see `SessionStore.follow`.

    The rows have no order in which they were committed, so each call reads all of them.
    Notifications have: once a notification of its own has come back, the follower has received
    those of all revocations that were stored before. A connection that receives none, such as one
    of a pooler in transaction mode or to another server, is never trusted.

    Args:
        sender: A connection that reaches the database as other workers do: a pooler passes on
            notifications of the same connection only. It is no other's, because a pool whose
            connections are all in use would silence the feed.
        listener: A second connection, which listens.
        since: As in `SessionStore.follow`.
        reader: Receives what is read.
        in_time: Limits the time of one statement.
        verify: Receives `sender` at each beat, and raises if its server must not be used.
        seconds: How long a notification may take.

    """
    notifications = _Notifications(listener, reader)
    async with in_time():
        await notifications.start()
    # After the start: what is revoked between the two arrives in both ways.
    await _read_table(listener, since, reader, in_time)
    while True:
        reader.begin_read()
        beat = f"beat {secrets.token_hex(8)}"
        async with in_time():
            await sender.fetch("SELECT pg_notify($1, $2)", CHANNEL, beat)
            if verify is not None:
                await verify(sender)
        await notifications.pass_on_until(beat, seconds)
        reader.caught_up()
        await notifications.pass_on(_BEAT_SECONDS)


async def _read_table(
    connection: Any,
    since: float,
    reader: RevocationReader,
    in_time: Callable[[], AbstractAsyncContextManager[None]],
) -> None:
    # After an error the connection is ended: a rollback would wait for a server that hangs.
    async with in_time():
        await connection.execute("BEGIN")
        rows = await connection.cursor("SELECT * FROM linqi_revocations WHERE until > $1", since)
    while True:
        async with in_time():
            page = await rows.fetch(_AT_ONCE)
        if not page:
            break
        reader.add([revocation_of(row) for row in page])
    async with in_time():
        await connection.execute("COMMIT")


class _Notifications:
    """Receives notifications on one connection, and passes them on."""

    def __init__(self, connection: Any, reader: RevocationReader) -> None:
        self._connection = connection
        self._reader = reader
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        """None follows the last, when the connection is lost."""

    async def start(self) -> None:
        self._connection.add_termination_listener(lambda _connection: self._texts.put_nowait(None))
        await self._connection.add_listener(
            CHANNEL, lambda _connection, _pid, _channel, text: self._texts.put_nowait(text)
        )

    async def pass_on_until(self, beat: str, seconds: float) -> None:
        """Pass on all notifications that arrive before `beat`."""
        try:
            async with asyncio.timeout(seconds):
                while not await self._pass_on_some(beat):
                    pass
        except TimeoutError:
            raise Unavailable(
                "PostgreSQL answers, but its notifications do not arrive: the connection may go"
                " through a pooler in transaction mode; set listen_url to the database itself"
            ) from None

    async def pass_on(self, seconds: float) -> None:
        """Pass on the notifications of the next `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._pass_on_some("")
        except TimeoutError:
            return

    async def _pass_on_some(self, beat: str) -> bool:
        """Wait for notifications and pass some on; return whether `beat` was among them."""
        texts = [await self._texts.get()]
        while len(texts) < _NOTICES_AT_ONCE and not self._texts.empty():
            texts.append(self._texts.get_nowait())
        for text in texts:
            if text is None:
                raise Unavailable("PostgreSQL: the connection of the feed was lost")
            if text.startswith("["):
                self._reader.add(_read_all(text))
        await asyncio.sleep(0)  # thousands may wait, after the table was read
        return beat in texts


def notices(revocations: Sequence[Revocation]) -> list[str]:
    """Return the revocations as JSON arrays, each short enough for one notification."""
    texts: list[str] = []
    waiting: list[Revocation] = []
    for revocation in revocations:
        text = msgspec.json.encode([*waiting, revocation]).decode()
        if len(text.encode()) > _MOST_IN_NOTICE and waiting:
            texts.append(msgspec.json.encode(waiting).decode())
            waiting = []
        waiting.append(revocation)
    if waiting:
        texts.append(msgspec.json.encode(waiting).decode())
    return texts
