"""``linqi store`` beside workers: what it prints, what it returns, and what it leaves."""

import asyncio
import json
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linqi import KeySet
from linqi._notes import KeepsNotes
from linqi.cli import main
from linqi.sessions.key_announcer import KEYS_NOTE
from linqi.sessions.store import SessionStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from records import NOW, record
from test_growth import fill

PAST = NOW - 10


async def linqi(*arguments: str) -> int:
    """Run the command in a thread, as it has an event loop of its own."""
    return await asyncio.to_thread(main, list(arguments))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store in SQL."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'sessions.db'}"
    return str(request.getfixturevalue("postgres_dsn"))


@asynccontextmanager
async def at(url: str) -> AsyncIterator[PostgresStore | SQLiteStore]:
    """Open the store, empty: what is alive in it would be over some time."""
    store = open_store(url)
    assert isinstance(store, PostgresStore | SQLiteStore)
    await store.start()
    try:
        if isinstance(store, PostgresStore):
            await store._fetch("TRUNCATE linqi_sessions, linqi_revocations")
        yield store
    finally:
        await store.close()


async def test_a_purge_prints_what_it_did(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, rate and what is left; with --most it stops early, and a second run goes on."""
    async with at(url) as store:
        alive = record()
        rows = [record(ends_at=PAST, expires_at=PAST) for _ in range(1_000)]
        await fill(store, [alive, *rows])
        assert await linqi("store", "purge", url, "--most", "150") == 0
        out, err = capsys.readouterr()
        assert "deleted 150 ended rows" in out
        assert "850 left" in out
        assert "left" in err  # a line of progress
        assert await linqi("store", "purge", url, "--json") == 0
        out, err = capsys.readouterr()
        result = json.loads(out)
        assert (result["deleted"], result["is_complete"]) == (850, True)
        assert result["per_second"] > 0
        assert err == ""
        assert await linqi("store", "purge", url) == 0
        assert "deleted 0 ended rows" in capsys.readouterr().out
        assert await store.get(alive.session_id) == alive


async def test_a_purge_keeps_to_its_rate(url: str) -> None:
    """400 rows at 800 a second take as long as that at least."""
    async with at(url) as store:
        await fill(store, [record(ends_at=PAST, expires_at=PAST) for _ in range(400)])
        began = time.monotonic()
        assert await linqi("store", "purge", url, "--per-second", "800") == 0
        assert time.monotonic() - began > 0.3
        assert await store.count_ended(NOW, 10) == 0


async def test_ctrl_c_ends_a_purge_without_loss(
    url: str,
) -> None:
    """It says how much was deleted; the rest is there, and the store goes on."""
    async with at(url) as store:
        await fill(store, [record(ends_at=PAST, expires_at=PAST) for _ in range(5_000)])
        command = [sys.executable, "-m", "linqi", "store", "purge", url, "--per-second", "200"]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's too
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        signal.signal(signal.SIGINT, before)
        try:
            async with asyncio.timeout(100):
                while await store.count_ended(NOW, 10_000) > 4_800:
                    await asyncio.sleep(0.05)
                process.send_signal(signal.SIGINT)
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 130
        left = await store.count_ended(NOW, 10_000)
        assert f"interrupted: deleted {5_000 - left:,} ended rows" in out.decode()
        await store.create(record(), 20)


async def test_a_locked_row_is_told(postgres_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the exit code 1: a transaction that never ends keeps it."""
    import asyncpg

    store = PostgresStore(postgres_dsn)
    await store.start()
    while await store.purge(NOW, 500):
        pass
    row = record(ends_at=PAST, expires_at=PAST)
    await store.create(row, 20)
    other = await asyncpg.connect(postgres_dsn)
    await other.execute("BEGIN")
    await other.execute(
        "SELECT FROM linqi_sessions WHERE session_id = $1 FOR UPDATE", row.session_id
    )
    assert await linqi("store", "purge", postgres_dsn) == 1
    assert "the rest is locked: deleted 0 ended rows" in capsys.readouterr().out
    await other.close()
    assert await linqi("store", "purge", postgres_dsn) == 0
    await store.close()


async def test_valkey_and_memory_say_that_there_is_nothing_to_purge(
    valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Valkey deletes sessions itself, and memory has none of another process."""
    assert await linqi("store", "purge", valkey_url) == 0
    assert "Valkey deletes ended sessions itself" in capsys.readouterr().out
    assert await linqi("store", "purge", valkey_url, "--json") == 0
    assert json.loads(capsys.readouterr().out)["is_complete"]
    assert await linqi("store", "purge", "memory:") == 2
    assert "nothing to delete" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [("--per-second", "0"), ("--most", "0"), ("--per-second", "nan")]
)
async def test_unfit_numbers_are_refused(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the store is opened."""
    path = tmp_path / secrets.token_hex(4)
    assert await linqi("store", "purge", f"sqlite:{path}", *option) == 2
    assert option[0] in capsys.readouterr().err
    assert not path.exists()


async def announce(store: SessionStore, *kids: str) -> None:
    """Write the note of a worker that has the keys."""
    assert isinstance(store, KeepsNotes)
    text = json.dumps({"issuer": "https://shop.example", "kids": kids})
    await store.notes().put(KEYS_NOTE, "host:1:a", text, 60)


@pytest.mark.parametrize("removed", ["old", "new"])
async def test_a_key_that_is_removed_while_a_rotation_waits_stays_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], removed: str
) -> None:
    """The command reads the file again after the wait: a stolen key does not come back."""
    url, out = f"sqlite:{tmp_path / 'sessions.db'}", str(tmp_path / "keys.json")
    assert await linqi("keygen", "--out", out, "--kid", "old") == 0
    store = open_store(url)
    await store.start()
    await announce(store, "old")
    rotate = ("keygen", "--rotate", "--out", out, "--kid", "new", "--lead-seconds", "0")
    rotation = asyncio.create_task(linqi(*rotate, "--store", url, "--wait-seconds", "100"))
    async with asyncio.timeout(100):
        while len(KeySet.load(out).keys) == 1:
            assert not rotation.done()
            await asyncio.sleep(0.02)
    assert await linqi("keygen", "--remove", removed, "--out", out) == 0
    await announce(store, "old", "new")
    assert await rotation == (0 if removed == "old" else 2)
    assert [key.kid for key in KeySet.load(out).keys] == ["new" if removed == "old" else "old"]
    assert ("new was removed" in capsys.readouterr().err) is (removed == "new")
    await store.close()


async def test_commands_find_the_workers_of_another_prefix(
    valkey_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``--prefix``, as ``[store] prefix`` names it; without, they would see none."""
    prefix, out = f"t{time.time_ns()}", str(tmp_path / "keys.json")
    assert await linqi("keygen", "--out", out, "--kid", "old") == 0
    store = ValkeyStore(valkey_url, prefix=prefix)
    await store.start()
    await announce(store, "old", "new")
    capsys.readouterr()
    assert await linqi("store", "workers", valkey_url, "--prefix", prefix) == 0
    assert "keys: new old" in capsys.readouterr().out
    for action in ("init", "purge"):
        assert await linqi("store", action, valkey_url, "--prefix", prefix) == 0
    rotate = ("keygen", "--rotate", "--out", out, "--kid", "new", "--prefix", prefix)
    assert await linqi(*rotate) == 2
    assert "--prefix is for --store" in capsys.readouterr().err
    assert await linqi(*rotate, "--store", valkey_url) == 0
    assert await linqi("store", "backup", "sqlite:x.db", "y.db", "--prefix", prefix) == 2
    assert "prefix is for valkey:// only" in capsys.readouterr().err
    await store.close()


@pytest.mark.parametrize("command", ["store purge", "store workers", "store restored", "keygen"])
async def test_a_sqlite_file_that_does_not_exist_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A wrong path is no empty store: `restored` would say that no session was left to end."""
    url, out = f"sqlite:{tmp_path / 'wrong.db'}", str(tmp_path / "keys.json")
    assert await linqi("keygen", "--out", out) == 0
    more = {"store restored": ("--taken-at", "1"), "keygen": ("--rotate", "--out", out, "--store")}
    assert await linqi(*command.split(), *more.get(command, ()), url) == 2
    assert "wrong.db does not exist" in capsys.readouterr().err
    assert not (tmp_path / "wrong.db").exists()


async def test_what_a_stranger_wrote_into_the_store_does_not_control_the_terminal(
    valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, issuer and key ids of a note are printed escaped."""
    prefix = f"t{time.time_ns()}"
    store = ValkeyStore(valkey_url, prefix=prefix)
    await store.start()
    text = json.dumps({"issuer": "i\x1b[2J", "kids": ["k\nl"]})
    await store.notes().put(KEYS_NOTE, "evil\x1b[31m\n", text, 60)
    assert await linqi("store", "workers", valkey_url, "--prefix", prefix) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert "evil" in line
    await store.close()
