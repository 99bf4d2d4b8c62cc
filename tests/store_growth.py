"""Stores with a million sessions: ``make store-growth``.

It prints, for PostgreSQL and SQLite: which index each statement uses and how many pages it reads,
the sizes before and after many rotations and purges with the share of rotations that touched no
index (HOT), and how long sign-ins and refreshes take while a purge keeps up with 1,000 ended
sessions a second. For Valkey: what operations cost the server if one subject has 20,000 sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
from msgspec import structs
from redis.asyncio import Redis

from linqi.sessions.purge_pace import PurgePace
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.stores._sqlite_purge import purge_rows
from linqi.stores._table_rows import SESSION_COLUMNS, session_row
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from linqi_report import servers

RULES: Final = SessionSettings()
DAY: Final = 86_400
_ENDED_SHARE: Final = 4
"""One session of so many is over; another was revoked."""
_PAGE: Final = 8_192


def sessions(count: int, now: float) -> Iterator[SessionRecord]:
    """Make sessions of as many subjects: some are over, some were revoked."""
    for number in range(count):
        subject = f"user-{number}"
        is_over = number % _ENDED_SHARE == 0
        began = now - (40 * DAY if is_over else number % (6 * DAY))
        yield SessionRecord(
            session_id=new_session_id(subject),
            subject=subject,
            rotated_at=began,
            first_rotated_at=began,
            started_at=began,
            expires_at=began + RULES.idle,
            ends_at=began + RULES.absolute - number % DAY,
            revoked_at=began + 60 if number % _ENDED_SHARE == 1 else 0.0,
            cause="logout" if number % _ENDED_SHARE == 1 else "",
            claims='{"scope":"read write","name":"A user of the shop"}',
            device="Firefox on Linux",
        )


def show(name: str, value: object) -> None:
    """Print one figure."""
    print(f"  {name:<58} {value}", flush=True)


def milliseconds(times: Sequence[float]) -> str:
    """Return median, 99th percentile and longest."""
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return (
        f"p50 {statistics.median(ordered) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms,"
        f" longest {ordered[-1] * 1e3:.2f} ms ({len(ordered):,})"
    )


@contextlib.asynccontextmanager
async def purging(
    store: PostgresStore | SQLiteStore, now: float, figures: dict[str, float]
) -> AsyncIterator[None]:
    """Purge by the pace of a worker until the end."""

    async def purge() -> None:
        pace = PurgePace(per_second=2_000, pause=0.0)
        while True:
            await asyncio.sleep(pace.pause)
            began = time.monotonic()
            deleted = await store.purge(now, pace.most)
            took = time.monotonic() - began
            pace = pace.after(deleted, took)
            figures["deleted"] = figures.get("deleted", 0) + deleted
            figures["longest"] = max(figures.get("longest", 0), took)

    task = asyncio.create_task(purge())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def requests(
    store: PostgresStore | SQLiteStore, rows: Sequence[SessionRecord], seconds: float
) -> tuple[list[float], list[float]]:
    """Refresh and sign in, 8 at a time, for so long; return how long each took."""
    refreshes: list[float] = []
    sign_ins: list[float] = []
    until = time.monotonic() + seconds

    async def work(part: Sequence[SessionRecord]) -> None:
        counters = dict.fromkeys((row.session_id for row in part), 0)
        while True:
            for name, counter in counters.items():
                began = time.monotonic()
                if began > until:
                    return
                outcome = await store.present(name, counter, RULES)
                assert outcome.record is not None
                counters[name] = outcome.record.counter
                refreshes.append(time.monotonic() - began)
                if len(refreshes) % 10 == 0:
                    began = time.monotonic()
                    await store.create(next(sessions(1, store.now() + 1)), 20)
                    sign_ins.append(time.monotonic() - began)
                await asyncio.sleep(0.002)

    parts = [rows[n::8] for n in range(8)]
    await asyncio.gather(*[work(part) for part in parts])
    return refreshes, sign_ins


async def at_work(
    store: PostgresStore | SQLiteStore, rows: Sequence[SessionRecord], seconds: float
) -> None:
    """Print how long requests take, without a purge and beside one."""
    refreshes, sign_ins = await requests(store, rows[: len(rows) // 2], seconds)
    show("refreshes without a purge", milliseconds(refreshes))
    show("sign-ins without a purge", milliseconds(sign_ins))
    figures: dict[str, float] = {}
    async with purging(store, store.now(), figures):
        refreshes, sign_ins = await requests(store, rows[len(rows) // 2 :], seconds)
    show("refreshes beside a purge", milliseconds(refreshes))
    show("sign-ins beside a purge", milliseconds(sign_ins))
    rate, longest = figures["deleted"] / seconds, figures["longest"] * 1e3
    show("purge", f"{rate:,.0f} rows a second, longest piece {longest:.1f} ms")


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    """Connect to the database, without the limits of a store."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def postgres(count: int, seconds: float) -> None:
    """Print the figures of PostgreSQL."""
    with servers.postgres() as dsn:
        store = PostgresStore(dsn)
        await store.initialize()
        await store.start()
        rows = [*sessions(count, store.now())]
        async with connected(dsn) as connection:
            await connection.copy_records_to_table(
                "linqi_sessions", records=[session_row(row) for row in rows]
            )
            await connection.execute("VACUUM ANALYZE linqi_sessions")
            await _sizes(connection, "sessions stored")
            live = [row for row in rows if row.ends_at > store.now() and not row.revoked_at]
            await _plans(connection, store, live[0])
            await at_work(store, live[:4_000], seconds)
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await asyncio.sleep(1.5)
            updates, hot = await connection.fetchrow(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
                " WHERE relname = 'linqi_sessions'"
            )
            show(
                "rotations that touched no index (HOT)",
                f"{hot / max(updates, 1):.1%} of {updates:,}",
            )
            began, deleted = time.monotonic(), 0
            while some := await store.purge(store.now(), 500):
                deleted += some
            rate = deleted / (time.monotonic() - began)
            show("purge of the rest in pieces of 500", f"{rate:,.0f} rows a second")
            await _sizes(connection, "after the purge, before a vacuum")
            began = time.monotonic()
            await connection.execute("VACUUM linqi_sessions")
            show("vacuum", f"{time.monotonic() - began:.1f} s")
            await _sizes(connection, "after the vacuum")
        await store.close()


async def _sizes(connection: Any, name: str) -> None:
    table, indexes, dead, rows = await connection.fetchrow(
        "SELECT pg_table_size('linqi_sessions'), pg_indexes_size('linqi_sessions'),"
        " (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'linqi_sessions'),"
        " (SELECT count(*) FROM linqi_sessions)"
    )
    sizes = f"table {table / 1e6:,.0f} MB, indexes {indexes / 1e6:,.0f} MB"
    show(name, f"{rows:,} rows, {sizes}, dead {dead:,}")


async def _plans(connection: Any, store: PostgresStore, row: SessionRecord) -> None:
    now = store.now()
    for name, sql, arguments in (
        (
            "list",
            "SELECT * FROM linqi_sessions WHERE subject = $1 AND revoked_at = 0"
            " AND expires_at > $2 AND ends_at > $2 ORDER BY started_at, session_id",
            (row.subject, now),
        ),
        (
            "purge",
            store._purge.format(most=100),
            (now, now - 400 * DAY, 1),
        ),
    ):
        await connection.execute("BEGIN")
        plan = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments
        )
        await connection.execute("ROLLBACK")
        top = json.loads(plan)[0]
        used = sorted({*_indexes(top["Plan"])})
        pages = top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"]
        show(f"plan of {name}", f"{', '.join(used)}: {pages} pages, {top['Execution Time']:.2f} ms")


def _indexes(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    if plan["Node Type"] == "Seq Scan":
        yield f"SEQUENTIAL {plan['Relation Name']}"
    for part in plan.get("Plans", ()):
        yield from _indexes(part)


async def sqlite(count: int, seconds: float) -> None:
    """Print the figures of SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.db"
        store = SQLiteStore(path)
        await store.start()
        rows = [*sessions(count, store.now())]
        marks = ", ".join("?" * len(SESSION_COLUMNS))
        sql = f"INSERT INTO sessions ({', '.join(SESSION_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executemany(sql, [session_row(row) for row in rows])
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for name, text in (
                ("list", "SELECT * FROM sessions WHERE subject = '' AND revoked_at = 0"),
                ("purge", "SELECT session_id FROM sessions WHERE expires_at <= 0 LIMIT 9"),
            ):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
                show(f"plan of {name}", plan[0][3])
            began = time.monotonic()
            connection.execute("CREATE INDEX again ON sessions (subject, revoked_at, started_at)")
            show("building the index by subject", f"{time.monotonic() - began:.1f} s")
            connection.execute("DROP INDEX again")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        show("sessions stored", f"{len(rows):,} rows, file {_megabytes(path):,.0f} MB")
        now = store.now()
        live = [row for row in rows if row.expires_at > now + DAY and not row.revoked_at]
        await at_work(store, live[:4_000], seconds)
        began, deleted = time.monotonic(), 0
        while some := await store._run(lambda connection: purge_rows(connection, now, 500)):
            deleted += some
        rate = deleted / (time.monotonic() - began)
        show("purge of the rest in pieces of 500", f"{rate:,.0f} rows a second")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        size = f"file {_megabytes(path):,.0f} MB, {free / pages:.0%} of it free for new sessions"
        show("after the purge", size)
        await store.close()


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


async def valkey(count: int, _seconds: float) -> None:
    """Print the figures of Valkey."""
    most = min(count, 20_000)
    with servers.valkey() as url:
        store = ValkeyStore(url, timeout=20)
        await store.start()
        client = Redis.from_url(url)
        await client.config_set("slowlog-log-slower-than", 500)

        async def spent() -> float:
            found = await client.info("cpu")
            return float(found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"])

        async def measured(name: str, work: Awaitable[object]) -> None:
            await client.slowlog_reset()
            before = await spent()
            await work
            cost = (await spent() - before) * 1e3
            slow = [entry["duration"] / 1e3 for entry in await client.slowlog_get(1_000)]
            longest = f"longest command {max(slow):.1f} ms" if slow else "no command above 0.5 ms"
            show(name, f"{cost:.1f} ms of the server, {longest}")

        def another() -> SessionRecord:
            now = store.now()
            return structs.replace(
                next(sessions(1, now + 40 * DAY)),
                rotated_at=now,
                session_id=new_session_id("user-0"),
            )

        async def sign_out() -> None:
            now = store.now()
            ended = await store.revoke_all("user-0", now, "admin")
            assert len(ended) >= most
            await store.publish(
                [Revocation(kind="session", value=name, at=now, until=now + 1200) for name in ended]
            )

        print(f"  {most:,} sessions of one subject")
        for _ in range(most):
            await store.create(another(), most)
        await measured("sign-in", store.create(another(), most + 1))
        await measured("sign-in that ends the oldest", store.create(another(), most + 1))
        await measured("list", store.live("user-0", store.now()))
        await measured("sign-out everywhere", sign_out())
        await measured("sign-in beside the ended ones", store.create(another(), most))
        await measured("list beside the ended ones", store.live("user-0", store.now()))
        await store.close()
        await client.aclose()


def main() -> None:
    """Measure the stores that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--only", choices=("postgres", "sqlite", "valkey"))
    arguments = parser.parse_args()
    for name, measure in (("postgres", postgres), ("sqlite", sqlite), ("valkey", valkey)):
        if arguments.only in (None, name):
            print(f"{name}, {arguments.sessions:,} sessions")
            asyncio.run(measure(arguments.sessions, arguments.seconds))


if __name__ == "__main__":
    main()
