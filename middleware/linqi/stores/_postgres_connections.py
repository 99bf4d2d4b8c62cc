"""The connections of a PostgreSQL store: to the primary, and each call within its limit."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

from linqi.errors import NotStarted, Unavailable
from linqi.stores._asyncpg import as_unavailable, driver, is_read_only
from linqi.stores._first_success import first_success
from linqi.stores._postgres_address import PostgresAddress
from linqi.stores._postgres_server import PostgresServer, read_server

__all__ = ["PostgresConnections"]

_HEAD_START: Final = 0.25
"""Seconds that a host has before the next one is tried beside it."""
_WARNING: Final = "01000"
"""The SQLSTATE of a warning without a class of its own, whatever the server's language is."""
_CANCEL_SECONDS: Final = 1.0
"""How long a server may take to end a statement whose caller has gone."""


class PostgresConnections:
    """A pool of connections to one database, and single ones beside it.

    A new connection goes to the host that was the primary last, or else to the first one that is.
    When a new connection reaches another server than the last one did, or a server cannot be
    written any more, all connections that are open are closed, whatever they are doing: what a
    server acknowledges that is no primary any more is lost.

    Args:
        address: The database; it is not used with `pool`.
        pool: An asyncpg pool of the caller's instead; it is not closed.
        timeout: Seconds for each call, waiting for a connection included.
        most: The largest size of the own pool.
        statement_cache_size: As of `PostgresStore`.
        is_confirmed: Whether a commit counts only if its standbys have it.
        check: Receives the server of each new connection of the own pool, and raises if it must
            not be used.

    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        pool: Any = None,
        timeout: float,
        most: int,
        statement_cache_size: int,
        is_confirmed: bool = False,
        check: Callable[[PostgresServer], None] = lambda _server: None,
    ) -> None:
        self._address = address
        self._is_own = pool is None
        self._pool: Any = pool
        self._timeout = timeout
        self._most = most
        self._statement_cache_size = statement_cache_size
        self._check = check
        self._run = _run_confirmed if is_confirmed else _run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._server: PostgresServer | None = None
        self._last_host = 0
        self._is_looking = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Make the pool if this event loop has none; that connects to nothing."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop = loop
            self._pool = None if self._is_own else self._pool
            self._opened, self._tasks, self._is_looking = weakref.WeakSet(), set(), False
        if self._pool is None:
            self._pool = await driver().create_pool(
                min_size=0,
                max_size=self._most,
                connect=self._connect_for_pool,
                reset=_keep_as_it_is,
            )

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's pool."""
        if not self._is_own or self._pool is None:
            return
        pool, self._pool = self._pool, None
        if self._loop is not asyncio.get_running_loop():
            return  # its connections ended with their loop
        try:
            async with asyncio.timeout(self._timeout):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def fetch(self, sql: str, *arguments: Any, within: float | None = None) -> list[Any]:
        """Return the rows of a statement.

        Args:
            sql: The statement.
            arguments: Its parameters.
            within: Seconds, where less is left than the limit of every call.

        Raises:
            Unavailable: There was no answer in time; the statement may have taken effect.

        """
        pool = self._pool
        if pool is None:
            raise NotStarted("the PostgreSQL store")
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(self._timeout if within is None else within):
                connection = await pool.acquire()
                try:
                    rows: list[Any] = await self._run(connection, sql, arguments)
                except BaseException:
                    # Not awaited: after a time-out asyncpg asks the server to cancel the statement
                    # and waits for the answer, and a server that hangs gives none.
                    self._give_back(pool, connection)
                    if clock() - begun > self._timeout / 2:  # the caller's own limit, perhaps
                        self._look_for_primary()
                    raise
                await pool.release(connection)
                return rows
        except Exception as error:
            if is_read_only(error):
                await self.leave_server()
            raise as_unavailable(error, self._timeout) from error

    @contextlib.asynccontextmanager
    async def single(
        self, other: PostgresAddress | None = None, *, for_schema: bool = False
    ) -> AsyncIterator[Any]:
        """Yield a connection for one user, and end it without waiting for its server.

        Args:
            other: Another address of the same server; by default it is a connection as those of the
                pool, or one of the caller's pool.
            for_schema: The server is not checked and no statement is prepared, so that it may go
                through a pooler in transaction mode; for the own pool only.

        Raises:
            Unavailable: No server that can be written answers.

        """
        pool = None
        async with self.in_time():
            if other is not None:
                connection = await self._connect_beside(other)
            elif self._is_own:
                connection = await self._connect_to_primary(for_schema=for_schema)
            else:
                pool = self._pool
                connection = await pool.acquire()
        try:
            yield connection
        finally:
            connection.terminate()
            if pool is not None:
                self._give_back(pool, connection)

    async def verify(self, connection: Any) -> PostgresServer:
        """Return the server of `connection`; leave it, and raise, if it must not be used."""
        server = await read_server(connection)
        try:
            self._check(server)
        except Exception:
            await self.leave_server()
            raise
        return server

    @contextlib.asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Limit the time, and turn errors of the driver into `Unavailable`."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    async def leave_server(self) -> None:
        """Close every connection, in use or not; a caller's pool replaces those not in use."""
        if not self._is_own:
            await self._pool.expire_connections()
        for connection in [*self._opened]:
            connection.terminate()

    async def _connect_for_pool(self, *_arguments: Any, **_keywords: Any) -> Any:
        """Return a connection for asyncpg's pool, which adds options of its own to the call."""
        return await self._connect_to_primary()

    async def _connect_to_primary(self, *, for_schema: bool = False) -> Any:
        size = 0 if for_schema else self._statement_cache_size
        connection, host = await self._connect(self._address, self._last_host, size)
        if for_schema:
            return connection
        try:
            server = await self.verify(connection)
        except BaseException:
            connection.terminate()
            raise
        if self._server is not None and server.started_at != self._server.started_at:
            await self.leave_server()
        self._server, self._last_host = server, host
        self._opened.add(connection)
        return connection

    async def _connect_beside(self, other: PostgresAddress) -> Any:
        connection, _ = await self._connect(other, 0, self._statement_cache_size)
        self._opened.add(connection)
        return connection

    async def _connect(
        self, address: PostgresAddress, first: int, statement_cache_size: int
    ) -> tuple[Any, int]:
        """Return a connection to a host of `address`, and its place; `first` is tried first."""
        places = [first, *(n for n in range(len(address.hosts)) if n != first)]

        async def connect(place: int) -> tuple[Any, int]:
            host, port = address.hosts[place]
            connection = await driver().connect(
                **address.options,
                host=host,
                port=port,
                timeout=self._timeout,
                command_timeout=self._timeout,
                statement_cache_size=statement_cache_size,
            )
            return connection, place

        try:
            return await first_success(
                [partial(connect, place) for place in places],
                head_start=_HEAD_START,
                discard=lambda found: found[0].terminate(),
            )
        except ExceptionGroup as failed:
            if len(places) == 1:
                raise failed.exceptions[0] from None
            told = [
                f"{address.hosts[place][0]}: {as_unavailable(error, self._timeout)}"
                for place, error in zip(places, failed.exceptions, strict=True)
            ]
            raise Unavailable(f"no host of PostgreSQL can be written: {'; '.join(told)}") from None

    def _look_for_primary(self) -> None:
        """See whether another host is the primary now, after a server took too long.

        The connections to it that wait in the pool would otherwise take as long, one by one.
        """
        if self._is_own and len(self._address.hosts) > 1 and not self._is_looking:
            self._is_looking = True
            self._in_background(self._compare_primary())

    async def _compare_primary(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connect_to_primary()  # leaves the other one
                connection.terminate()
        finally:
            self._is_looking = False

    def _give_back(self, pool: Any, connection: Any) -> None:
        """Return a connection to its pool, and wait for its server as long as that takes."""
        self._in_background(pool.release(connection, timeout=_CANCEL_SECONDS))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_in_silence(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _run(connection: Any, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
    rows: list[Any] = await connection.fetch(sql, *arguments)
    return rows


async def _run_confirmed(connection: Any, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
    """Return the rows, unless an administrator ended the wait for the standbys.

    The server then says that the commit succeeded, and adds a warning.
    """
    warnings: list[Any] = []

    def hear(_connection: Any, message: Any) -> None:
        if message.sqlstate == _WARNING:
            warnings.append(message)

    connection.add_log_listener(hear)
    try:
        rows = await _run(connection, sql, arguments)
    finally:
        connection.remove_log_listener(hear)
    if warnings:
        raise Unavailable(f"PostgreSQL warns of a commit: {warnings[0]}")
    return rows


async def _in_silence(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Exception):  # the next call finds out by itself
        await work


async def _keep_as_it_is(connection: Any) -> None:
    """Save the statement with which the driver resets a connection: no operation changes one."""
