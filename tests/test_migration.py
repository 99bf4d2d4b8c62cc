"""Stores that an earlier schema made: brought up to date, and what their rows mean then."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aging import age, aged, overwrite
from linqi import ConfigurationError
from linqi.cli import main
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.store import SessionStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from reading import followed
from records import record

SCHEMAS = Path(__file__).parent / "schemas"
ROTATED_AT = 1_800_000_500.25
RULES = SessionSettings()
RECOVERED = SessionRecord(
    session_id="old-recovered",
    subject="alice",
    counter=3,
    parent=1,
    rotated_at=ROTATED_AT,
    first_rotated_at=ROTATED_AT,
    started_at=1_800_000_000.0,
    expires_at=1_800_605_300.0,
    ends_at=1_802_592_000.0,
    claims='{"scope":"read"}',
    device="phone",
)
REVOCATION = Revocation(
    kind="session", value="old-revoked", at=1_800_000_200.5, until=1_800_001_400.5
)


async def check_migrated(store: SessionStore) -> None:
    """Check that the rows of the fixture are there, and follow today's rule from here on."""
    await store.start()
    assert await store.get("old-recovered") == RECOVERED
    revoked = await store.get("old-revoked")
    assert revoked is not None
    assert (revoked.revoked_at, revoked.first_rotated_at) == (1_800_000_200.5, 1_800_000_100)
    assert REVOCATION in await followed(store, ROTATED_AT - 400, {REVOCATION})
    # When the first rotation was, an old row does not say: the last one counts, this once.
    await overwrite(store, aged(RECOVERED, ROTATED_AT - store.now()))
    for pause, kind in ((60, "recovered"), (86_339, "recovered"), (2, "reused")):
        older = await age(store, "old-recovered", pause)
        outcome = await store.present("old-recovered", 1, RULES)
        assert outcome.kind == kind
        assert outcome.record is not None
        assert outcome.record.first_rotated_at == older.first_rotated_at
    assert await store.raise_lifetime(0) == 0
    assert await store.raise_lifetime(900) == 900
    new = record(started_at=1_800_000_600.0)
    await store.create(new, 20)
    assert await store.get(new.session_id) == new
    await store.close()


async def test_a_sqlite_file_of_schema_1_is_brought_up_to_date(tmp_path: Path) -> None:
    """By the first process that opens it; a later release's file is refused."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / "sqlite_1.sql").read_text())
    connection.close()
    assert await asyncio.to_thread(main, ["store", "init", f"sqlite:{path}"]) == 0
    await check_migrated(SQLiteStore(path))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    fresh = SQLiteStore(tmp_path / "new.db")
    await fresh.start()
    new = sqlite3.connect(tmp_path / "new.db")
    assert _columns(new) == _columns(connection)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    new.close()
    await fresh.close()
    late = SQLiteStore(path)
    with pytest.raises(ConfigurationError, match="schema 3"):
        await late.start()
    await late.close()


async def test_workers_that_open_an_old_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    """The column is added in one transaction, and the others see that it is there."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / "sqlite_1.sql").read_text())
    connection.close()
    stores = [SQLiteStore(path) for _ in range(4)]
    await asyncio.gather(*[store.start() for store in stores])
    assert [await store.get("old-recovered") for store in stores] == [RECOVERED] * 4
    for store in stores:
        await store.close()


async def test_a_postgresql_database_of_schema_1_is_brought_up_to_date(postgres_dsn: str) -> None:
    """By ``linqi store init``; before it, a worker does not start."""
    import asyncpg

    name = f"linqi_old_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    dsn = postgres_dsn.replace("/postgres?", f"/{name}?")
    connection = await asyncpg.connect(dsn)
    await connection.execute((SCHEMAS / "postgres_1.sql").read_text())
    with pytest.raises(ConfigurationError, match=r"schema 1, expected 2; run linqi store init"):
        await PostgresStore(dsn).start()
    for _ in range(2):
        assert await asyncio.to_thread(main, ["store", "init", dsn]) == 0
    await check_migrated(PostgresStore(dsn))
    await connection.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_valkey_rows_of_schema_1_are_read_and_rewritten_when_they_change(
    valkey_url: str,
) -> None:
    """They lie without the last instant; a revocation leaves them so, a rotation adds it."""
    from redis.asyncio import Redis

    prefix = f"old{secrets.token_hex(4)}"
    client, store = Redis.from_url(valkey_url), ValkeyStore(valkey_url, prefix=prefix)
    await store.start()
    names = [new_session_id("alice") for _ in range(2)]
    rotated_at = old_rotated_at = time.time() - 60
    for name in names:
        old = (
            f"3 1 {rotated_at!r} 1800605300.0 1802592000.0 0.0 - "
            f'["{name}","alice",1800000000.0,"{{\\"scope\\":\\"read\\"}}","a 5 b"]'
        )
        await client.set(store._subjects.key(name), old)
        found = await store.get(name)
        assert found is not None
        assert (found.first_rotated_at, found.device) == (rotated_at, "a 5 b")
    for pause, kind in ((0, "recovered"), (86_339, "recovered"), (2, "reused")):
        if pause:
            rotated_at = (await age(store, names[0], pause)).first_rotated_at
        outcome = await store.present(names[0], 1, RULES)
        assert (outcome.kind, outcome.record) == (kind, await store.get(names[0]))
        assert outcome.record is not None
        assert outcome.record.first_rotated_at == rotated_at
    assert await store.revoke(names[1], ROTATED_AT + 1, "logout")
    assert (await store.present(names[1], 3, RULES)).kind == "revoked"
    row = await store.get(names[1])
    assert row is not None
    assert (row.cause, row.first_rotated_at, row.device) == ("logout", old_rotated_at, "a 5 b")
    await store.close()
    await client.aclose()


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(sessions)")]


async def test_postgresql_workers_of_the_release_before_go_on(postgres_dsn: str) -> None:
    """A rolling upgrade: ``store init`` first, then both versions redeem tokens of one session."""
    import asyncpg

    name = f"linqi_rolling_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    dsn = postgres_dsn.replace("/postgres?", f"/{name}?")
    old, new = await asyncpg.connect(dsn), PostgresStore(dsn)
    await new.initialize()
    await old.execute("DROP FUNCTION linqi_refresh, linqi_redeem")
    await old.execute((SCHEMAS / "postgres_present_2.sql").read_text())
    with pytest.raises(ConfigurationError, match="linqi_redeem; run linqi store init"):
        await new.start()
    await new.close()
    assert await asyncio.to_thread(main, ["store", "init", dsn]) == 0
    await new.start()

    async def redeem_by_old(session_id: str, counter: int) -> str:
        row = await old.fetchrow(
            "SELECT kind FROM linqi_present($1, $2, $3, 10, 86400, 604800)",
            session_id,
            counter,
            time.time(),
        )
        return str(row["kind"])

    await check_both_versions(new, redeem_by_old)
    await new.close()
    await old.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_valkey_workers_of_the_release_before_go_on(valkey_url: str) -> None:
    """Each worker brings its own script; the rows are the same."""
    from redis.asyncio import Redis

    client, new = Redis.from_url(valkey_url), ValkeyStore(valkey_url)
    await new.start()
    script = (SCHEMAS / "valkey_present_2.lua").read_text()

    async def redeem_by_old(session_id: str, counter: int) -> str:
        argument = f"{counter} {time.time()!r} 10 86400 604800"
        answer = await client.eval(script, 1, new._subjects.key(session_id), argument)
        return str(answer.partition(b" ")[0].decode())

    await check_both_versions(new, redeem_by_old)
    await new.close()
    await client.aclose()


async def check_both_versions(
    new: SessionStore, redeem_by_old: Callable[[str, int], Awaitable[str]]
) -> None:
    """Check that workers of both versions rotate, replay and catch reuse together."""
    row = record()
    await new.create(row, 20)
    name = row.session_id
    assert (await new.present(name, 0, RULES)).kind == "rotated"
    assert await redeem_by_old(name, 0) == "replayed"
    assert await redeem_by_old(name, 1) == "rotated"
    assert (await new.present(name, 1, RULES)).kind == "replayed"
    await age(new, name, 60)
    assert (await new.present(name, 1, RULES)).kind == "recovered"
    assert await redeem_by_old(name, 3) == "rotated"
    assert (await new.present(name, 2, RULES)).kind == "reused"
    assert await redeem_by_old(name, 4) == "revoked"
