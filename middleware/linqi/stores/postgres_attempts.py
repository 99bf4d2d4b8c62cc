"""Counters of sign-in attempts in PostgreSQL, for the workers of several machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from linqi.errors import ConfigurationError, Unavailable
from linqi.sessions.attempts import Counter, Full
from linqi.stores._postgres_address import read_postgres_url
from linqi.stores._postgres_connections import PostgresConnections

if TYPE_CHECKING:
    import asyncpg

__all__ = ["PostgresAttempts"]

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
        statement_cache_size: As of `PostgresStore`.

    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        pool: asyncpg.Pool | Any = None,
        timeout: float = 3.0,
        most_connections: int = 4,
        most_entries: int = _MOST_ENTRIES,
        statement_cache_size: int = 100,
    ) -> None:
        self._most_entries = most_entries
        self._connections = PostgresConnections(
            read_postgres_url(dsn or "postgresql://"),
            pool=pool,
            timeout=timeout,
            most=most_connections,
            statement_cache_size=statement_cache_size,
        )

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
        await self._connections.close()

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        await self._connections.open()
        try:
            return await self._connections.fetch(sql, *arguments)
        except Unavailable as error:
            if type(error.__cause__).__name__ in ("UndefinedFunctionError", "UndefinedTableError"):
                raise ConfigurationError(
                    ["the database has no counters of attempts; run linqi store init"]
                ) from None
            raise


def _full(counter: Counter, leaves: float, now: float) -> Full:
    seconds = counter.limit.seconds
    return Full(counter.key, min(seconds, leaves + seconds - now))
