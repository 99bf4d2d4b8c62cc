"""Sessions in Valkey or Redis: for several machines, one Lua script per operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from linqi.errors import ConfigurationError, NotStarted
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import subject_tag
from linqi.sessions.store import OnRevocations
from linqi.stores._redis import Script, as_unavailable, connect
from linqi.stores._valkey_rows import session_of, session_row
from linqi.stores.valkey_attempts import ValkeyAttempts

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["ValkeyStore"]

_BLOCK_SECONDS: Final = 1.0
_AT_ONCE: Final = 1_000
_LOOKED_AT_SECONDS: Final = 90_000
"""Revocations are checked for their end after a day and an hour in the stream."""


class ValkeyStore:
    """A `SessionStore` in a Valkey or Redis server or cluster.

    The sessions of one subject share a hash slot, so every operation is one script on one node.
    Revocations are sent by one stream.

    The server must not evict keys (``maxmemory-policy noeviction``): if Valkey evicts a revocation,
    the session is no longer revoked. Acknowledged writes can be lost with the machine unless
    ``appendfsync`` is ``always``, and in a failover in any case.

    Args:
        url: The server, such as ``redis://127.0.0.1:6379/0``.
        client: A `redis.asyncio` client of the caller's instead of `url`, for clusters and
            sentinels; it is not closed. Its retries are harmless, as operations are idempotent.
        timeout: Seconds for each operation, waiting for a connection included; 0.05 to 60.
        most_connections: How many operations run at once.
        prefix: The beginning of all keys: ASCII letters, digits and hyphens.

    Raises:
        ConfigurationError: Not exactly one of `url` and `client` is given, or a value is out of
            range.

    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Redis | Any = None,
        timeout: float = 2.0,
        most_connections: int = 50,
        prefix: str = "linqi",
    ) -> None:
        faults = []
        if (url is None) == (client is None):
            faults.append("give either url, such as 'redis://127.0.0.1:6379/0', or client")
        if not 0.05 <= timeout <= 60:
            faults.append(f"timeout is {timeout!r}, expected 0.05 to 60 seconds")
        if not prefix or not prefix.isascii() or not prefix.replace("-", "").isalnum():
            faults.append(f"prefix is {prefix!r}, expected ASCII letters, digits and hyphens")
        if faults:
            raise ConfigurationError(faults)
        self._url = url
        self._is_own = client is None
        self._client: Any = client
        self._timeout = timeout
        self._most_connections = most_connections
        # Instead of the driver's blocking pool, whose condition costs 15 us per call.
        self._gate = asyncio.Semaphore(most_connections)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prefix = prefix
        self._stream = f"{prefix}:revocations"
        names = ("create", "end_devices", "present", "raise", "revoke", "trim")
        self._scripts = {name: Script(name) for name in names}
        self._attempts = ValkeyAttempts(url, client=client, timeout=timeout, prefix=prefix)

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins on this server; see `CountsAttempts`."""
        return self._attempts

    async def start(self) -> None:
        """Connect; `Unavailable` when the server cannot be reached or would evict sessions."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop, self._gate = loop, asyncio.Semaphore(self._most_connections)
            self._client = None if self._is_own else self._client
        if self._client is None:
            self._client = connect(str(self._url), self._timeout, self._most_connections)
        async with self._in_time():
            found = await self._client.info("memory")
        if found.get("maxmemory") and found.get("maxmemory_policy") != "noeviction":
            raise ConfigurationError(
                [
                    f"the server evicts ({found.get('maxmemory_policy')}), which would undo"
                    " revocations; set maxmemory-policy noeviction"
                ]
            )

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's client."""
        await self._attempts.close()
        if self._is_own and self._client is not None:
            client, self._client = self._client, None
            if self._loop is not asyncio.get_running_loop():
                return  # its connections ended with their loop
            await client.aclose()
            await client.connection_pool.disconnect()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""
        tag = subject_tag(record.subject)
        keys = [self._key(record.session_id), self._index(tag)]
        arguments = [
            self._rows(tag),
            record.session_id,
            most_sessions,
            repr(record.started_at),
            repr(record.expires_at),
            repr(record.ends_at),
            session_row(record),
        ]
        return _texts(await self._call("create", keys, arguments))

    async def present(
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        rule = f"{settings.grace!r} {settings.recover_seconds!r} {settings.idle!r}"
        argument = f"{counter} {now!r} {rule}"
        answer = await self._call("present", [self._key(session_id)], [argument])
        kind, _, row = answer.partition(b" ")
        return RotationOutcome(kind.decode(), session_of(row) if row else None)

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        async with self._in_time():
            found = await self._client.get(self._key(session_id))
        return None if found is None else session_of(found)

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        async with self._in_time():
            names = await self._client.zrange(self._index(subject_tag(subject)), 0, -1)
        rows = [await self.get(name.decode()) for name in names]
        return sorted(
            (
                row
                for row in rows
                if row is not None and row.subject == subject and row.is_live(now)
            ),
            key=lambda row: (row.started_at, row.session_id),
        )

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`."""
        key = self._key(session_id)
        rows = key.removesuffix(session_id)
        return bool(await self._call("revoke", [key, key], [rows, repr(now), cause, ""]))

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`."""
        tag = subject_tag(subject)
        arguments = [self._rows(tag), repr(now), cause, kept_session]
        return _texts(await self._call("revoke", [self._index(tag)], arguments))

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest access lifetime; see `SessionStore`."""
        key = f"{self._prefix}:longest-lifetime"
        return float(await self._call("raise", [key], [repr(float(seconds))]))

    async def end_devices(self, owner: str, now: float) -> None:
        """Store the end of device tokens; see `SessionStore`."""
        kept = int(LONGEST_DEVICE_SECONDS * 1000)
        key = f"{self._prefix}:devices:{owner}"
        await self._call("end_devices", [key], [repr(float(now)), repr(LEAST_STEP), kept])

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens; see `SessionStore`."""
        async with self._in_time():
            found = await self._client.get(f"{self._prefix}:devices:{owner}")
        return float(found or 0.0)

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Add `revocations` to the stream that every worker follows."""
        async with self._in_time(), self._client.pipeline(transaction=False) as pipe:
            for revocation in revocations:
                entry = {"revocation": msgspec.json.encode(revocation)}
                pipe.xadd(self._stream, entry)
            await pipe.execute()

    async def follow(self, since: float, on_revocations: OnRevocations) -> None:
        """Pass on the content of the stream, then what is added; see `SessionStore`."""
        last = "0-0"
        while True:
            try:
                async with asyncio.timeout(self._timeout + _BLOCK_SECONDS):
                    found = await self._client.xread(
                        {self._stream: last}, count=_AT_ONCE, block=int(_BLOCK_SECONDS * 1000)
                    )
            except Exception as error:
                raise as_unavailable(error, self._timeout) from error
            _check_cancelled()
            entries = [entry for _, listed in found for entry in listed]
            if entries:
                last = entries[-1][0].decode()
            revocations = [
                msgspec.json.decode(fields[b"revocation"], type=Revocation) for _, fields in entries
            ]
            on_revocations([revocation for revocation in revocations if revocation.until > since])

    async def purge(self, now: float, most: int) -> int:
        """Delete revocations past their end; Valkey itself deletes expired sessions."""
        await self._call("trim", [self._stream], [repr(now), _LOOKED_AT_SECONDS, max(most, 1)])
        return 0

    async def _call(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        # `_in_time` without the 4 us of its generator, as every rotation passes here.
        try:
            async with asyncio.timeout(self._timeout), self._gate:
                return await self._scripts[name].run(self._started(), keys, arguments)
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    def _started(self) -> Any:
        if self._client is None:
            raise NotStarted("the Valkey store")
        return self._client

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        self._started()
        try:
            async with asyncio.timeout(self._timeout), self._gate:
                yield
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    def _key(self, session_id: str) -> str:
        return self._rows(session_id[:8]) + session_id

    def _rows(self, tag: str) -> str:
        # The braces choose the hash slot: all sessions of one subject lie in one.
        return f"{self._prefix}:{{{tag}}}:"

    def _index(self, tag: str) -> str:
        return f"{self._prefix}:{{{tag}}}"


def _check_cancelled() -> None:
    """Raise the cancellation that the driver suppresses when it arrives as a read begins."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _texts(names: Sequence[bytes]) -> list[str]:
    return [name.decode() for name in names]
