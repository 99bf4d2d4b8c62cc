"""A SQLite store in a process that forks, and what its errors say."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from linqi.cli import main
from linqi.errors import Unavailable
from linqi.stores._sqlite_file import connect
from linqi.stores.sqlite import SQLiteStore

FORKED = """
import asyncio, os, sys
from linqi.sessions.record import SessionRecord
from linqi.stores.sqlite import SQLiteStore
from reading import Reading
store = SQLiteStore(sys.argv[1], timeout=20)

async def create(session_id):
    await store.create(SessionRecord(session_id=session_id, subject="alice", rotated_at=1.0,
                                     first_rotated_at=0.0, started_at=1.0,
                                     expires_at=9e9, ends_at=9e9), 100)

async def begin():
    await store.start()
    await create("before")
    reader = Reading()
    following = asyncio.create_task(store.follow(0, reader))
    await reader.until_caught_up()
    to_child, to_parent = os.pipe(), os.pipe()
    child = os.fork()
    return child, to_child, to_parent, following

async def in_parent(child, to_child, to_parent, following):
    await asyncio.to_thread(os.read, to_parent[0], 1)  # the child has written
    await create("parent")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await store.close()  # the last to close a file removes its log of writes
    os.write(to_child[1], b"x")
    os.waitpid(child, 0)

async def in_child(to_child, to_parent):
    await create("child 1")
    os.write(to_parent[1], b"x")
    await asyncio.to_thread(os.read, to_child[0], 1)  # the parent has closed
    await create("child 2")
    await store.close()

loop = asyncio.new_event_loop()
child, to_child, to_parent, following = loop.run_until_complete(begin())
if child == 0:
    asyncio._set_running_loop(None)
    asyncio.run(in_child(to_child, to_parent))
    os._exit(0)
loop.run_until_complete(in_parent(child, to_child, to_parent, following))

async def look():
    await store.start()
    print(sorted(record.session_id for record in await store.live("alice", 2.0)))
    await store.close()

asyncio.run(look())
"""


def test_no_write_of_a_child_or_its_parent_is_lost(tmp_path: Path) -> None:
    """The store is open and followed when the process forks; both go on, the parent ends first.

    With a connection that stays open over the fork, what the child writes after its parent has
    closed the file is answered and lost: the child believes that it holds its parent's locks.
    """
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "s.db")]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environ
    )
    assert done.stdout.strip() == "['before', 'child 1', 'child 2', 'parent']", done.stderr


async def test_an_error_names_the_file_and_the_right_of_its_folder(tmp_path: Path) -> None:
    """A folder that is missing, and one in which nothing can be made."""
    missing = SQLiteStore(tmp_path / "no" / "s.db")
    with pytest.raises(Unavailable) as caught:
        await missing.start()
    await missing.close()
    assert f"SQLite file {tmp_path}/no/s.db: " in str(caught.value)
    assert f"the folder {tmp_path}/no cannot be used: No such file or directory" in str(
        caught.value
    )
    sealed = SQLiteStore("/proc/s.db")  # no file can be created there
    with pytest.raises(Unavailable, match=r"SQLite file /proc/s\.db: .*folder /proc has mode 0555"):
        await sealed.start()
    await sealed.close()


async def test_an_error_of_the_file_itself_names_the_file(tmp_path: Path) -> None:
    """What is no database is said of its path, with the remedy; the folder is not to blame."""
    path = tmp_path / "s.db"
    path.write_bytes(b"no database at all" * 100)
    store = SQLiteStore(path)
    with pytest.raises(Unavailable) as caught:
        await store.start()
    await store.close()
    assert str(path) in str(caught.value)
    assert "not a database; restore a backup of it, or name" in str(caught.value)
    assert "folder" not in str(caught.value)


def test_the_command_line_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`linqi store init` prints one line."""
    assert main(["store", "init", f"sqlite:{tmp_path}/no/s.db"]) == 2
    assert f"SQLite file {tmp_path}/no/s.db" in capsys.readouterr().err


def test_workers_that_start_together_with_a_new_file_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite answers the switch to its write-ahead log "database is locked" without waiting."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("COMMIT")

    connection = connect(path, 5, synchronous="FULL", sleep=sleep)
    assert len(waits) == 3
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for one in (connection, other):
        one.close()


def test_a_new_file_that_stays_locked_is_an_error(tmp_path: Path) -> None:
    """After the timeout the start fails, and says why."""
    other = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connect(tmp_path / "held.db", 0, synchronous="FULL")
    other.close()
