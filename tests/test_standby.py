"""PostgreSQL with a standby: failovers, and commits that wait for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from chaos import Proxy
from core_time import core_time
from linqi import ConfigurationError, Revocation, Revocations
from linqi.errors import Unavailable
from linqi.events import Event, RevocationFeedLost
from linqi.sessions.refresh import SessionSettings
from linqi.stores.postgres import PostgresStore
from postgres_standby import Pair, standby_pair
from records import record
from waiting import until

RULES = SessionSettings()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Return a primary and a standby that all tests of this module may harm, but not swap."""
    with standby_pair() as running:
        asyncio.run(PostgresStore(running.dsn).initialize())
        running.wait_until_equal()
        yield running


@asynccontextmanager
async def started(dsn: str, **options: float) -> AsyncIterator[PostgresStore]:
    """Yield a store that was started."""
    store = PostgresStore(dsn, **options)  # type: ignore[arg-type]
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def of_session(name: str) -> Revocation:
    """Return the revocation of a session."""
    return Revocation(kind="session", value=name, at=time.time(), until=time.time() + 600)


@pytest.mark.parametrize("order", [1, -1])
async def test_of_several_hosts_the_primary_is_used(pair: Pair, order: int) -> None:
    """In whatever order the URL names them."""
    ports = [pair.primary.port, pair.standby.port][::order]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    async with started(f"postgresql+asyncpg://postgres@{hosts}/postgres?ssl=disable") as store:
        row = record()
        await store.create(row, 20)
        assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"


@pytest.mark.parametrize("query", ["", "&target_session_attrs=any"])
async def test_a_standby_alone_is_refused(pair: Pair, query: str) -> None:
    """At the start, and not at the first sign-in."""
    store = PostgresStore(pair.standby.dsn + query)
    with pytest.raises(Unavailable, match=r"read.only|standby"):
        await store.start()
    await store.close()


async def test_a_server_that_can_no_longer_be_written_is_left_at_once(pair: Pair) -> None:
    """Open connections of a pool would else meet error 25006 one after the other."""
    async with started(pair.dsn, most_connections=4) as store:
        await asyncio.gather(*[store._fetch("SELECT pg_sleep(0.1)") for _ in range(4)])
        pair.primary.set("default_transaction_read_only", "on")
        try:
            with pytest.raises(Unavailable, match="read-only"):
                await store.create(record(), 20)
            for _ in range(2):
                with pytest.raises(Unavailable, match="no host of PostgreSQL can be written"):
                    await store.create(record(), 20)
        finally:
            pair.primary.set("default_transaction_read_only", "DEFAULT")
        await store.create(record(), 20)


async def test_a_dead_host_before_the_primary_costs_no_call(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that takes connections and says nothing, as one whose kernel alone still works."""
    # Else a busy machine, on which the primary needs longer than this, asks the dead one again.
    monkeypatch.setattr("linqi.stores._postgres_connections._HEAD_START", 1.5)
    async with Proxy(("127.0.0.1", pair.primary.port)).running() as silent:
        silent.set("hang")
        hosts = f"127.0.0.1:{silent.port},127.0.0.1:{pair.primary.port}"
        dsn = f"postgresql://postgres@{hosts}/postgres?sslmode=disable"
        async with started(dsn, timeout=10) as store:
            await store.create(record(), 20)
            before = silent.accepted
            await asyncio.gather(*[store._fetch("SELECT pg_sleep(0.1)") for _ in range(4)])
            assert silent.accepted == before > 0, "the dead host was tried first again"


@pytest.mark.distributed
async def test_an_address_that_points_elsewhere_moves_every_connection(pair: Pair) -> None:
    """A proxy sends new connections to another server; the old server still answers the others."""
    from postgres_standby import single_server

    with single_server() as other:
        await PostgresStore(other.dsn).initialize()
        async with Proxy(("127.0.0.1", pair.primary.port)).running() as proxy:
            dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
            events = list[Event]()
            async with started(dsn, most_connections=4) as store:
                known = Revocations(store, hooks=[events.append])
                await known.start()
                ask = "SELECT current_setting('port') FROM pg_sleep(0.2)"
                await asyncio.gather(*[store._fetch(ask) for _ in range(3)])
                proxy.target = ("127.0.0.1", other.port)
                # The fourth connection is a new one.
                await asyncio.gather(*[store._fetch(ask) for _ in range(4)], return_exceptions=True)
                rows = await asyncio.gather(*[store._fetch(ask) for _ in range(4)])
                assert {row[0][0] for row in rows} == {str(other.port)}
                # The feed, too: what others revoke there arrives.
                await until(lambda: any(isinstance(e, RevocationFeedLost) for e in events))
                await until(lambda: known.state().is_trusted and not known.state().last_error)
                async with started(other.dsn) as second:
                    await second.publish([of_session("elsewhere")])
                await until(lambda: known.knows("elsewhere"))
                await known.close()


async def test_min_replicas_is_checked_against_what_commits_wait_for(pair: Pair) -> None:
    """At the start with the remedy, and while it runs."""
    with pytest.raises(ConfigurationError, match=r"wait for 0 standbys.*'ANY 1 \(\*\)'"):
        async with started(pair.dsn, min_replicas=1):
            pass
    pair.set_synchronous(True)
    try:
        with pytest.raises(ConfigurationError, match=r"wait for 1 standbys.*min_replicas is 2"):
            async with started(pair.dsn, min_replicas=2):
                pass
        for level in ("local", "off"):
            with pytest.raises(ConfigurationError, match="ALTER ROLE"):
                async with started(f"{pair.dsn}&synchronous_commit={level}", min_replicas=1):
                    pass
        async with started(pair.dsn, min_replicas=1) as store:
            known = Revocations(store)
            await known.start()
            await store.create(record(), 20)
            pair.set_synchronous(False)

            async def refuses() -> bool:
                try:
                    await store.create(record(), 20)
                except Unavailable as error:
                    return "wait for 0 standbys" in error.detail
                return False

            end = time.monotonic() + 30
            while not await refuses():
                assert time.monotonic() < end
                await asyncio.sleep(0.1)
            pair.set_synchronous(True)
            await store.create(record(), 20)
            await known.close()
    finally:
        pair.set_synchronous(False)


async def test_what_may_be_lost_is_told_at_the_start(pair: Pair) -> None:
    """By a crash with ``synchronous_commit = off``, and by a failover that no commit waits for."""
    async with started(pair.primary.dsn) as store:
        assert store.warnings == []
    async with started(pair.dsn) as store:
        assert "2 hosts" in store.warnings[0]
    async with started(f"{pair.primary.dsn}&synchronous_commit=off") as store:
        assert "synchronous_commit is off" in store.warnings[0]
    pair.set_synchronous(True)
    try:
        async with started(pair.dsn) as store:
            assert store.warnings == []
    finally:
        pair.set_synchronous(False)


async def test_a_commit_that_no_standby_confirms_is_never_acknowledged(pair: Pair) -> None:
    """Within the limit it is 503, also for a retry that finds its change stored."""
    pair.set_synchronous(True)
    try:
        async with started(pair.dsn, min_replicas=1, timeout=0.8) as store:
            known = Revocations(store)
            await known.start()
            row = record()
            await store.create(row, 20)
            pair.standby.freeze()
            try:
                for _ in range(2):
                    for call in (
                        store.present(row.session_id, 0, RULES),
                        store.publish([of_session(row.session_id)]),
                        store.end_devices("owner", time.time()),
                    ):
                        began = core_time()
                        with pytest.raises(Unavailable):
                            await call
                        assert core_time() - began < 1.6
                assert known.state().is_trusted, "the feed needs no standby"
            finally:
                pair.standby.thaw()
            await asyncio.sleep(0.5)
            # The first call was committed here, though never acknowledged: it is safe to retry.
            assert (await store.present(row.session_id, 0, RULES)).kind == "replayed"
            await store.publish([of_session(row.session_id)])
            await known.close()
            assert row.session_id in pair.standby.sql("SELECT value FROM linqi_revocations")
    finally:
        pair.set_synchronous(False)


async def test_a_wait_that_an_administrator_ends_is_no_acknowledgement(pair: Pair) -> None:
    """PostgreSQL says that the commit succeeded, and warns that no standby has it."""
    pair.set_synchronous(True)
    try:
        async with started(pair.dsn, min_replicas=1) as store:
            pair.standby.freeze()
            try:
                writing = asyncio.create_task(store.create(record(), 20))
                waits = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                while not pair.primary.sql(f"SELECT 1 {waits}"):
                    await asyncio.sleep(0.05)
                pair.primary.sql(f"SELECT pg_cancel_backend(pid) {waits}")
                with pytest.raises(Unavailable, match="PostgreSQL warns of a commit"):
                    await writing
            finally:
                pair.standby.thaw()
            await store.create(record(), 20)
    finally:
        pair.set_synchronous(False)
