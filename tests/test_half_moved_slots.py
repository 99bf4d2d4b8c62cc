"""Slots of a Valkey cluster that are half moved, as older resharding moves them key by key."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio.cluster import RedisCluster

from core_time import core_time
from linqi.jose.session_ids import subject_tag
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.stores.valkey import ValkeyStore
from reading import reading
from records import record
from valkey_cluster import ValkeyCluster, node_id
from valkey_nodes import Node

RULES = SessionSettings()
MOVED: dict[str, Callable[[int, int], bool]] = {
    "nothing": lambda place, count: False,
    "the first": lambda place, count: place == 0,
    "half": lambda place, count: place % 2 == 1,
    "all but the last": lambda place, count: place < count - 1,
    "all": lambda place, count: True,
}
"""Which of a subject's keys have been moved: its index is the first, then its sessions."""


def other_primary(made: ValkeyCluster, node: Node) -> Node:
    """Return a primary other than `node`."""
    return next(one for one in made.nodes if one.role() == "master" and one is not node)


class Moving:
    """A subject's sessions in a cluster, whose slot can be half moved."""

    def __init__(self, made: ValkeyCluster, store: ValkeyStore, rows: list[SessionRecord]) -> None:
        self.made, self.store, self.rows = made, store, rows
        self.subject = rows[0].subject
        self.index = f"{store._prefix}:{{{subject_tag(self.subject)}}}"
        self.keys = [self.index, *(f"{self.index}:{row.session_id}" for row in rows)]

    def move(self, keys: list[str], is_moved: Callable[[int, int], bool]) -> None:
        """Half move the slot of `keys`."""
        source = self.made.primary_of(keys[0])
        target = other_primary(self.made, source)
        self.made.begin_move(keys[0], target)
        for place, key in enumerate(keys):
            if is_moved(place, len(keys)):
                source.run("MIGRATE", target.host, target.port, key, 0, 5000)
        self._ends = (keys[0], target)

    def settle(self) -> None:
        """Move the rest."""
        self.made.end_move(*self._ends)


@pytest.fixture
async def store(valkey_cluster: ValkeyCluster) -> AsyncIterator[ValkeyStore]:
    """Return a store in a cluster, with several connections to each node."""
    port = valkey_cluster.nodes[0].port
    client = RedisCluster(host="127.0.0.1", port=port)
    made = ValkeyStore(client=client, prefix=f"h{secrets.token_hex(4)}", timeout=10)
    await made.start()
    keys = [f"{{{n}}}" for n in range(40)]
    await asyncio.gather(*[client.get(key) for key in keys for _ in range(5)])
    yield made
    await made.close()
    await client.aclose()


@pytest.fixture
async def moving(valkey_cluster: ValkeyCluster, store: ValkeyStore) -> Moving:
    """Return a subject with six sessions, of which one is over and one was revoked before."""
    first = record()
    rows = [first, *(record(first.subject) for _ in range(5))]
    for row in rows:
        assert await store.create(row, 20) == []
    await store.revoke(rows[4].session_id, time.time(), "logout")
    await store._client.delete(store._subjects.key(rows[5].session_id))
    return Moving(valkey_cluster, store, rows)


@pytest.mark.parametrize("moved", MOVED)
async def test_d6_every_session_is_revoked_in_a_half_moved_slot(moving: Moving, moved: str) -> None:
    """D6: sign-out everywhere answers success only for what it did, and at once."""
    store, rows = moving.store, moving.rows
    moving.move(moving.keys, MOVED[moved])
    began = core_time()
    ids = await store.revoke_all(moving.subject, time.time(), "logout", rows[1].session_id)
    took = core_time() - began
    moving.settle()
    assert set(ids) == {rows[place].session_id for place in (0, 2, 3, 4)}
    kinds = [(await store.present(row.session_id, 0, RULES)).kind for row in rows]
    assert kinds == ["revoked", "rotated", "revoked", "revoked", "revoked", "unknown"]
    assert took < 1


@pytest.mark.parametrize("moved", MOVED)
async def test_sessions_go_on_in_a_half_moved_slot(moving: Moving, moved: str) -> None:
    """Sign-in, refresh, list, sign-out and the limit of sessions, before the slot is moved."""
    store, rows = moving.store, moving.rows
    moving.move(moving.keys, MOVED[moved])
    for row in rows[:4]:
        assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"
        found = await store.get(row.session_id)
        assert found is not None
        assert found.counter == 1
    new = record(moving.subject)
    assert await store.create(new, 20) == []
    live = [row.session_id for row in await store.live(moving.subject, time.time())]
    assert live == [row.session_id for row in [*rows[:4], new]]
    assert await store.revoke(rows[1].session_id, time.time(), "logout")
    assert not await store.revoke(rows[5].session_id, time.time(), "logout")
    newest = record(moving.subject)
    assert await store.create(newest, 3) == [rows[0].session_id, rows[2].session_id]
    await store.publish([Revocation(kind="session", value=rows[1].session_id, at=1, until=2e9)])
    moving.settle()
    live = [row.session_id for row in await store.live(moving.subject, time.time())]
    assert live == [row.session_id for row in (rows[3], new, newest)]
    for row in (rows[0], rows[1], rows[2]):
        assert (await store.present(row.session_id, 1, RULES)).kind == "revoked"


@pytest.mark.parametrize("moved", ["nothing", "all"])
async def test_the_stream_is_written_and_read_in_a_half_moved_slot(
    moving: Moving, moved: str
) -> None:
    """A worker that reads on, and one that begins; devices and the longest lifetime, too."""
    store = moving.store
    revocations = [Revocation(kind="session", value=f"s{n}", at=1, until=2e9) for n in range(3)]
    await store.raise_lifetime(900)
    await store.publish(revocations[:1])
    async with reading(store, 0) as early:
        await early.until_caught_up()
        moving.move([store._stream._stream], MOVED[moved])
        await store.publish(revocations[1:2])
        async with reading(store, 0) as late:
            await store.publish(revocations[2:])
            for reader in (early, late):
                await reader.until_caught_up(2)
                assert set(revocations) <= reader.known
        await store.purge(time.time(), 500)
        moving.settle()
    for key, action in (
        (f"{store._prefix}:longest-lifetime", lambda: store.raise_lifetime(1000)),
        (f"{store._prefix}:devices:me", lambda: store.end_devices("me", 5.0)),
    ):
        await action()
        moving.move([key], MOVED[moved])
        await action()
        assert await store.raise_lifetime(0) == 1000
        moving.settle()
    assert await store.devices_ended_at("me") > 5.0


async def test_sessions_go_on_while_a_slot_is_moved_at_once(
    valkey_cluster: ValkeyCluster, store: ValkeyStore
) -> None:
    """Valkey 9 moves a slot in one step (CLUSTER MIGRATESLOTS): no call fails, none is lost."""
    row = record()
    await store.create(row, 20)
    key = store._subjects.key(row.session_id)
    slot = store._client.keyslot(key)
    counter, is_over = 0, asyncio.Event()
    answered: list[str] = []

    async def refresh() -> None:
        nonlocal counter
        while not is_over.is_set():
            assert (await store.present(row.session_id, counter, RULES)).kind == "rotated"
            counter += 1

    async def sign_in_and_out() -> None:
        while not is_over.is_set():
            new = record(row.subject)
            await store.create(new, 500)
            answered.append(new.session_id)
            if len(answered) % 10 == 0:
                ids = await store.revoke_all(row.subject, time.time(), "logout", row.session_id)
                assert set(answered) <= set(ids)

    async with asyncio.TaskGroup() as group:
        group.create_task(refresh())
        group.create_task(sign_in_and_out())
        for _ in range(4):
            await asyncio.sleep(0.1)
            source = await asyncio.to_thread(valkey_cluster.primary_of, key)
            target = await asyncio.to_thread(other_primary, valkey_cluster, source)
            move = "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", node_id(target)
            await asyncio.to_thread(source.run, *move)
            while await asyncio.to_thread(valkey_cluster.primary_of, key) is not target:
                await asyncio.sleep(0.02)
        while counter <= 20 or len(answered) <= 10:
            await asyncio.sleep(0.01)
        is_over.set()
    found = await store.get(row.session_id)
    assert found is not None
    assert found.counter == counter
