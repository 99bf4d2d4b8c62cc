"""Refreshes go on with the new primary: sentinels, clusters, a server behind a plain URL.

The parts that take a failure's time are run by make distributed.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest

from core_time import core_time
from free_ports import free_ports
from linqi.errors import Unavailable
from linqi.sessions.attempts import AttemptLimit, Counter
from linqi.sessions.record import Revocation
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import SessionStore
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from linqi.stores.valkey_attempts import ValkeyAttempts
from reading import Reading, reading
from records import record
from valkey_cluster import ValkeyCluster, cluster
from valkey_nodes import CALM_MS, QUICK, Node, folder_of_nodes, running, wait_until
from valkey_sentinel import ValkeySentinel, sentinel
from waiting import answered

LIMIT = 1.0
"""Seconds of a call, in all of these tests."""
LATE = 0.5
"""Seconds by which a slow machine may end a call late."""
SETTINGS = SessionSettings()


@contextlib.asynccontextmanager
async def opened(url: str, limit: float = LIMIT) -> AsyncIterator[SessionStore]:
    """Yield a started store whose calls take `limit` at most."""
    store = open_store(url, timeout_seconds=limit, prefix=f"t{secrets.token_hex(4)}")
    try:
        await answered(store.start)
        yield store
    finally:
        await store.close()


async def sign_in(store: SessionStore, subject: str = "alice") -> str:
    """Return the id of a new session."""
    now = store.now()
    row = record(subject, started_at=now, expires_at=now + 1000, ends_at=now + 2000)
    await store.create(row, 5)
    return row.session_id


class Crowd:
    """Clients that refresh one session each, several times a second."""

    def __init__(self, store: SessionStore, every: float = 0.2) -> None:
        self.store = store
        self.every = every
        self.outcomes: list[tuple[float, float, str]] = []
        """When each call began and ended, by `core_time`, and what came of it."""
        self.ends: list[str] = []
        """The outcomes that signed a client out."""

    async def run(self, subjects: int, is_over: asyncio.Event) -> None:
        """Refresh until `is_over`."""
        names = [await answered(partial(sign_in, self.store, f"user-{n}")) for n in range(subjects)]
        await asyncio.gather(*(self._refresh(name, is_over) for name in names))

    async def _refresh(self, session_id: str, is_over: asyncio.Event) -> None:
        counter = 0
        while not is_over.is_set():
            began = core_time()
            try:
                outcome = await self.store.present(session_id, counter, SETTINGS)
            except Unavailable as error:
                self.outcomes.append((began, core_time(), error.detail))
            else:
                self.outcomes.append((began, core_time(), outcome.kind))
                if outcome.record is None or outcome.kind in ("reused", "revoked"):
                    self.ends.append(outcome.kind)
                    return
                counter = outcome.record.counter
            await asyncio.sleep(self.every)

    def first_success(self, after: float) -> float:
        """Return how many seconds after `after` the last call before good ones only had ended."""
        failures = [end for _, end, kind in self.outcomes if end > after and " " in kind]
        successes = [
            end
            for _, end, kind in self.outcomes
            if " " not in kind and end > max(failures, default=after)
        ]
        return min(successes) - after

    @property
    def longest(self) -> float:
        """The seconds of the longest call."""
        return max(end - began for began, end, _ in self.outcomes)


async def refreshing(
    store: SessionStore, harm: Callable[[], object], seconds: float
) -> tuple[Crowd, float]:
    """Let a crowd refresh while `harm` is done, and for `seconds` after it; return its end."""
    crowd, is_over = Crowd(store), asyncio.Event()
    task = asyncio.create_task(crowd.run(20, is_over))
    while len(crowd.outcomes) < 40:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(harm)
    harmed = core_time()
    await asyncio.sleep(seconds)
    is_over.set()
    await task
    return crowd, harmed


@pytest.fixture
def own_sentinel() -> Iterator[ValkeySentinel]:
    """Return servers and sentinels that may be harmed."""
    with sentinel() as made:
        yield made


@pytest.fixture
def calm_sentinel() -> Iterator[ValkeySentinel]:
    """Return servers and sentinels that fail over only when they are told to."""
    with sentinel(down_after=CALM_MS) as made:
        yield made


@pytest.fixture
def own_cluster() -> Iterator[ValkeyCluster]:
    """Return a cluster that may be harmed."""
    with cluster() as made:
        yield made


@pytest.fixture
def calm_cluster() -> Iterator[ValkeyCluster]:
    """Return a cluster that fails over only when it is told to."""
    with cluster(node_timeout=CALM_MS) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[list[Node]]:
    """Return two servers that know nothing of each other."""
    with folder_of_nodes() as folder:
        nodes = [Node(folder / str(port), port, QUICK) for port in free_ports(2)]
        with running(nodes):
            yield nodes


# -- one server ----------------------------------------------------------------------------------


async def test_a_server_that_became_a_replica_is_left(pair: list[Node]) -> None:
    """Within half a second no connection to it is left that would read what is stale."""
    old, new = pair
    async with opened(f"valkey://{old.name}/0") as store:
        name = await sign_in(store)
        assert (await store.get(name)) is not None
        old.run("REPLICAOF", new.host, new.port)
        wait_until(lambda: old.run("ROLE")[3] == b"connected", 60, "the replication")
        with contextlib.suppress(Unavailable):
            await store.get(name)
        await asyncio.sleep(0.5)
        with pytest.raises(Unavailable, match="is a replica, not a primary"):
            await store.get(name)
        old.run("REPLICAOF", "NO", "ONE")
        await sign_in(store)


async def test_a_feed_on_a_replica_is_not_trusted(pair: list[Node]) -> None:
    """It would say that it has read everything, of what came until then."""
    old, new = pair
    async with opened(f"valkey://{old.name}/0") as store:
        reader = Reading()
        follower = asyncio.create_task(store.follow(store.now(), reader))
        await reader.until_caught_up(1)
        old.run("REPLICAOF", new.host, new.port)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(follower, 30)


# -- sentinels -----------------------------------------------------------------------------------


async def test_a_planned_failover_by_sentinels_is_followed(calm_sentinel: ValkeySentinel) -> None:
    """Long before the old primary is a replica, which takes it 11 s.

    What it acknowledged after the promotion is lost, so that sessions are taken over; no session
    that refreshes at most twice in that time ends.
    """
    old = calm_sentinel.primary()
    async with opened(calm_sentinel.url) as store, reading(store, store.now()) as reader:
        await reader.until_caught_up(1)
        crowd, harmed = await refreshing(store, calm_sentinel.fail_over, 2)
        assert old.role() == "master"  # it still would take writes
        assert calm_sentinel.primary() is not old
        assert crowd.first_success(harmed) < 2
        assert crowd.longest < LIMIT + LATE
        old.run("CONFIG", "RESETSTAT")
        name = await sign_in(store)
        mark = Revocation(kind="session", value=name, at=store.now(), until=store.now() + 99)
        await store.publish([mark])
        assert "cmdstat_evalsha" not in old.run("INFO", "commandstats")
        async with reading(store, store.now(), reader):
            await reader.until_known({mark})


@pytest.mark.distributed
async def test_a_coordinated_failover_loses_nothing(calm_sentinel: ValkeySentinel) -> None:
    """Valkey 9 hands over after the replica has everything."""

    def harm() -> None:
        asked = calm_sentinel.sentinels[0]
        asked.run("SENTINEL", "FAILOVER", calm_sentinel.master_name, "COORDINATED")

    async with opened(calm_sentinel.url) as store:
        crowd, harmed = await refreshing(store, harm, 5)
        assert crowd.ends == []
        assert crowd.first_success(harmed) < 3
        assert crowd.longest < LIMIT + LATE


@pytest.mark.distributed
@pytest.mark.parametrize("act", ["kill", "freeze"])
async def test_a_failed_primary_is_replaced(own_sentinel: ValkeySentinel, act: str) -> None:
    """After the sentinels' time, 1 s here, and their election; each call ends within its limit."""
    old = own_sentinel.primary()
    async with opened(own_sentinel.url) as store:
        crowd, harmed = await refreshing(store, getattr(old, act), 7)
        assert crowd.ends == []
        assert crowd.first_success(harmed) < 5
        assert crowd.longest < LIMIT + LATE


@pytest.mark.distributed
async def test_a_sentinel_that_hangs_delays_no_call(own_sentinel: ValkeySentinel) -> None:
    """Nor does one that is gone: the others answer."""
    own_sentinel.sentinels[0].freeze()
    own_sentinel.sentinels[1].kill()
    async with opened(own_sentinel.url) as store:
        crowd, _ = await refreshing(store, lambda: None, 1)
        assert {kind for _, _, kind in crowd.outcomes} == {"rotated"}
        assert crowd.longest < 0.5
    own_sentinel.sentinels[0].thaw()


# -- clusters ------------------------------------------------------------------------------------


async def test_a_planned_failover_in_a_cluster_loses_nothing(calm_cluster: ValkeyCluster) -> None:
    """Every primary hands over to its replica while sessions are refreshed and a feed is read."""

    def harm() -> None:
        for primary in calm_cluster.nodes[: calm_cluster.primaries]:
            replica = calm_cluster.replica_of(primary)
            replica.run("CLUSTER", "FAILOVER")
            wait_until(lambda replica=replica: replica.role() == "master", 60, "a failover")

    limit = 5.0  # no call fails: each waits for the new primary, however slow that is
    async with opened(calm_cluster.url, limit) as store, reading(store, store.now()) as reader:
        await reader.until_caught_up(1)
        crowd, harmed = await refreshing(store, harm, 2)
        assert {kind for _, _, kind in crowd.outcomes} == {"rotated"}
        assert crowd.longest < LIMIT + LATE
        assert crowd.first_success(harmed) < 0.5
        mark = Revocation(kind="session", value="x" * 30, at=store.now(), until=store.now() + 99)
        await store.publish([mark])
        async with reading(store, store.now(), reader):
            await reader.until_known({mark})


@pytest.mark.distributed
async def test_an_attempt_waits_while_its_counters_are_moved(own_cluster: ValkeyCluster) -> None:
    """A slot that is half moved answers TRYAGAIN; afterwards the attempt is counted."""
    key = "linqi:{attempts}"
    source = own_cluster.primary_of(key)
    target = next(node for node in own_cluster.nodes[: own_cluster.primaries] if node is not source)
    attempts = ValkeyAttempts(own_cluster.url, timeout=LIMIT)
    counters = [Counter(name, AttemptLimit(1, 60)) for name in ("a", "b")]
    assert not await attempts.reserve("first", counters, 1000.0)
    own_cluster.begin_move(key, target)
    source.run("MIGRATE", target.host, target.port, f"{key}:a", 0, 5000)
    second = asyncio.create_task(attempts.reserve("second", counters, 1001.0))
    await asyncio.sleep(0.3)
    assert not second.done()
    await asyncio.to_thread(own_cluster.end_move, key, target)
    assert {full.key for full in await second} == {"a", "b"}
    await attempts.close()


@pytest.mark.distributed
@pytest.mark.parametrize("act", ["kill", "freeze"])
async def test_a_failed_node_is_replaced(own_cluster: ValkeyCluster, act: str) -> None:
    """Calls to its slots get 503 meanwhile, each within its limit; the others go on."""
    async with opened(own_cluster.url) as store:
        prefix = store._prefix  # type: ignore[attr-defined]
        failed = own_cluster.primary_of(f"{prefix}:revocations")
        crowd, harmed = await refreshing(store, getattr(failed, act), 7)
        assert crowd.ends == []
        assert crowd.first_success(harmed) < 5
        assert crowd.longest < LIMIT + LATE
        reader = Reading()
        async with reading(store, store.now(), reader):
            await reader.until_caught_up(2)


@pytest.mark.distributed
async def test_calls_end_in_time_while_a_cluster_is_down(own_cluster: ValkeyCluster) -> None:
    """Two of three primaries and their replicas are gone: the rest answers CLUSTERDOWN."""
    first = own_cluster.nodes[0]
    kept = {first.port, own_cluster.replica_of(first).port}
    async with opened(own_cluster.url) as store:

        def harm() -> None:
            for node in own_cluster.nodes:
                if node.port not in kept:
                    node.kill()

        crowd, _ = await refreshing(store, harm, 5)
        last = {kind for began, _, kind in crowd.outcomes if began > crowd.outcomes[-1][0] - 1}
        assert last
        assert all(kind.startswith("Valkey") for kind in last), last
        assert crowd.longest < LIMIT + LATE


@pytest.mark.distributed
async def test_d10_a_connection_to_a_replica_is_not_used_after_a_cancellation(
    valkey_sentinel: ValkeySentinel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10: while the sentinels still name it, a request waits, and may be cancelled meanwhile."""
    (replica,) = (node for node in valkey_sentinel.servers if node.role() == "slave")
    store = ValkeyStore(valkey_sentinel.url, timeout=LIMIT, prefix=f"t{secrets.token_hex(4)}")
    await store.start()
    name = await sign_in(store)
    pool = store._client.connection_pool
    await pool.disconnect()

    async def as_named() -> tuple[str, int]:
        pool.master_address = (replica.host, replica.port)
        return replica.host, replica.port

    with monkeypatch.context() as patched:
        patched.setattr(pool, "get_master_address", as_named)
        reading_row = asyncio.create_task(store.get(name))
        await asyncio.sleep(0.2)
        reading_row.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading_row
        with pytest.raises(Unavailable):
            await store.get(name)
    assert await store.get(name) is not None
    await store.close()
