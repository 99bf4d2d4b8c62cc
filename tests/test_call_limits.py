"""Calls of a Valkey store end within their limit, whatever the server does."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Connection, ConnectionPool, Redis

from core_time import core_time, longest_of, seconds_of, shortest
from linqi.errors import Unavailable
from linqi.jose.session_ids import subject_tag
from linqi.sessions.record import Revocation
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.stores.valkey import ValkeyStore
from records import record
from valkey_cluster import ValkeyCluster, cluster
from valkey_nodes import Node, single
from waiting import answered

LIMIT = 0.6
SLACK = 1.0
"""Seconds that a busy machine may take; without a limit, the driver's retries end after 1.8 s."""
RULES = SessionSettings()
NOW = time.time()
OPERATIONS: dict[str, Callable[[ValkeyStore, str], Coroutine[Any, Any, Any]]] = {
    "create": lambda store, subject: store.create(record(subject), 20),
    "present": lambda store, subject: store.present(new_session_id(subject), 0, RULES),
    "get": lambda store, subject: store.get(new_session_id(subject)),
    "live": lambda store, subject: store.live(subject, NOW),
    "revoke": lambda store, subject: store.revoke(new_session_id(subject), NOW, "admin"),
    "revoke_all": lambda store, subject: store.revoke_all(subject, NOW, "admin"),
    "publish": lambda store, subject: store.publish(
        [Revocation(kind="session", value=new_session_id(subject), at=NOW, until=NOW + 900)]
    ),
    "purge": lambda store, subject: store.purge(NOW, 500),
    "raise_lifetime": lambda store, subject: store.raise_lifetime(900),
    "end_devices": lambda store, subject: store.end_devices(subject, NOW),
    "devices_ended_at": lambda store, subject: store.devices_ended_at(subject),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Node]:
    """Return a server to be frozen."""
    with single() as node:
        yield node


@contextlib.contextmanager
def frozen(node: Node) -> Iterator[None]:
    """Freeze a server meanwhile."""
    node.freeze()
    try:
        yield
    finally:
        node.thaw()


@contextlib.asynccontextmanager
async def started(url: str, **options: Any) -> AsyncIterator[ValkeyStore]:
    """Yield a started store."""
    store = ValkeyStore(url, timeout=LIMIT, prefix=f"l{secrets.token_hex(4)}", **options)
    await answered(store.start)
    try:
        yield store
    finally:
        await store.close()


async def test_every_call_ends_while_the_server_hangs(server: Node) -> None:
    """Over a connection that was open before, and over new ones."""
    async with started(f"redis://{server.name}/0") as store:
        with frozen(server):
            names = [*OPERATIONS] * 3
            for _ in range(5):  # where the machine stood still, the times say nothing
                calls = [seconds_of(OPERATIONS[name](store, "alice")) for name in names]
                took = dict(zip(names, await asyncio.gather(*calls), strict=True))
                if max(took.values()) <= LIMIT + SLACK:
                    break
        assert {name: s for name, s in took.items() if s > LIMIT + SLACK} == {}
        for operation in OPERATIONS.values():
            await answered(partial(operation, store, "alice"))


async def test_a_call_ends_though_the_event_loop_was_held_up_as_it_was_sent(server: Node) -> None:
    """The limit is over in the turn in which the command is written, which loses a cancellation."""
    holds = False

    class Slow(Connection):
        async def _send_packed_command(self, command: Any) -> None:
            await super()._send_packed_command(command)  # type: ignore[no-untyped-call]
            if holds:
                time.sleep(LIMIT + 0.05)  # noqa: ASYNC251 - it is the fault

    options = {"host": server.host, "port": server.port, "socket_timeout": 60}
    client = Redis(connection_pool=ConnectionPool(connection_class=Slow, **options))
    store = ValkeyStore(client=client, timeout=LIMIT)
    await answered(store.start)
    with frozen(server):
        holds = True
        assert await seconds_of(store.get(new_session_id("alice"))) < 20
        holds = False
    await store.close()
    await client.aclose()
    await client.connection_pool.disconnect()


async def test_waiting_for_a_connection_counts(server: Node) -> None:
    """With one connection, which another call holds."""
    async with started(f"redis://{server.name}/0", most_connections=1) as store:
        with frozen(server):
            names = ("get", "create")
            both = lambda: longest_of([OPERATIONS[name](store, "alice") for name in names])  # noqa: E731
            assert await shortest(both, LIMIT + SLACK) < LIMIT + SLACK
        await answered(partial(store.get, new_session_id("alice")))


async def test_looks_at_a_server_that_hangs_take_no_connection_of_a_call(server: Node) -> None:
    """Every 0.25 s it is asked whether it is still the primary, and never twice at once."""
    store = ValkeyStore(f"redis://{server.name}/0", timeout=20, most_connections=7)
    await store.start()
    await asyncio.gather(*[store._client.ping() for _ in range(10)])  # opens all connections
    with frozen(server):
        calls = []
        for _ in range(7):
            calls.append(asyncio.create_task(store.get(new_session_id("alice"))))
            await asyncio.sleep(0.3)  # then another look is due
    assert await asyncio.gather(*calls) == [None] * 7
    await store.close()


async def test_a_store_that_hangs_at_the_start_is_unavailable(server: Node) -> None:
    """The start has a limit as well."""
    store = ValkeyStore(f"redis://{server.name}/0", timeout=LIMIT)
    with frozen(server):
        took = await shortest(lambda: seconds_of(store.start()), LIMIT + SLACK)
        assert took < LIMIT + SLACK
    await store.close()


@contextlib.asynccontextmanager
async def relayed(node: Node, pause: list[float]) -> AsyncIterator[str]:
    """Yield the address of a relay to a server, over which each command takes ``pause[0]`` s."""
    relays: set[asyncio.Task[None] | None] = set()

    async def pass_on(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, pause: list[float]
    ) -> None:
        while data := await source.read(65_536):
            await asyncio.sleep(pause[0])
            sink.write(data)
        raise OSError("ended")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays.add(asyncio.current_task())
        there, back = await asyncio.open_connection(node.host, node.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pass_on(reader, back, pause))
                both.create_task(pass_on(there, writer, [0]))
        except* OSError:
            pass
        finally:
            writer.transport.abort()
            back.transport.abort()

    async with await asyncio.start_server(relay, node.host, 0) as server:
        yield f"{node.host}:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait([task for task in relays if task is not None], timeout=10)


async def test_all_round_trips_of_a_token_share_one_limit(server: Node) -> None:
    """One that is far ahead of the store takes three."""
    prefix = f"l{secrets.token_hex(4)}"
    row = record()
    near = ValkeyStore(f"redis://{server.name}/0", prefix=prefix)
    await near.start()
    await near.create(row, 20)
    pause = [0.0]
    async with relayed(server, pause) as name:
        far = ValkeyStore(f"redis://{name}/0", prefix=prefix, timeout=LIMIT)
        await answered(far.start)
        pause[0] = LIMIT / 2
        present = partial(far.present, row.session_id, 1_000, RULES)
        took = await shortest(lambda: seconds_of(present()), LIMIT + SLACK)
        assert took < LIMIT + SLACK
        pause[0] = 0.0
        await far.close()
    await near.close()


@pytest.fixture(scope="module")
def pairs() -> Iterator[ValkeyCluster]:
    """Return a cluster whose nodes may be frozen, without replicas."""
    with cluster(primaries=3, replicas=0, node_timeout=60_000) as made:
        yield made


@pytest.mark.distributed
async def test_a_node_that_hangs_holds_up_no_other(pairs: ValkeyCluster) -> None:
    """In a cluster: calls to it end within their limit, calls to others at once."""
    async with started(pairs.url, most_connections=200) as store:
        names = [f"user-{n}" for n in range(60)]
        keys = {name: f"{store._prefix}:{{{subject_tag(name)}}}" for name in names}
        node = pairs.primary_of(keys[names[0]])
        here = [name for name in names if pairs.primary_of(keys[name]) is node]
        others = [name for name in names if pairs.primary_of(keys[name]) is not node]
        rows = [record(name) for name in others]
        for row in rows:
            await store.create(row, 20)
        with frozen(node):
            hung = [
                asyncio.create_task(seconds_of(OPERATIONS[name](store, user)))
                for user in here[:4]
                for name in ("create", "present", "get", "live", "revoke", "revoke_all")
            ]
            await asyncio.sleep(0.1)
            began = core_time()
            for row in rows:
                assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"
            took = core_time() - began
            assert max(await asyncio.gather(*hung)) < LIMIT + SLACK
        assert took < LIMIT
        for name in ("create", "present", "get", "live", "revoke", "revoke_all"):
            await OPERATIONS[name](store, here[0])


@pytest.mark.distributed
@pytest.mark.parametrize("is_killed", [False, True])
async def test_the_first_node_holds_up_no_other(is_killed: bool) -> None:
    """The node of which the driver asks more than of others may be the one that is gone."""
    with cluster(primaries=3, replicas=0, node_timeout=60_000) as made:
        async with started(made.url, most_connections=200) as store:
            first = store._client.nodes_manager.default_node.port
            (node,) = (node for node in made.nodes if node.port == first)
            rows = [record(f"user-{n}") for n in range(30)]
            owner = {row: made.primary_of(store._subjects.key(row.session_id)) for row in rows}
            for row in rows:
                await store.create(row, 20)
            (node.kill if is_killed else node.freeze)()
            here = [row for row in rows if owner[row] is node]
            failing = [asyncio.create_task(seconds_of(store.get(row.session_id))) for row in here]
            await asyncio.sleep(LIMIT / 2)  # some have failed, and ask where their slot is now
            failing += [asyncio.create_task(seconds_of(store.get(row.session_id))) for row in here]
            for row in rows:
                if owner[row] is not node:
                    assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"
            assert max(await asyncio.gather(*failing)) < LIMIT + SLACK
            if not is_killed:
                node.thaw()


@pytest.mark.distributed
async def test_a_node_that_hangs_is_left_for_the_replica_that_replaced_it() -> None:
    """The driver sees no error on its connections, and would ask the frozen node for ever."""
    with cluster(primaries=3, replicas=1, node_timeout=1000) as made:
        async with started(made.url) as store:
            row = record()
            await store.create(row, 20)
            node = made.primary_of(store._subjects.key(row.session_id))
            with frozen(node):
                began, kind = time.monotonic(), ""
                while time.monotonic() < began + 60 and kind != "rotated":
                    with contextlib.suppress(Unavailable):
                        kind = (await store.present(row.session_id, 0, RULES)).kind
                    await asyncio.sleep(0.05)
                assert kind in ("rotated", "replayed")
