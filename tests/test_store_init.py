"""``linqi store init``: what it says of tables that are older, newer, half made or current."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from linqi import ConfigurationError
from linqi.sessions.refresh import SessionSettings
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi_report import servers
from records import record
from test_migration import SCHEMAS
from test_store_command import linqi

RULES = SessionSettings()


@asynccontextmanager
async def database(postgres_dsn: str) -> AsyncIterator[tuple[str, Any]]:
    """Return the DSN of a new database, and a connection to it."""
    import asyncpg

    name = f"linqi_init_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    dsn = postgres_dsn.replace("/postgres?", f"/{name}?")
    connection = await asyncpg.connect(dsn)
    try:
        yield dsn, connection
    finally:
        await connection.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


async def test_a_database_of_a_later_release_is_left_alone(
    postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its release is named, and no function of it is replaced by one of this release."""
    async with database(postgres_dsn) as (dsn, connection):
        store = PostgresStore(dsn)
        await store.initialize()
        await connection.execute("INSERT INTO linqi_schema VALUES (3)")
        await connection.execute("COMMENT ON TABLE linqi_schema IS 'linqi 0.4.0'")
        await connection.execute(
            "CREATE OR REPLACE FUNCTION linqi_create(p_row linqi_sessions, p_most integer)"
            " RETURNS SETOF text LANGUAGE sql AS 'SELECT ''of a later release'''"
        )
        for options in ([], ["--check"]):
            assert await linqi("store", "init", dsn, *options) == 2
            out, err = capsys.readouterr()
            assert "the store has schema 3" in err
            assert "install linqi 0.4.0 or newer; nothing was changed" in err
            assert out == ""
        with pytest.raises(ConfigurationError, match=r"schema 3.* install linqi 0\.4\.0 or newer"):
            await store.start()
        assert "later" in await connection.fetchval(
            "SELECT prosrc FROM pg_proc WHERE proname = 'linqi_create'"
        )
        await connection.execute("COMMENT ON TABLE linqi_schema IS NULL")
        assert await linqi("store", "init", dsn) == 2
        assert "install the release that made it" in capsys.readouterr().err
        await store.close()


async def test_a_file_of_a_later_release_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a database."""
    path = tmp_path / "sessions.db"
    assert await linqi("store", "init", f"sqlite:{path}") == 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE devices")
        connection.execute("INSERT INTO releases VALUES (3, '0.4.0')")
        connection.execute("PRAGMA user_version = 3")
        connection.commit()
        capsys.readouterr()
        for options in ([], ["--check"]):
            assert await linqi("store", "init", f"sqlite:{path}", *options) == 2
            assert "install linqi 0.4.0 or newer; nothing was changed" in capsys.readouterr().err
        store = SQLiteStore(path)
        with pytest.raises(ConfigurationError, match=r"schema 3.* install linqi 0\.4\.0 or newer"):
            await store.start()
        await store.close()
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        assert "devices" not in names


async def test_an_old_database_is_told_what_will_change(
    postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check changes nothing and returns 1; then each step is printed; then there is none."""
    async with database(postgres_dsn) as (dsn, connection):
        assert await linqi("store", "init", dsn, "--check") == 1
        assert "create the tables, functions and indexes of schema 2" in capsys.readouterr().out
        assert await connection.fetchval("SELECT to_regclass('linqi_schema')") is None
        await connection.execute((SCHEMAS / "postgres_1.sql").read_text())
        assert await linqi("store", "init", dsn, "--check") == 1
        out = capsys.readouterr().out
        assert "change schema 1 to 2 in one transaction, which locks linqi_sessions" in out
        assert "create the table linqi_devices" in out
        assert "the function linqi_refresh" in out
        assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS linqi_sessions_by_state" in out
        assert await connection.fetchval("SELECT max(version) FROM linqi_schema") == 1
        assert await linqi("store", "init", dsn) == 0
        assert "done: the store has schema 2" in capsys.readouterr().out
        for options in ([], ["--check"]):
            assert await linqi("store", "init", dsn, *options) == 0
            assert capsys.readouterr().out == "nothing to do: the store has schema 2\n"
        indexes = {
            row[0] for row in await connection.fetch("SELECT indexname::text FROM pg_indexes")
        }
        assert "linqi_sessions_by_state" in indexes
        assert "linqi_sessions_by_subject" not in indexes


async def test_an_old_file_is_told_what_will_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a database."""
    path = tmp_path / "sessions.db"
    url = f"sqlite:{path}"
    assert await linqi("store", "init", url, "--check") == 1
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / "sqlite_1.sql").read_text())
    capsys.readouterr()
    assert await linqi("store", "init", url, "--check") == 1
    out = capsys.readouterr().out
    assert "change schema 1 to 2 in one transaction: all writers wait" in out
    assert "create the index sessions_by_state" in out
    assert "drop the index sessions_by_subject" in out
    assert await linqi("store", "init", url) == 0
    assert "done: the store has schema 2" in capsys.readouterr().out
    assert await linqi("store", "init", url, "--check") == 0


async def test_a_migration_that_fails_half_way_changes_nothing(
    postgres_dsn: str, tmp_path: Path
) -> None:
    """Each is one transaction; a second run does all of it."""
    async with database(postgres_dsn) as (dsn, connection):
        await connection.execute((SCHEMAS / "postgres_1.sql").read_text())
        await connection.execute("CREATE TABLE linqi_marks (name text)")  # its third step fails
        assert await linqi("store", "init", dsn) == 2
        assert await connection.fetchval("SELECT max(version) FROM linqi_schema") == 1
        assert await connection.fetchval("SELECT to_regproc('linqi_present')") is not None
        columns = await connection.fetchval("SELECT to_jsonb(s) FROM linqi_sessions AS s LIMIT 1")
        assert "first_rotated_at" not in columns
        await connection.execute("DROP TABLE linqi_marks")
        assert await linqi("store", "init", dsn) == 0
        assert await linqi("store", "init", dsn, "--check") == 0
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript((SCHEMAS / "sqlite_1.sql").read_text())
        file.execute("CREATE TABLE marks (name TEXT)")
        assert await linqi("store", "init", f"sqlite:{path}") == 2
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
        assert len(file.execute("SELECT * FROM sessions").fetchone()) == 12
        file.execute("DROP TABLE marks")
        assert await linqi("store", "init", f"sqlite:{path}") == 0


async def test_an_index_whose_building_was_stopped_is_built_again_beside_workers(
    postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL leaves it invalid; several processes may build at once, and refreshes go on."""
    async with database(postgres_dsn) as (dsn, connection):
        store = PostgresStore(dsn)
        await store.initialize()
        await store.start()
        row = record()
        await store.create(row, 20)
        await connection.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'linqi_sessions_by_state'::regclass"
        )
        assert await linqi("store", "init", dsn, "--check") == 1
        assert (
            "DROP INDEX CONCURRENTLY IF EXISTS linqi_sessions_by_state" in capsys.readouterr().out
        )
        # A refresh that does not end holds the building up, which holds up no other refresh.
        await connection.execute("BEGIN; SELECT FROM linqi_sessions FOR UPDATE")
        building = [asyncio.create_task(PostgresStore(dsn).initialize()) for _ in range(3)]
        other = record()
        await store.create(other, 20)
        for counter in range(5):
            assert (await store.present(other.session_id, counter, RULES)).kind == "rotated"
        await connection.execute("COMMIT")
        assert await asyncio.wait_for(asyncio.gather(*building), 20) == [2, 2, 2]
        assert await linqi("store", "init", dsn, "--check") == 0
        await store.close()


async def test_a_valkey_server_without_memory_is_not_ready(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers reads, so that only a write shows it; the answer of the server is printed."""
    import redis

    monkeypatch.delenv("LINQI_VALKEY_URL", raising=False)
    with servers.valkey() as url, redis.Redis.from_url(url) as client:
        assert await linqi("store", "init", url) == 0
        assert "the store is ready" in capsys.readouterr().out
        client.config_set("maxmemory", "1mb")
        assert await linqi("store", "init", url) != 0
        out, err = capsys.readouterr()
        assert "ready" not in out
        assert "maxmemory" in err
        client.config_set("maxmemory", "0")
