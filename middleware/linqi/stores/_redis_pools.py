"""Pools of connections to a primary, which leave a server that is none any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError

from linqi.stores._sentinels import Sentinels

__all__ = ["PrimaryPool", "SentinelPool"]

_logger = logging.getLogger("linqi")
_LOOK_SECONDS: Final = 0.25
"""How often it is asked who the primary is, while commands are sent: a sentinel leaves the old
primary of a planned failover writable for 10 s, and all that it still accepts is lost."""

_PROMOTED_SECONDS: Final = 0.5
"""Until a connection is tried again whose server is a replica already, before the sentinels name
the new primary; the retries of a call last for about the time that this takes them, 2 s."""


class PrimaryPool(ConnectionPool):
    """Connections to one server, as long as it is a primary.

    A server that became a replica is left within 0.25 s of the next command. New connections
    resolve the host name anew, and are refused while that leads to a replica.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(redis_connect_func=_require_primary, **arguments)
        self._looks = _Looks(self._look)

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection to the primary."""
        self._looks.begin()
        return await super().get_connection()  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._looks.close()
        await self.disconnect()

    async def _look(self) -> None:
        connection = await super().get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_command("ROLE")
            is_primary = _is_primary(await connection.read_response())
        except ResponseError:
            is_primary = True  # without the right to ask, its refusals of writes have to do
        finally:
            await self.release(connection)
        if not is_primary:
            _logger.warning("the Valkey server is a replica now; its connections are closed")
            await self.disconnect()


class SentinelPool(SentinelConnectionPool):
    """Connections to the primary that the sentinels name.

    All sentinels are asked, and the one that knows the newest failover decides. Another primary
    is found within 0.25 s of the next command; the connections to the old one are then closed,
    those in use too, so that their commands are sent again to the new one.
    """

    def __init__(self, sentinels: Sentinels, **arguments: Any) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            sentinels.master_name, sentinels, redis_connect_func=_require_primary, **arguments
        )
        self._sentinels = sentinels
        self._looks = _Looks(self._look)

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection to the primary."""
        self._looks.begin()
        return await super().get_connection()  # type: ignore[no-untyped-call]

    async def get_master_address(self) -> tuple[str, int]:
        """Return the primary's host and port, as the sentinels say now."""
        try:
            address = await self._sentinels.primary()
        except RedisError:
            if self.master_address is None:
                raise
            known: tuple[str, int] = self.master_address
            return known  # the server decides whether it is still one
        if self.master_address not in (None, address):
            _logger.warning("the Valkey primary is now %s:%d", *address)
            self._looks.then(self.disconnect())
        self.master_address = address
        return address

    async def aclose(self) -> None:
        """Close all connections, those to the sentinels too."""
        await self._looks.close()
        await self.disconnect()
        await self._sentinels.aclose()

    async def _look(self) -> None:
        await self.get_master_address()


class _Looks:
    """Runs `look` in the background at most every `_LOOK_SECONDS`, when commands are sent.

    None begins while another runs: one that hangs with its server keeps a connection.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._next = 0.0
        self._last: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        now = self._monotonic()
        if now >= self._next and (self._last is None or self._last.done()):
            self._next = now + _LOOK_SECONDS
            self._last = self.then(self._look())

    def then(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run `work` beside the caller."""
        task = asyncio.ensure_future(_ignoring_faults(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ignoring_faults(work: Awaitable[None]) -> None:
    try:
        await work
    except (RedisError, OSError, TimeoutError):
        return  # the commands beside it tell what is wrong


async def _require_primary(connection: Any) -> None:
    """Finish connecting; raise `Disconnected` if the server is no primary."""
    await connection.on_connect()
    await connection.send_command("ROLE", check_health=False)
    try:
        role = await connection.read_response()
    except ResponseError:  # forbidden, or a proxy that does not know it
        return
    if not _is_primary(role):
        await connection.disconnect()  # first: if the wait is cancelled, its pool gets it back
        if hasattr(connection, "connection_pool"):
            await asyncio.sleep(_PROMOTED_SECONDS)
        raise Disconnected(f"{_name_of(connection)} is a replica, not a primary")
    pool = getattr(connection, "connection_pool", None)
    if pool is not None and pool.master_address != (connection.host, connection.port):
        raise Disconnected(f"{_name_of(connection)} is not the primary any more")


def _is_primary(role: Any) -> bool:
    return bool(role) and role[0] in (b"master", "master")


def _name_of(connection: Any) -> str:
    path = getattr(connection, "path", "")
    return path or f"{connection.host}:{connection.port}"
