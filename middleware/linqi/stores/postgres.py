"""Sessions in PostgreSQL: durable, for several machines, one statement per operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

from linqi._notes import NoteStore
from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError, Unavailable
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.restored import RestoredSessions
from linqi.sessions.session_page import SessionPages
from linqi.sessions.store import REPEATED_SECONDS, RevocationReader
from linqi.stores._asyncpg import as_unavailable
from linqi.stores._postgres_address import read_postgres_url
from linqi.stores._postgres_connections import PostgresConnections
from linqi.stores._postgres_feed import CHANNEL, follow_table, notices
from linqi.stores._postgres_indexes import build_indexes
from linqi.stores._postgres_pages import PostgresPages
from linqi.stores._postgres_rotations import PostgresRotations
from linqi.stores._postgres_schema import SCHEMA_LOCK, create_schema, read_schema
from linqi.stores._postgres_server import (
    PostgresServer,
    durability_fault,
    durability_warnings,
    read_server,
)
from linqi.stores._postgres_start import start_faults
from linqi.stores._table_rows import (
    SESSION_COLUMNS,
    revocation_row,
    session_of,
    session_row,
)
from linqi.stores.postgres_attempts import PostgresAttempts
from linqi.stores.postgres_notes import PostgresNotes
from linqi.stores.postgres_restored import PostgresRestored
from linqi.stores.schema_state import SchemaState

if TYPE_CHECKING:
    import asyncpg

__all__ = ["PostgresStore"]

_MIGRATION_SECONDS: Final = 600.0
_PURGE_LOCK: Final = SCHEMA_LOCK + 1
_INSERTED: Final = ", ".join(f"${n + 1}" for n in range(len(SESSION_COLUMNS)))

_REVOKED_AT_ONCE: Final = 500
"""Sessions of one subject that a statement revokes."""
_REVOKE_SOME: Final = (
    "WITH found AS (SELECT session_id FROM linqi_sessions WHERE subject = $1 AND session_id <> $2"  # noqa: S608
    f" AND revoked_at = 0 ORDER BY started_at LIMIT {_REVOKED_AT_ONCE:d} FOR UPDATE)"
    " UPDATE linqi_sessions AS s SET revoked_at = $3, cause = $4 FROM found"
    " WHERE s.session_id = found.session_id RETURNING s.session_id"
)


class PostgresStore:
    """A `SessionStore` in a PostgreSQL database, version 12 or newer.

    ``linqi store init`` or `initialize` creates and migrates the schema; `start` does not change
    it.

    Args:
        dsn: The database, such as ``postgresql://user@host/db``; several hosts and their ports are
            separated by commas. Connections are to the one that can be written.
        pool: An asyncpg pool of the caller's instead of `dsn`; it is not closed. Two of its
            connections are in use for the feed of revocations.
        timeout: Seconds for each operation, waiting for a connection included; 0.05 to 60.
        most_connections: The largest size of the own pool; the feed has two more.
        listen_dsn: The database for the feed of revocations, where `dsn` or `pool` goes through a
            pooler in transaction mode: that passes on no notifications.
        statement_cache_size: How many prepared statements a connection keeps, 0 to 10,000; 0 behind
            a pooler in transaction mode, which gives the next statement another connection.
        min_replicas: For how many standbys every commit must wait, 0 to 100. The server does that;
            it is checked at the start, and whenever another server answers.

    Raises:
        ConfigurationError: Not exactly one of `dsn` and `pool` is given, a URL cannot be read, or a
            number is out of range.

    """

    RANGES: ClassVar[Ranges] = {
        "timeout": Range(0.05, 60, "seconds"),
        "most_connections": Range(1, 10_000, is_whole=True),
        "statement_cache_size": Range(0, 10_000, is_whole=True),
        "min_replicas": Range(0, 100, is_whole=True),
    }

    def __init__(
        self,
        dsn: str | None = None,
        *,
        pool: asyncpg.Pool | Any = None,
        timeout: float = 3.0,
        most_connections: int = 10,
        listen_dsn: str | None = None,
        statement_cache_size: int = 100,
        min_replicas: int = 0,
    ) -> None:
        faults = []
        if (dsn is None) == (pool is None):
            faults.append("give either dsn, such as 'postgresql://user@host/db', or pool")
        values = {
            "timeout": timeout,
            "most_connections": most_connections,
            "statement_cache_size": statement_cache_size,
            "min_replicas": min_replicas,
        }
        faults += range_faults(self.RANGES, values)
        if faults:
            raise ConfigurationError(faults)
        self._address = read_postgres_url(dsn or "postgresql://")
        self._listen = None if listen_dsn is None else read_postgres_url(listen_dsn)
        self._min_replicas = min_replicas
        self._is_started = False
        self.warnings: Sequence[str] = ()
        """What the server may lose after it was acknowledged, as of `start`; see `WarnsAtStart`."""
        self._timeout = timeout
        self._connections = PostgresConnections(
            self._address,
            pool=pool,
            timeout=timeout,
            most=most_connections,
            statement_cache_size=statement_cache_size,
            is_confirmed=min_replicas > 0,
            check=self._check,
        )
        self._fetch = self._connections.fetch
        self._purge = files("linqi.stores").joinpath("purge.sql").read_text("utf-8")
        self._rotations = PostgresRotations(self._fetch, timeout=timeout)
        self._attempts = PostgresAttempts(
            dsn, pool=pool, timeout=timeout, statement_cache_size=statement_cache_size
        )

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins in this database; see `CountsAttempts`."""
        return self._attempts

    def notes(self) -> NoteStore:
        """Return the notes in this database; see `KeepsNotes`."""
        return PostgresNotes(self._fetch)

    def restored(self) -> RestoredSessions:
        """Return the sessions of a restored backup; see `Restorable`."""
        return PostgresRestored(self._fetch, self.now)

    def pages(self) -> SessionPages:
        """Return the sessions of a subject, page by page; see `ListsSessions`."""
        return PostgresPages(self._fetch)

    def now(self) -> float:
        """Return the server's clock as its answers tell it; see `SessionStore`."""
        return self._rotations.clock.now()

    async def initialize(self, tell: Callable[[str], object] = lambda _: None) -> int:
        """Create or migrate the schema, and return its version; several processes may call it.

        Args:
            tell: Receives each step that may take long, before it begins.

        Raises:
            ConfigurationError: A later release made the schema; nothing was changed.
            Unavailable: The database cannot be reached, or refuses.

        """
        await self._connections.open()
        async with self._connections.single(for_schema=True) as connection:
            try:
                async with asyncio.timeout(_MIGRATION_SECONDS):
                    version = await create_schema(connection)
                await build_indexes(connection, tell)
            except Exception as error:
                raise as_unavailable(error, _MIGRATION_SECONDS) from error
        return version

    async def schema_state(self) -> SchemaState:
        """Return what the schema is, and what `initialize` would change; see `HasSchema`."""
        await self._connections.open()
        async with self._connections.single(for_schema=True) as connection:
            try:
                async with asyncio.timeout(self._timeout):
                    return await read_schema(connection)
            except Exception as error:
                raise as_unavailable(error, self._timeout) from error

    async def start(self) -> None:
        """Connect, and check that the database is fit.

        Raises:
            ConfigurationError: The schema is absent or of another release, the role lacks a grant,
                or commits do not wait as they should.
            Unavailable: No server that can be written answers.

        """
        async with self._connections.in_time():
            await self._connections.open()
            if faults := await start_faults(self._fetch, self._address.settings):
                raise ConfigurationError(faults)
            server = await read_server(self._connections)
            self._check(server)  # of a caller's pool, too
            self.warnings = durability_warnings(server, len(self._address.hosts))
            await self._rotations.read_clock()
        self._is_started = True

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's pool."""
        with suppress(TimeoutError):  # what still waits ends with the connections
            async with asyncio.timeout(self._timeout):
                await self._attempts.close()
                await self._rotations.finish()
        await self._connections.close()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""
        rows = await self._fetch(
            f"SELECT * FROM linqi_create(ROW({_INSERTED})::linqi_sessions, {most_sessions:d})",  # noqa: S608
            *session_row(record),
        )
        return [row[0] for row in rows]

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        return await self._rotations.present(session_id, counter, settings)

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
            "SELECT session_id FROM linqi_sessions"
            " WHERE subject = $1 AND session_id <> $2 AND revoked_at > $3",
            subject,
            kept_session,
            now - REPEATED_SECONDS,
        )
        ids = [row[0] for row in rows]
        is_over = False
        while not is_over:
            rows = await self._fetch(_REVOKE_SOME, subject, kept_session, now, cause)
            ids += [row[0] for row in rows]
            is_over = len(rows) < _REVOKED_AT_ONCE
        return ids

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
        """Store `revocations` and notify every worker, many of them in several transactions."""
        for begin in range(0, len(revocations), _REVOKED_AT_ONCE):
            await self._publish(revocations[begin : begin + _REVOKED_AT_ONCE])

    async def _publish(self, revocations: Sequence[Revocation]) -> None:
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
            CHANNEL,
            notices(revocations),
        )

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Listen, pass on what is stored, then each notification; see `SessionStore`."""
        connections = self._connections
        async with connections.single(self._listen) as listener, connections.single() as sender:
            if self._listen is not None:
                await self._compare(listener, sender)
            await follow_table(
                sender,
                listener,
                since,
                reader,
                in_time=connections.in_time,
                verify=connections.verify if self._min_replicas else None,
                seconds=self._timeout,
            )

    async def count_ended(self, now: float, most: int) -> int:
        """Count what is over; see `CountsEnded`."""
        rows = await self._fetch(
            "SELECT count(*) FROM ("  # noqa: S608
            "(SELECT FROM linqi_sessions WHERE ends_at <= $1)"
            " UNION ALL (SELECT FROM linqi_revocations WHERE until <= $1)"
            " UNION ALL (SELECT FROM linqi_devices WHERE ended_at <= $2)"
            f" LIMIT {most:d}) AS ended",
            now,
            now - LONGEST_DEVICE_SECONDS,
        )
        return int(rows[0][0])

    async def purge(self, now: float, most: int) -> int:
        """Delete what is over; see `SessionStore`."""
        await self._rotations.read_clock()
        rows = await self._fetch(
            self._purge.format(most=int(most)), now, now - LONGEST_DEVICE_SECONDS, _PURGE_LOCK
        )
        return int(rows[0][0])

    async def _compare(self, listener: Any, sender: Any) -> None:
        """Raise if the two connections are to different servers, as after a failover of one."""
        async with self._connections.in_time():
            servers = [await read_server(connection) for connection in (listener, sender)]
        if servers[0].started_at != servers[1].started_at:
            raise Unavailable("listen_url leads to another server of PostgreSQL than url")

    def _check(self, server: PostgresServer) -> None:
        """Raise if commits on `server` do not wait for as many standbys as they should."""
        if fault := durability_fault(server, self._min_replicas):
            raise Unavailable(fault) if self._is_started else ConfigurationError([fault])
