"""What a feed of revocations passes on, from where it begins, and when it may be trusted."""

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from clock import FakeClock
from linqi import Key, Revocation, Revocations, Signer, Verifier
from linqi.errors import TokenRevoked, Unavailable
from linqi.events import Event
from linqi.sessions.store import RevocationReader, SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from reading import reading
from records import record
from waiting import until

LIFETIME = 900.0
WINDOW = LIFETIME + 900


def session(name: str, at: float | None = None, **changes: Any) -> Revocation:
    """Return the revocation of a session, published now unless `at` is given."""
    at = time.time() if at is None else at
    options = {"kind": "session", "value": name, "at": at, "until": at + LIFETIME + 300}
    return Revocation(**options | changes)


class Stream:
    """A Valkey store, and its stream of revocations as the server has it."""

    def __init__(self, url: str) -> None:
        prefix = f"t{secrets.token_hex(4)}"
        self.name = f"{prefix}:revocations"
        self.store = ValkeyStore(url, prefix=prefix)
        self.client: Any = Redis.from_url(url)

    async def add(self, revocation: Revocation, id_: str = "*") -> None:
        """Add one entry under an id of the test's choice."""
        text = msgspec.json.encode(revocation)
        await self.client.xadd(self.name, {"revocation": text}, id=id_)


@asynccontextmanager
async def stream_at(url: str) -> AsyncIterator[Stream]:
    """Yield a stream whose deployment has tokens of `LIFETIME`."""
    stream = Stream(url)
    await stream.store.start()
    await stream.store.raise_lifetime(LIFETIME)
    try:
        yield stream
    finally:
        await stream.store.close()
        await stream.client.aclose()


async def test_k8_no_store_is_caught_up_before_it_passed_on_all(store: SessionStore) -> None:
    """K8: with more than one page, trust begins with the last entry, not with the first page."""
    before = {session(f"{secrets.token_hex(8)}-{n}") for n in range(2_200)}
    await store.raise_lifetime(LIFETIME)
    await store.publish([*before])
    async with reading(store, time.time()) as reader:
        await reader.until_caught_up()
        assert before <= reader.known
        assert reader.caught_up_with[0] >= len(before)
        assert max(reader.pages) <= 1_000


class SlowStore(MemoryStore):
    """A store whose pages and end come when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[RevocationReader] = []

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Hand the reader to the test."""
        self.readers.append(reader)
        await asyncio.Event().wait()


async def test_a_feed_is_trusted_as_of_the_beginning_of_the_last_read(clock: FakeClock) -> None:
    """Not while it is read, and not from an answer that waited: in a process that was stopped."""
    moments, store = [1000.0], SlowStore()
    known = Revocations(store, stale_after=10, clock=clock, monotonic=lambda: moments[0])
    starting = asyncio.create_task(known.start())
    await until(lambda: bool(store.readers))
    (reader,) = store.readers
    reader.begin_read()
    reader.add([session("s1", clock.now)])
    assert known.knows("s1")
    assert not known.state().is_trusted
    reader.caught_up()
    await starting
    moments[0] += 9.9
    assert known.state().is_trusted
    reader.begin_read()
    moments[0] += 3600
    reader.caught_up()
    assert not known.state().is_trusted
    await known.close()


async def test_a_new_worker_reads_what_may_matter_and_not_a_day(valkey_url: str) -> None:
    """Entries from before the longest-lived token began are not read."""
    async with stream_at(valkey_url) as stream:
        now = time.time()
        for age in (90_000, WINDOW + 60, WINDOW - 60, 10):
            await stream.add(
                session(f"{age}", now - age, until=now + 60), f"{(now - age) * 1e3:.0f}-0"
            )
        async with reading(stream.store, now) as reader:
            await reader.until_caught_up()
        assert {one.value for one in reader.known} == {f"{WINDOW - 60}", "10"}


async def test_entries_that_a_clock_behind_dated_back_are_read_and_kept(valkey_url: str) -> None:
    """The server's clock was a day behind when a session was revoked, and is right again."""
    async with stream_at(valkey_url) as stream:
        now = time.time()
        await stream.add(session("over", now - 86_400 * 2), f"{(now - 86_400 * 2) * 1e3:.0f}-0")
        for number in range(150):
            await stream.add(session(f"{number}", now - 60), f"{(now - 86_400) * 1e3:.0f}-{number}")
        await stream.add(session("new", now))
        await stream.store.purge(now, 500)
        async with reading(stream.store, now) as reader:
            await reader.until_caught_up()
        assert {f"{number}" for number in range(150)} < {one.value for one in reader.known}
        assert session("over", now - 86_400 * 2) not in reader.known


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_stream_whose_ids_run_backwards_is_read_anew(
    valkey_url: str, is_connected: bool
) -> None:
    """A restored server, or a failover to one that was behind: its new entries have lower ids."""
    async with stream_at(valkey_url) as stream:
        now = time.time()
        await stream.add(session("first", now - 20), f"{(now - 20) * 1e3:.0f}-0")
        await stream.add(session("lost", now), f"{(now + 5) * 1e3:.0f}-0")
        async with reading(stream.store, now) as reader:
            await reader.until_caught_up()
            assert len(reader.known) == 2
            if is_connected:
                await _restore(stream, now)
                await reader.until_known({session("after", now)})
        if not is_connected:
            await _restore(stream, now)
            async with reading(stream.store, now, reader):
                await reader.until_known({session("after", now)})


async def _restore(stream: Stream, now: float) -> None:
    await stream.client.delete(stream.name)
    await stream.add(session("first", now - 20), f"{(now - 20) * 1e3:.0f}-0")
    await stream.add(session("after", now), f"{(now - 1) * 1e3:.0f}-0")


async def test_an_id_that_was_given_twice_is_noticed(valkey_url: str) -> None:
    """The same id with another revocation: the server forgot the first and counted on."""
    async with stream_at(valkey_url) as stream:
        now = time.time()
        id_ = f"{now * 1e3:.0f}-0"
        await stream.add(session("lost", now), id_)
        async with reading(stream.store, now) as reader:
            await reader.until_caught_up()
        await stream.client.delete(stream.name)
        await stream.add(session("other", now), id_)
        async with reading(stream.store, now, reader):
            await reader.until_known({session("other", now)})


async def test_a_reconnect_goes_on_where_it_was(valkey_url: str, tmp_path: Path) -> None:
    """On Valkey and SQLite, whose order proves that nothing else was missed."""
    async with stream_at(valkey_url) as stream:
        file = SQLiteStore(tmp_path / "s.db")
        await file.start()
        for store in (stream.store, file):
            await store.publish([session(f"{number}") for number in range(700)])
            async with reading(store, time.time()) as reader:
                await reader.until_caught_up()
            reader.pages.clear()
            missed = session("missed")
            await store.publish([missed])
            async with reading(store, time.time(), reader):
                await reader.until_caught_up()
            assert missed in reader.known
            assert sum(reader.pages) == 1
        await file.close()


async def test_a_file_that_was_restored_is_read_anew(tmp_path: Path) -> None:
    """Its next rows have numbers that the follower has passed."""
    store = SQLiteStore(tmp_path / "s.db")
    await store.start()
    await store.publish([session("first"), session("lost")])
    async with reading(store, time.time()) as reader:
        await reader.until_caught_up()
        connection = sqlite3.connect(tmp_path / "s.db")
        with connection:  # as the backup had it, and one revocation since
            connection.execute("DELETE FROM revocations WHERE value = 'lost'")
            connection.execute("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'revocations'")
        connection.close()
        after = session("after")
        await store.publish([after])
        await reader.until_known({after})
    await store.close()


async def test_k8_a_file_that_was_exchanged_is_opened_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """K8, I1: a worker that started before and one that started after it see the same file."""
    path = tmp_path / "sessions.db"
    old, new = SQLiteStore(path), SQLiteStore(path)
    await old.start()
    async with reading(old, time.time()) as reader:
        before = session("before")
        await old.publish([before])
        await reader.until_known({before})
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        await new.start()
        revoked = session("after")
        await new.publish([revoked])
        await reader.until_known({revoked})
    assert f"{path} was deleted or replaced" in caplog.text
    one = record()
    await old.create(one, 20)
    assert await new.get(one.session_id) == one
    await old.close()
    await new.close()


async def test_busy_threads_of_the_application_do_not_stop_the_feed(tmp_path: Path) -> None:
    """A rush of password hashes in the loop's own threads would otherwise end in 503 for all."""
    store = SQLiteStore(tmp_path / "sessions.db")
    await store.start()
    is_over = threading.Event()
    async with reading(store, time.time()) as reader:
        await reader.until_caught_up()
        hashes = [asyncio.create_task(asyncio.to_thread(is_over.wait, 60)) for _ in range(64)]
        await asyncio.sleep(0.5)
        revoked = session("while-busy")
        await store.publish([revoked])
        await reader.until_known({revoked})
    is_over.set()
    await asyncio.gather(*hashes)
    await store.close()


async def test_valkey_forgets_what_is_over_and_keeps_the_rest(valkey_url: str) -> None:
    """By thousands at once; a revocation of a post-dated token stays until its end."""
    async with stream_at(valkey_url) as stream:
        now = time.time()
        long = session("post-dated", kind="token", until=now + 9 * 86_400)
        await stream.store.publish([long])
        (entry,) = await stream.client.xrange(stream.name)
        await stream.client.delete(stream.name)
        old = (now - WINDOW - 3600) * 1e3
        await stream.client.xadd(stream.name, entry[1], id=f"{old:.0f}-0")
        pipe = stream.client.pipeline(transaction=False)
        text = msgspec.json.encode(session("over", now - WINDOW - 3600))
        for number in range(1, 3_000):
            pipe.xadd(stream.name, {"revocation": text}, id=f"{old:.0f}-{number}")
        await pipe.execute()
        alive = session("alive", now)
        await stream.store.publish([alive])
        await stream.store.purge(now, 1)
        assert await stream.client.xlen(stream.name) <= 200  # whole nodes are deleted
        async with reading(stream.store, now) as reader:
            await reader.until_caught_up()
        assert {long, alive} <= reader.known
        await stream.store.purge(now + 10 * 86_400, 1)
        async with reading(stream.store, now + 10 * 86_400) as reader:
            await reader.until_caught_up()
        assert reader.known == set()


@pytest.mark.parametrize("kind", ["valkey", "postgres"])
async def test_a_cut_connection_is_made_again_and_loses_nothing(
    kind: str, valkey_url: str, postgres_dsn: str
) -> None:
    """The server ends it while sessions are revoked; the worker refuses all of them within 5 s."""
    async with stream_at(valkey_url) as stream:
        store: Any = stream.store if kind == "valkey" else PostgresStore(postgres_dsn)
        publisher: Any = stream.store if kind == "valkey" else PostgresStore(postgres_dsn)
        if kind == "postgres":
            await store.start()
            await publisher.start()
        known = Revocations(store)
        await known.start()
        names = [f"{kind}-{secrets.token_hex(8)}" for _ in range(40)]
        for number, name in enumerate(names):
            if number % 10 == 5:
                await _cut(kind, stream, postgres_dsn)
            revocation = session(name)
            try:
                await publisher.publish([revocation])
            except Unavailable:  # the publisher's connection was cut as well
                await publisher.publish([revocation])
        await until(lambda: all(known.knows(name) for name in names))
        await known.close()
        if kind == "postgres":
            await store.close()
            await publisher.close()


async def _cut(kind: str, stream: Stream, dsn: str) -> None:
    if kind == "valkey":
        await stream.client.client_kill_filter(_type="normal", skipme=True)
        return
    import asyncpg

    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_a_lost_connection_of_the_feed_is_noticed_at_once(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation arrives without waiting for the next beat, and no pooler is blamed."""
    import asyncpg

    monkeypatch.setattr("linqi.stores._postgres_feed._BEAT_SECONDS", 60)
    name = f"feed-{secrets.token_hex(4)}"
    joint = "&" if "?" in postgres_dsn else "?"
    store = PostgresStore(postgres_dsn, listen_dsn=f"{postgres_dsn}{joint}application_name={name}")
    await store.start()
    lost: list[Event] = []
    known = Revocations(store, hooks=[lost.append])
    await known.start()
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name
    )
    revocation = session(name)
    await store.publish([revocation])
    await until(lambda: known.knows(name))
    assert "the connection of the feed was lost" in str(lost[0])
    await connection.close()
    await known.close()
    await store.close()


async def test_a_revoked_name_is_refused_after_it_was_found_not_revoked(clock: FakeClock) -> None:
    """The names that were looked up before are forgotten one by one as they are revoked."""
    known = Revocations(MemoryStore(), clock=clock)
    await known.start()
    signer = Signer(
        Key.generate("HS256"), issuer="https://own.example", audience="api", clock=clock
    )
    now = int(clock.now)
    claims = {"sub": "alice", "sid": "s1", "jti": "j1", "iat": now - 9, "exp": now + 900}
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    token = signer.sign(claims)
    for kind, claim in (("session", "sid"), ("token", "jti"), ("subject", "sub")):
        others = [session(f"other-{n}", clock.now, kind=kind) for n in range(3)]
        known.add(others)
        for _ in range(3):
            verifier.verify(token)
        known.add([session(str(claims[claim]), clock.now, kind=kind)])
        with pytest.raises(TokenRevoked):
            verifier.verify(token)
        token = signer.sign(claims := {**claims, "sid": f"{kind} 2", "jti": f"{kind} 2"})
    await known.close()


async def test_names_not_found_are_bounded(clock: FakeClock) -> None:
    """The memory of a worker does not grow with the sessions that it ever saw."""
    known = Revocations(MemoryStore(), clock=clock)
    known.add([session("s", clock.now)])
    for number in range(50_000):
        known._sessions.find(f"{number}")
    assert len(known._sessions.not_found) < 40_000
