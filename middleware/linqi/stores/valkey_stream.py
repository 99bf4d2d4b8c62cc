"""The stream of revocations in Valkey or Redis: published, followed, trimmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

import msgspec

from linqi.errors import Unavailable
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.sessions.record import Revocation
from linqi.sessions.store import RevocationReader
from linqi.stores._redis import Call, Script, as_unavailable
from linqi.stores._time_limit import TimeLimit
from linqi.stores._valkey_nodes import Nodes

__all__ = ["SLACK_SECONDS", "RevocationStream"]

_BLOCK_SECONDS: Final = 1.0
_BLOCK_SHARE: Final = 0.5
"""The part of a read's limit for which it may block: the driver leaves a silent server."""
_AT_ONCE: Final = 1_000
"""Entries of one read: 2 ms of the server and 2 ms of the event loop."""
SLACK_SECONDS: Final = 3 * LONGEST_LEEWAY
"""How much longer than the longest lifetime an entry may matter: twice the longest leeway (of its
``iat`` and ``exp``), and as much for the difference between two hosts' clocks."""
_TRIMMED_AT_ONCE: Final = 100_000
_read_all: Final = msgspec.json.Decoder(list[Revocation]).decode
_read_one: Final = msgspec.json.Decoder(Revocation).decode


class _End(msgspec.Struct):
    """What every release writes of a revocation."""

    until: float


_read_end: Final = msgspec.json.Decoder(_End).decode


class RevocationStream:
    """Revocations in the order of their publication, from which every worker reads.

    An entry that this version cannot read may be a revocation of a newer one: what could be read is
    refused, and the follower fails until the entry is over or was deleted.

    A follower begins where the longest-lived token that may still matter began. Revocations of
    tokens that end even later (post-dated ones) lie in a sorted set as well.

    Args:
        prefix: The beginning of its two keys.
        timeout: Seconds for each read of a follower.
        nodes: Sends the commands.

    """

    def __init__(self, prefix: str, timeout: float, *, nodes: Nodes) -> None:
        self._stream = f"{prefix}:revocations"
        self._lasting = f"{prefix}:revocations:lasting"
        self._timeout = timeout
        self._nodes = nodes
        self._block = min(_BLOCK_SECONDS, timeout * _BLOCK_SHARE)
        self._oldest, self._page, self._each = (
            Script(name) for name in ("oldest", "page", "entries")
        )

    def entries(self, revocations: Sequence[Revocation], longest: float) -> list[Call]:
        """Return the commands that add `revocations`.

        Args:
            revocations: What was revoked.
            longest: The longest lifetime of access tokens, in seconds.

        """
        calls = []
        for revocation in revocations:
            text = msgspec.json.encode(revocation)
            if revocation.until > revocation.at + longest + SLACK_SECONDS:
                command: tuple[Any, ...] = ("ZADD", self._lasting, revocation.until, text)
                calls.append(Call(self._lasting, command))
            calls.append(Call(self._stream, ("XADD", self._stream, "*", "revocation", text)))
        return calls

    async def follow(self, since: float, reader: RevocationReader, longest: float) -> None:
        """Pass on what may still matter, then what is added; see `SessionStore.follow`."""
        lasting = await self._read("ZRANGEBYSCORE", self._lasting, f"({since!r}", "+inf")
        self._pass_on([(b"", text) for text in lasting], since, since, reader)
        while True:
            reader.begin_read()
            is_end, last = await self._read_page(since, reader, longest)
            if is_end:
                reader.caught_up()
                # What it returns is read again, together with the proof that nothing was missed.
                await self._wait(last)

    async def trim(self, now: float, longest: float) -> None:
        """Delete what concerns no valid token any more, as of `now` (Unix seconds)."""
        oldest = await self._oldest_id(now, longest)
        trim = "XTRIM", self._stream, "MINID", "~", oldest, "LIMIT", _TRIMMED_AT_ONCE
        forget = "ZREMRANGEBYSCORE", self._lasting, "-inf", repr(now)
        await self._nodes.run([Call(self._stream, trim), Call(self._lasting, forget)])

    async def _read_page(
        self, since: float, reader: RevocationReader, longest: float
    ) -> tuple[bool, bytes]:
        """Pass on one page; return whether it is the last, and after which id it goes on."""
        if isinstance(reader.position, tuple):
            last, text = reader.position
        else:
            last, text = await self._in_time(self._oldest_id(since, longest)), b""
        first, arguments = last, [last, text, _AT_ONCE]
        page = self._nodes.run([self._page.call([self._stream], arguments)])
        (found,) = await self._in_time(page)
        if not found:
            reader.position = None
            return False, last
        count, last, text, texts = found
        try:
            # An empty array is not read: Lua may write it as an object.
            revocations = _read_all(texts) if count else []
        except msgspec.DecodeError:
            each = self._nodes.run([self._each.call([self._stream], [first, count])])
            (pairs,) = await self._in_time(each)
            oldest = since - longest - SLACK_SECONDS if longest else 0.0
            self._pass_on(zip(pairs[::2], pairs[1::2], strict=True), since, oldest, reader)
        else:
            reader.add([revocation for revocation in revocations if revocation.until > since])
        reader.position = (last, text) if text else None
        return count < _AT_ONCE, last

    def _pass_on(
        self,
        entries: Iterable[tuple[bytes, bytes]],
        since: float,
        oldest: float,
        reader: RevocationReader,
    ) -> None:
        """Pass on what can be read; raise `Unavailable` for another entry that may still matter.

        Args:
            entries: Their ids, empty outside of the stream, and their texts.
            since: Revocations that end before it are over, in Unix seconds.
            oldest: Entries without an end are over if they were added before it.
            reader: Receives them.

        """
        revocations, unreadable = [], ""
        for entry, text in entries:
            try:
                revocations.append(_read_one(text))
            except msgspec.DecodeError as error:
                if _may_matter(entry, text, since, oldest):
                    key = f"XDEL {self._stream} {entry.decode()}"
                    if not entry:
                        key = f"ZREM {self._lasting} of the entry"
                    unreadable = f"{error}; if no newer release added it, delete it: {key}"
        reader.add([revocation for revocation in revocations if revocation.until > since])
        if unreadable:
            raise Unavailable(
                f"Valkey has a revocation that this release cannot read: {unreadable}"
            )

    async def _oldest_id(self, now: float, longest: float) -> bytes:
        if not longest:  # no worker has said how long tokens live
            return b"0-0"
        arguments = [repr(float(now)), repr(longest + SLACK_SECONDS)]
        (found,) = await self._nodes.run([self._oldest.call([self._stream], arguments)])
        return bytes(found)

    async def _read(self, *command: Any) -> Any:
        (found,) = await self._in_time(self._nodes.run([Call(command[1], command)]))
        return found

    async def _wait(self, last: bytes) -> None:
        """Return when an entry comes after `last`, or after a second at most."""
        milliseconds = int(self._block * 1000)
        command = "XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", self._stream, last
        await self._in_time(self._nodes.run([Call(self._stream, command)]), self._block)

    async def _in_time(self, reading: Awaitable[Any], blocked: float = 0.0) -> Any:
        """Return the reply to a read, which waits for no other operation's connection."""
        try:
            async with TimeLimit.after(self._timeout + blocked):
                found = await reading
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error
        _check_cancelled()
        return found


def _may_matter(entry: bytes, text: bytes, since: float, oldest: float) -> bool:
    """Return whether an entry that cannot be read may concern a valid token."""
    try:
        return _read_end(text).until > since
    except msgspec.DecodeError:
        return not entry or float(entry.partition(b"-")[0]) / 1000 > oldest


def _check_cancelled() -> None:
    """Raise the cancellation that the driver suppresses when it arrives as a read begins."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
