"""Revocations that replicas must have before they are acknowledged, on real primaries."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster

from core_time import core_time
from free_ports import free_ports
from linqi.errors import RefreshRefused, TokenRevoked, Unavailable
from linqi.events import RefreshTokenReused, SessionRevoked
from linqi.jose.session_ids import subject_tag
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.stores.valkey import ValkeyStore
from reading import reading
from test_sessions import Service
from valkey_cluster import ValkeyCluster
from valkey_nodes import QUICK, Node, folder_of_nodes, running, wait_until
from waiting import until

RULES = SessionSettings()
LIMIT = 4.0
"""Seconds of a call: half of them for its replicas, and the others for a busy machine."""


class Pair:
    """A primary and its replica."""

    def __init__(self, nodes: list[Node]) -> None:
        self.primary, self.replica = nodes

    @property
    def url(self) -> str:
        """Of the primary."""
        return f"redis://{self.primary.name}/0"

    def follow(self) -> None:
        """Let the replica follow the primary, and wait until it does."""
        self.replica.run("REPLICAOF", self.primary.host, self.primary.port)
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until the replica has all that the primary has."""
        mark = secrets.token_hex(8)
        self.primary.run("SET", "mark", mark)
        wait_until(lambda: self.replica.run("GET", "mark") == mark.encode(), 60, "the replica")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the replica meanwhile; afterwards it has what it missed."""
        self.replica.freeze()
        try:
            yield
        finally:
            self.replica.thaw()
        self.catch_up()

    def fail_over(self) -> None:
        """Let the replica take the place of the primary."""
        self.replica.run("REPLICAOF", "NO", "ONE")
        self.primary, self.replica = self.replica, self.primary


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Return a primary and its replica."""
    with folder_of_nodes() as folder:
        nodes = [Node(folder / str(port), port, dict(QUICK)) for port in free_ports(2)]
        with running(nodes):
            made = Pair(nodes)
            made.follow()
            yield made


@asynccontextmanager
async def service(
    url: str,
    *,
    min_replicas: int = 1,
    limit: float = LIMIT,
    prefix: str = "",
    settings: SessionSettings = RULES,
) -> AsyncIterator[Service]:
    """Yield a service that runs on the server at `url`."""
    prefix = prefix or f"m{secrets.token_hex(4)}"
    store = ValkeyStore(url, min_replicas=min_replicas, timeout=limit, prefix=prefix)
    made = Service(time.time, store=store, settings=settings)
    await made.sessions.start()
    try:
        yield made
    finally:
        await made.sessions.close()


async def published(store: ValkeyStore) -> set[str]:
    """Return what another worker hears of."""
    async with reading(store, 0) as reader:
        await reader.until_caught_up()
        return {one.value for one in reader.known}


async def shortage(action: Coroutine[Any, Any, Any]) -> None:
    """Check that `action` fails within its limit, because of its replicas."""
    began = core_time()
    with pytest.raises(Unavailable, match="0 of 1 replicas"):
        await action
    assert core_time() - began < LIMIT


async def test_d6_a_revocation_waits_for_its_replica(pair: Pair) -> None:
    """D6: the answer is 503 until the replica has it; this process refuses, a retry succeeds."""
    async with service(pair.url) as made:
        sessions = made.sessions
        with pair.frozen():
            first, second, third = [await sessions.sign_in("alice") for _ in range(3)]
            first = await sessions.refresh(first.refresh_token)  # neither waits
            await shortage(sessions.revoke(first.session_id))
            with pytest.raises(TokenRevoked):
                made.verifier.verify(first.access_token)
            made.verifier.verify(second.access_token)
            await shortage(sessions.revoke_access_token("a-jti", time.time() + 60))
            await shortage(sessions.revoke_all("alice", kept_session=third.session_id))
            for refused in (first, second):
                with pytest.raises(TokenRevoked):
                    made.verifier.verify(refused.access_token)
            assert made.told(SessionRevoked) == []
        assert await sessions.revoke(first.session_id)
        assert await sessions.revoke_all("alice", kept_session=third.session_id) == [
            second.session_id
        ]
        assert len(made.told(SessionRevoked)) == 2
        made.verifier.verify(third.access_token)
        want = {first.session_id, second.session_id, "alice", "a-jti"}
        assert want <= await published(sessions.store)


async def test_i2_reuse_is_answered_when_a_replica_has_its_revocation(pair: Pair) -> None:
    """I2: the event comes at once; the answer is 503 until a failover cannot undo it."""
    async with service(pair.url, settings=SessionSettings(grace=0, recover_seconds=0)) as made:
        first = await made.sessions.sign_in("bob")
        await made.sessions.refresh(first.refresh_token)
        with pair.frozen():
            await shortage(made.sessions.refresh(first.refresh_token))
            assert len(made.told(RefreshTokenReused)) == 1
            with pytest.raises(TokenRevoked):
                made.verifier.verify(first.access_token)
            await shortage(made.sessions.refresh(first.refresh_token))
        with pytest.raises(RefreshRefused) as refused:
            await made.sessions.refresh(first.refresh_token)
        assert refused.value.reason == "revoked"
        assert len(made.told(RefreshTokenReused)) == 1


async def test_d12_a_sign_in_that_ends_another_session_waits(pair: Pair) -> None:
    """D12: 503 until a replica has that; trying again costs no further session."""
    async with service(pair.url, settings=SessionSettings(most_sessions=2)) as made:
        sessions = made.sessions
        first, second = [await sessions.sign_in("carol") for _ in range(2)]
        with pair.frozen():
            for _ in range(2):
                await shortage(sessions.sign_in("carol"))
            with pytest.raises(TokenRevoked):
                made.verifier.verify(first.access_token)
            made.verifier.verify(second.access_token)
        third = await sessions.sign_in("carol")
        live = [row.session_id for row in await sessions.sessions("carol")]
        assert live == [second.session_id, third.session_id]
        (event,) = [e for e in made.told(SessionRevoked) if e.session == first.session_id]
        assert event.cause == "limit"


async def test_calls_that_wait_for_a_replica_hold_up_no_refresh(pair: Pair) -> None:
    """However many sign-outs wait, half of the connections serve the others."""
    async with service(pair.url, limit=6.0) as made:
        tokens = await made.sessions.sign_in("frank")
        with pair.frozen():
            ids = [new_session_id("frank") for _ in range(120)]
            calls = [asyncio.create_task(made.sessions.revoke(name)) for name in ids]
            await asyncio.sleep(1)
            began = core_time()
            await made.sessions.refresh(tokens.refresh_token)
            assert core_time() - began < 1
            answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(answer, Unavailable) for answer in answers)


async def test_the_end_of_device_tokens_waits_for_its_replica(pair: Pair) -> None:
    """A changed password ends them for good, or is answered 503."""
    async with service(pair.url) as made:
        with pair.frozen():
            await shortage(made.sessions.devices.end("dave"))
        await made.sessions.devices.end("dave")


async def test_a_server_that_wants_replicas_itself_is_named(pair: Pair) -> None:
    """min-replicas-to-write of the server: its error says so, and nothing is written."""
    async with service(pair.url) as made:
        pair_of = await made.sessions.sign_in("erin")
        pair.primary.run("CONFIG", "SET", "min-replicas-to-write", 5)
        try:
            for action in (
                made.sessions.sign_in("erin"),
                made.sessions.refresh(pair_of.refresh_token),
                made.sessions.revoke(pair_of.session_id),
            ):
                with pytest.raises(Unavailable, match="min-replicas-to-write"):
                    await action
        finally:
            pair.primary.run("CONFIG", "SET", "min-replicas-to-write", 0)
        assert await made.sessions.revoke(pair_of.session_id)


async def failed_over(pair: Pair, *, min_replicas: int) -> str:
    """Revoke a session, kill the primary when that is acknowledged, and present its token."""
    prefix = f"m{secrets.token_hex(4)}"
    options = {"min_replicas": min_replicas, "prefix": prefix, "limit": 5.0}
    async with service(pair.url, **options) as made:
        tokens = await made.sessions.sign_in("alice")
        tokens = await made.sessions.refresh(tokens.refresh_token)
        pair.catch_up()
        pair.replica.freeze()
        pair.primary.run("CLIENT", "KILL", "TYPE", "replica")  # or the kernel would keep it
        revoking = asyncio.create_task(made.sessions.revoke(tokens.session_id))
        if min_replicas:
            await asyncio.sleep(0.05)
            assert not revoking.done()
            pair.replica.thaw()
        await revoking
        pair.primary.kill()
        if not min_replicas:
            pair.replica.thaw()
    pair.fail_over()
    async with service(pair.url, min_replicas=0, prefix=prefix) as made:
        outcome = await made.store.present(tokens.session_id, 1, RULES)
        known = await published(made.store)
    pair.replica.start()
    pair.follow()
    return outcome.kind if tokens.session_id in known else f"{outcome.kind}, not published"


@pytest.mark.distributed
async def test_i2_a_failover_undoes_no_acknowledged_revocation(pair: Pair) -> None:
    """I2: the primary is killed as soon as it has answered, 25 times."""
    kinds = [await failed_over(pair, min_replicas=1) for _ in range(25)]
    assert kinds == ["revoked"] * 25


async def test_a_failover_undoes_what_no_replica_had(pair: Pair) -> None:
    """What 0 replicas means; the same steps with 1 are in the test of failovers."""
    assert await failed_over(pair, min_replicas=0) == "rotated, not published"


@pytest.mark.distributed
async def test_d6_each_node_of_a_cluster_is_waited_for(valkey_cluster: ValkeyCluster) -> None:
    """D6: the row and the notice lie on different nodes, and each has its own replica."""
    client = RedisCluster(host="127.0.0.1", port=valkey_cluster.nodes[0].port)
    store = ValkeyStore(client=client, min_replicas=1, timeout=LIMIT)
    stream = valkey_cluster.primary_of("linqi:revocations")
    subject = subject_beside(valkey_cluster, "linqi", stream)
    row_node = valkey_cluster.primary_of(f"linqi:{{{subject_tag(subject)}}}")
    made = Service(time.time, store=store)
    await made.sessions.start()
    for node in (stream, row_node):
        tokens = await made.sessions.sign_in(subject)
        replica = valkey_cluster.replica_of(node)
        replica.freeze()
        try:
            await shortage(made.sessions.revoke(tokens.session_id))
        finally:
            replica.thaw()
        valkey_cluster.wait_healthy()
        assert await made.sessions.revoke(tokens.session_id)
    await made.sessions.close()
    await client.aclose()


@pytest.mark.distributed
async def test_i2_reuse_that_another_worker_found_waits_for_the_notice(
    valkey_cluster: ValkeyCluster,
) -> None:
    """I2: a worker that has the notice does not know that replicas have it; it makes sure once."""
    prefix = f"m{secrets.token_hex(4)}"
    stream = valkey_cluster.primary_of(f"{prefix}:revocations")
    subject = subject_beside(valkey_cluster, prefix, stream)
    options: dict[str, Any] = {"settings": SessionSettings(grace=0, recover_seconds=0)}
    async with (
        service(valkey_cluster.url, prefix=prefix, **options) as first,
        service(valkey_cluster.url, prefix=prefix, **options) as second,
    ):
        stolen = await first.sessions.sign_in(subject)
        await first.sessions.refresh(stolen.refresh_token)
        replica = valkey_cluster.replica_of(stream)
        replica.freeze()
        try:
            await shortage(first.sessions.refresh(stolen.refresh_token))
            await until(lambda: second.sessions.revocations.knows(stolen.session_id))
            await shortage(second.sessions.refresh(stolen.refresh_token))
        finally:
            replica.thaw()
        valkey_cluster.wait_healthy()
        for _ in range(3):
            with pytest.raises(RefreshRefused, match="was revoked"):
                await second.sessions.refresh(stolen.refresh_token)
        assert stream.run("XLEN", f"{prefix}:revocations") == 2 + 3  # starts, then each publication


def subject_beside(valkey_cluster: ValkeyCluster, prefix: str, node: Node) -> str:
    """Return a subject whose sessions lie on another node than `node`."""
    subjects = (f"user-{n}" for n in range(100))
    index = f"{prefix}:{{%s}}"
    return next(
        s for s in subjects if valkey_cluster.primary_of(index % subject_tag(s)) is not node
    )
