"""Sessions in PostgreSQL: durable, for several machines, one statement per operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec

from linqi.errors import ConfigurationError, NotStarted
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import OnRevocations
from linqi.stores._asyncpg import as_unavailable, driver
from linqi.stores._table_rows import (
    SESSION_COLUMNS,
    revocation_of,
    revocation_row,
    session_of,
    session_row,
)
from linqi.stores.postgres_attempts import ATTEMPTS_SQL, PostgresAttempts

if TYPE_CHECKING:
    import asyncpg

__all__ = ["PostgresStore"]

_VERSION: Final = 2
_CHANNEL: Final = "linqi_revocations"
_BEAT_SECONDS: Final = 1.0
_MOST_IN_NOTICE: Final = 7_000
"""Bytes; PostgreSQL allows 8,000 a notification."""
_LOCK: Final = 0x6C696E7169
_INSERTED: Final = ", ".join(f"${n + 1}" for n in range(len(SESSION_COLUMNS)))


class PostgresStore:
    """A `SessionStore` in a PostgreSQL database, version 12 or newer.

    ``linqi store init`` or `initialize` creates and migrates the schema; `start` does not change
    it.

    Args:
        dsn: The database, such as ``postgresql://user@host/db``.
        pool: An asyncpg pool of the caller's instead of `dsn`; it is not closed.
        timeout: Seconds for each operation, waiting for a connection included; 0.05 to 60.
        most_connections: The largest size of the own pool.

    Raises:
        ConfigurationError: Not exactly one of `dsn` and `pool` is given, or `timeout` is out of
            range.

    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        pool: asyncpg.Pool | Any = None,
        timeout: float = 3.0,
        most_connections: int = 10,
    ) -> None:
        faults = []
        if (dsn is None) == (pool is None):
            faults.append("give either dsn, such as 'postgresql://user@host/db', or pool")
        if not 0.05 <= timeout <= 60:
            faults.append(f"timeout is {timeout!r}, expected 0.05 to 60 seconds")
        if faults:
            raise ConfigurationError(faults)
        self._dsn = dsn
        self._pool: Any = pool
        self._is_own = pool is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timeout = timeout
        self._most_connections = most_connections
        self._attempts = PostgresAttempts(dsn, pool=pool, timeout=timeout)

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in this database; see `CountsAttempts`."""
        return self._attempts

    async def initialize(self) -> int:
        """Create or migrate the schema, and return its version; several processes may call it.

        Raises:
            Unavailable: The database cannot be reached, or refuses.

        """
        connection = await self._connect()
        try:
            async with self._in_time(), connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                version = await _version(connection)
                if version < _VERSION:
                    name = "postgres.sql" if version == 0 else "postgres_1_to_2.sql"
                    await connection.execute(files("linqi.stores").joinpath(name).read_text())
                    functions = files("linqi.stores").joinpath("postgres_functions.sql")
                    await connection.execute(functions.read_text())
                await connection.execute(ATTEMPTS_SQL.read_text())
        finally:
            await self._leave(connection)
        return _VERSION

    async def start(self) -> None:
        """Connect; raise `ConfigurationError` if the schema is absent or of another release."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop = loop
            self._pool = None if self._is_own else self._pool
        if self._pool is None:
            self._pool = await self._make_pool()
        async with self._in_time():
            version = await _version(self._pool)
        if version != _VERSION:
            raise ConfigurationError(
                [f"the database has schema {version}, expected {_VERSION}; run linqi store init"]
            )

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's pool."""
        await self._attempts.close()
        if self._is_own and self._pool is not None:
            pool, self._pool = self._pool, None
            if self._loop is not asyncio.get_running_loop():
                return  # its connections ended with their loop
            try:
                async with asyncio.timeout(self._timeout):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""
        rows = await self._fetch(
            f"SELECT * FROM linqi_create(ROW({_INSERTED})::linqi_sessions, {most_sessions:d})",  # noqa: S608
            *session_row(record),
        )
        return [row[0] for row in rows]

    async def present(
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        (row,) = await self._fetch(
            "SELECT kind, (after).* FROM linqi_present($1, $2, $3, $4, $5, $6)",
            session_id,
            counter,
            now,
            float(settings.grace),
            float(settings.recover_seconds),
            float(settings.idle),
        )
        kind, *after = row
        return RotationOutcome(kind, None if kind == "unknown" else session_of(after))

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        rows = await self._fetch("SELECT * FROM linqi_sessions WHERE session_id = $1", session_id)
        return session_of(rows[0]) if rows else None

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        rows = await self._fetch(
            "SELECT * FROM linqi_sessions WHERE subject = $1 AND revoked_at = 0"
            " AND expires_at > $2 AND ends_at > $2 ORDER BY started_at, session_id",
            subject,
            now,
        )
        return [session_of(row) for row in rows]

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`."""
        rows = await self._fetch(
            "WITH changed AS (UPDATE linqi_sessions SET revoked_at = $2, cause = $3"
            " WHERE session_id = $1 AND revoked_at = 0)"
            " SELECT 1 FROM linqi_sessions WHERE session_id = $1",
            session_id,
            now,
            cause,
        )
        return bool(rows)

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`."""
        rows = await self._fetch(
            "WITH changed AS (UPDATE linqi_sessions SET revoked_at = $2, cause = $3"
            " WHERE subject = $1 AND session_id <> $4 AND revoked_at = 0)"
            " SELECT session_id FROM linqi_sessions WHERE subject = $1 AND session_id <> $4",
            subject,
            now,
            cause,
            kept_session,
        )
        return [row[0] for row in rows]

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest access lifetime; see `SessionStore`."""
        # Read first: it is raised once in years, and what was read can only have grown since.
        rows = await self._fetch("SELECT value FROM linqi_marks WHERE name = 'longest_lifetime'")
        if seconds > (rows[0][0] if rows else 0):
            rows = await self._fetch(
                "INSERT INTO linqi_marks VALUES ('longest_lifetime', $1) ON CONFLICT (name)"
                " DO UPDATE SET value = greatest(linqi_marks.value, excluded.value)"
                " RETURNING value",
                float(seconds),
            )
        return float(rows[0][0]) if rows else 0.0

    async def end_devices(self, owner: str, now: float) -> None:
        """Store the end of device tokens; see `SessionStore`."""
        await self._fetch(
            "INSERT INTO linqi_devices VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE"
            " SET ended_at = greatest(excluded.ended_at, linqi_devices.ended_at + $3)",
            owner,
            now,
            LEAST_STEP,
        )

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens; see `SessionStore`."""
        rows = await self._fetch("SELECT ended_at FROM linqi_devices WHERE owner = $1", owner)
        return float(rows[0][0]) if rows else 0.0

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Store `revocations` and notify every worker, in one transaction."""
        if not revocations:
            return
        # One statement may not touch one row twice.
        once = {(r.kind, r.value, r.at, r.kept_session): r for r in revocations}
        rows = [revocation_row(revocation) for revocation in once.values()]
        await self._fetch(
            "WITH kept AS (INSERT INTO linqi_revocations"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::text[])"
            " ON CONFLICT (kind, value, at, spared) DO UPDATE"
            " SET until = greatest(linqi_revocations.until, excluded.until))"
            " SELECT pg_notify($6, notice) FROM unnest($7::text[]) AS notice",
            *map(list, zip(*rows, strict=True)),
            _CHANNEL,
            _notices(revocations),
        )

    async def follow(self, since: float, on_revocations: OnRevocations) -> None:
        """Listen, pass on what is stored, then each notification; see `SessionStore`."""
        notices: asyncio.Queue[str] = asyncio.Queue()
        connection = await self._connect()
        try:
            async with self._in_time():
                await connection.add_listener(
                    _CHANNEL, lambda _connection, _pid, _channel, text: notices.put_nowait(text)
                )
                # After the listener: what is revoked between the two arrives in both ways.
                rows = await connection.fetch(
                    "SELECT * FROM linqi_revocations WHERE until > $1", since
                )
            on_revocations([revocation_of(row) for row in rows])
            while True:
                try:
                    async with asyncio.timeout(_BEAT_SECONDS):
                        text = await notices.get()
                except TimeoutError:
                    async with self._in_time():
                        await connection.execute("SELECT 1")  # is the connection alive?
                    on_revocations(())
                else:
                    on_revocations(msgspec.json.decode(text, type=list[Revocation]))
        finally:
            await self._leave(connection)

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""
        await self._fetch("DELETE FROM linqi_revocations WHERE until <= $1", now)
        await self._fetch(
            "DELETE FROM linqi_devices WHERE ended_at <= $1", now - LONGEST_DEVICE_SECONDS
        )
        rows = await self._fetch(
            "DELETE FROM linqi_sessions WHERE session_id IN (SELECT session_id FROM linqi_sessions"
            " WHERE ends_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1",
            now,
            most,
        )
        return len(rows)

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        if self._pool is None:
            raise NotStarted("the PostgreSQL store")
        # asyncpg itself: a request that is cancelled cancels its statement on the server, and a
        # connection whose state is unknown is closed instead of used again.
        try:  # `_in_time` without its generator, as every rotation passes here
            async with asyncio.timeout(self._timeout), self._pool.acquire() as connection:
                rows: list[Any] = await connection.fetch(sql, *arguments)
                return rows
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    async def _make_pool(self) -> Any:
        async with self._in_time():
            return await driver().create_pool(
                self._dsn,
                min_size=1,
                max_size=self._most_connections,
                timeout=self._timeout,
                command_timeout=self._timeout,
            )

    async def _connect(self) -> Any:
        async with self._in_time():
            if self._dsn is None:
                return await self._pool.acquire()
            return await driver().connect(self._dsn, timeout=self._timeout)

    async def _leave(self, connection: Any) -> None:
        """End a connection of `_connect`, without waiting for a server that may be down."""
        connection.terminate()
        if self._dsn is None:
            await self._pool.release(connection)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error


async def _version(connection: Any) -> int:
    """Return the schema's version; 0 if there is none."""
    if await connection.fetchval("SELECT to_regclass('linqi_schema')") is None:
        return 0
    return int(await connection.fetchval("SELECT max(version) FROM linqi_schema"))


def _notices(revocations: Sequence[Revocation]) -> list[str]:
    """Return the revocations as JSON arrays, each short enough for one notification."""
    notices: list[str] = []
    waiting: list[Revocation] = []
    for revocation in revocations:
        text = msgspec.json.encode([*waiting, revocation]).decode()
        if len(text.encode()) > _MOST_IN_NOTICE and waiting:
            notices.append(msgspec.json.encode(waiting).decode())
            waiting = []
        waiting.append(revocation)
    if waiting:
        notices.append(msgspec.json.encode(waiting).decode())
    return notices
