"""Every call of the PostgreSQL store ends within its stated limit, whatever hangs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial

import pytest

from chaos import Proxy
from core_time import core_time, longest_of, seconds_of, shortest
from linqi import Revocation, Revocations
from linqi.events import Event, RevocationFeedLost, RevocationFeedRestored
from linqi.sessions.attempts import AttemptLimit, Counter
from linqi.sessions.refresh import SessionSettings
from linqi.stores.postgres import PostgresStore
from postgres_standby import Server, single_server
from records import record
from waiting import answered, until

LIMIT = 1.0
MOST = LIMIT + 0.7
"""For a machine on which other tests run: the calls took twice their limit before."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server of this module's own, which it may freeze."""
    with single_server() as running:
        asyncio.run(PostgresStore(running.dsn).initialize())
        yield running


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Freeze the server for a while."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def open_all(store: PostgresStore, count: int) -> None:
    """Open `count` connections, however many calls that takes on a busy machine."""
    while store._connections._pool.get_size() < count:
        calls = [store._fetch("SELECT pg_sleep(0.2)") for _ in range(count)]
        await asyncio.gather(*calls, return_exceptions=True)


OPERATIONS: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "create": lambda store: store.create(record(), 20),
    "present": lambda store: store.present("x" * 30, 0, SessionSettings()),
    "get": lambda store: store.get("x"),
    "live": lambda store: store.live("x", 0),
    "revoke": lambda store: store.revoke("x", 1, "admin"),
    "revoke_all": lambda store: store.revoke_all("x", 1, "admin"),
    "raise_lifetime": lambda store: store.raise_lifetime(1),
    "end_devices": lambda store: store.end_devices("x", 1),
    "devices_ended_at": lambda store: store.devices_ended_at("x"),
    "publish": lambda store: store.publish([Revocation(kind="session", value="x", at=1, until=2)]),
    "purge": lambda store: store.purge(1, 1),
    "reserve": lambda store: store.attempts().reserve("x", [Counter("x", AttemptLimit(1, 1))], 1),
}


@pytest.fixture
async def store(server: Server) -> AsyncIterator[PostgresStore]:
    """Return a store whose connections are open."""
    opened = PostgresStore(server.dsn, timeout=LIMIT, most_connections=2)
    await answered(opened.start)
    await answered(partial(opened.attempts().reserve, "y", [], 1))
    yield opened
    await opened.close()


@pytest.mark.parametrize("is_own", [True, False])
async def test_a_frozen_server_delays_no_call_beyond_its_limit(
    server: Server, is_own: bool
) -> None:
    """SIGSTOP of the server: connections are open, and a cancel request is not answered."""
    import asyncpg

    count = len(OPERATIONS)
    pool = None if is_own else await asyncpg.create_pool(server.dsn, min_size=0, max_size=count)
    opened = PostgresStore(
        server.dsn if is_own else None, pool=pool, timeout=LIMIT, most_connections=count
    )
    await answered(opened.start)
    await open_all(opened, count)
    await answered(partial(opened.attempts().reserve, "y", [], 1))
    with frozen(server):
        for _ in range(5):  # where the machine stood still, the times say nothing
            calls = [seconds_of(call(opened)) for call in OPERATIONS.values()]
            took = dict(zip(OPERATIONS, await asyncio.gather(*calls), strict=True))
            if max(took.values()) < MOST:
                break
        assert max(took.values()) < MOST, took
    await opened.close()
    if pool is not None:
        pool.terminate()


@pytest.mark.parametrize("name", ["start", "initialize"])
async def test_a_frozen_server_delays_no_start_beyond_its_limit(name: str, server: Server) -> None:
    """The kernel accepts the connection, and no one answers on it."""
    new = PostgresStore(server.dsn, timeout=LIMIT)
    with frozen(server):
        assert await shortest(lambda: seconds_of(getattr(new, name)()), MOST) < MOST
    await new.close()


async def test_a_full_pool_delays_no_call_beyond_its_limit(store: PostgresStore) -> None:
    """Waiting for a connection counts, and the pool is whole again afterwards."""
    pool = store._connections._pool
    taken = [await pool.acquire() for _ in range(2)]
    assert await shortest(lambda: seconds_of(store.get("x")), MOST) < MOST
    for connection in taken:
        await pool.release(connection)
    sleep = partial(store._fetch, "SELECT pg_sleep(0.1)")
    await asyncio.gather(*[answered(sleep) for _ in range(4)])


@pytest.mark.distributed
async def test_a_full_pool_does_not_silence_the_feed(store: PostgresStore, server: Server) -> None:
    """It has connections of its own: its trust lapsed without an event before."""
    known = Revocations(store, stale_after=2)
    await known.start()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        await asyncio.gather(
            *[store._fetch("SELECT pg_sleep(0.5)") for _ in range(3)], return_exceptions=True
        )
        assert known.state().is_trusted
    await known.close()


@pytest.mark.parametrize("moment", ["begin", "read", "beat"])
async def test_a_feed_whose_server_hangs_says_so(server: Server, moment: str) -> None:
    """Within its limit at each step, so that trust never lapses in silence."""
    store = PostgresStore(server.dsn, timeout=LIMIT)
    await answered(store.start)
    events = list[Event]()
    known = Revocations(store, hooks=[events.append])
    with contextlib.ExitStack() as stack:
        if moment == "beat":
            await known.start()
        if moment == "read":
            many = [
                Revocation(kind="session", value=f"n{n}", at=1, until=9e9) for n in range(5_000)
            ]
            for first in range(0, len(many), 500):
                await answered(partial(store.publish, many[first : first + 500]))
            add = known.add

            def freeze_in_the_read(page: Sequence[Revocation]) -> None:
                add(page)
                if not events:
                    stack.enter_context(frozen(server))
                    events.append(RevocationFeedRestored())

            known.add = freeze_in_the_read  # type: ignore[method-assign]
        else:
            stack.enter_context(frozen(server))
        starting = asyncio.create_task(known.start())
        lost = lambda: any(isinstance(event, RevocationFeedLost) for event in events)  # noqa: E731
        await until(lost, 3 * LIMIT + 2)
        starting.cancel()
        await asyncio.wait([starting])
    known.add = Revocations.add.__get__(known)  # type: ignore[method-assign]
    await until(lambda: known.state().is_trusted)
    await known.close()
    await store.close()


async def test_a_proxy_that_hangs_delays_no_call_and_no_end(server: Server) -> None:
    """Neither what is cancelled nor `close` waits for it; afterwards the next call succeeds."""
    async with Proxy(("127.0.0.1", server.port)).running() as proxy:
        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
        store = PostgresStore(dsn, timeout=LIMIT, most_connections=2)
        await answered(store.start)
        proxy.set("hang")
        three = lambda: longest_of([store.get("x") for _ in range(3)])  # noqa: E731
        assert await shortest(three, MOST) < MOST
        began = core_time()
        await store.close()
        assert core_time() - began < MOST + 1
        proxy.set("pass")
        await answered(store.start)
        await answered(partial(store.get, "x"))
        await store.close()
