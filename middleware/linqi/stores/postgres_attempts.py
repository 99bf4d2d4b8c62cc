"""Counters of sign-in attempts in PostgreSQL, for the workers of several machines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from linqi._single_flight import SingleFlight
from linqi.errors import ConfigurationError
from linqi.sessions.attempts import Counter, Full
from linqi.stores._asyncpg import as_unavailable, driver

if TYPE_CHECKING:
    import asyncpg

__all__ = ["ATTEMPTS_SQL", "PostgresAttempts"]

ATTEMPTS_SQL: Final = files("linqi.stores").joinpath("attempts.sql")
"""The table and the functions, which ``linqi store init`` creates."""
_MOST_ENTRIES: Final = 1_000_000


class PostgresAttempts:
    """An `AttemptStore` in a PostgreSQL database, whose schema `PostgresStore` creates.

    The table is unlogged: no commit waits for the disk, and after a crash of the server the
    counters are empty.

    Args:
        dsn: The database.
        pool: An asyncpg pool of the caller's instead of `dsn`; it is not closed.
        timeout: Seconds for each operation, waiting for a connection included.
        most_connections: The largest size of the own pool.
        most_entries: How many attempts are kept; the oldest are deleted beyond that.

    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        pool: asyncpg.Pool | Any = None,
        timeout: float = 3.0,
        most_connections: int = 4,
        most_entries: int = _MOST_ENTRIES,
    ) -> None:
        self._dsn = dsn
        self._pool: Any = pool
        self._is_own = pool is None
        self._timeout = timeout
        self._most_connections = most_connections
        self._most_entries = most_entries
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: SingleFlight[str, None] = SingleFlight()

    async def reserve(
        self, attempt: str, counters: Sequence[Counter], now: float
    ) -> Sequence[Full]:
        """Count the attempt in all `counters` or in none; see `AttemptStore`."""
        rows = await self._fetch(
            "SELECT * FROM linqi_reserve($1, $2, $3, $4, $5, $6)",
            attempt,
            [counter.key for counter in counters],
            [counter.limit.most for counter in counters],
            [float(counter.limit.seconds) for counter in counters],
            float(now),
            self._most_entries,
        )
        return [_full(counters[row["place"] - 1], row["leaves"], now) for row in rows]

    async def release(self, attempt: str, counters: Sequence[Counter]) -> None:
        """Remove the entries of `attempt`; see `AttemptStore`."""
        await self._fetch(
            "DELETE FROM linqi_attempts WHERE attempt = $1 AND counter = ANY ($2)",
            attempt,
            [counter.key for counter in counters],
        )

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's pool."""
        if self._is_own and self._pool is not None:
            pool, self._pool = self._pool, None
            if self._loop is not asyncio.get_running_loop():
                return
            try:
                async with asyncio.timeout(self._timeout):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect()
                async with self._pool.acquire() as connection:
                    rows: list[Any] = await connection.fetch(sql, *arguments)
                    return rows
        except Exception as error:
            if type(error).__name__ in ("UndefinedFunctionError", "UndefinedTableError"):
                raise ConfigurationError(
                    ["the database has no counters of attempts; run linqi store init"]
                ) from None
            raise as_unavailable(error, self._timeout) from error

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop, self._opening = loop, SingleFlight()
            self._pool = None if self._is_own else self._pool
        if self._pool is None:
            await self._opening("", self._open)

    async def _open(self) -> None:
        self._pool = await driver().create_pool(
            self._dsn,
            min_size=0,
            max_size=self._most_connections,
            timeout=self._timeout,
            command_timeout=self._timeout,
        )


def _full(counter: Counter, leaves: float, now: float) -> Full:
    seconds = counter.limit.seconds
    return Full(counter.key, min(seconds, leaves + seconds - now))
