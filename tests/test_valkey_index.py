"""The index of a subject's sessions in Valkey: what counts, in which order, beside old workers."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.stores._valkey_rows import session_row
from linqi.stores.valkey import ValkeyStore
from records import record

RULES = SessionSettings()
SCHEMAS = Path(__file__).parent / "schemas"
NOW = time.time()


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[ValkeyStore]:
    """Return a store of this test's own."""
    made = ValkeyStore(valkey_url, prefix=f"i{secrets.token_hex(4)}")
    await made.start()
    await made.raise_lifetime(900)
    yield made
    await made.close()


def index_of(store: ValkeyStore, row: SessionRecord) -> str:
    """Return the key of the index that has a session."""
    return store._subjects.key(row.session_id).rpartition(":")[0]


async def publish(store: ValkeyStore, session_ids: list[str]) -> None:
    """Publish the revocation of sessions."""
    await store.publish(
        [Revocation(kind="session", value=name, at=NOW, until=NOW + 1200) for name in session_ids]
    )


class Before:
    """A worker of the release before."""

    def __init__(self, store: ValkeyStore) -> None:
        self.store = store
        self.scripts = {
            name: (SCHEMAS / f"valkey_{name}_2.lua").read_text() for name in ("create", "revoke")
        }

    async def create(self, row: SessionRecord, most: int) -> list[str]:
        """Store a session."""
        key, index = self.store._subjects.key(row.session_id), index_of(self.store, row)
        instants = [repr(row.started_at), repr(row.expires_at), repr(row.ends_at)]
        arguments = [f"{index}:", row.session_id, most, *instants, session_row(row)]
        return self.names(await self.run("create", 2, key, index, *arguments))

    async def revoke(self, row: SessionRecord) -> bool:
        """Revoke a session."""
        key, index = self.store._subjects.key(row.session_id), index_of(self.store, row)
        return bool(await self.run("revoke", 2, key, key, f"{index}:", repr(NOW), "logout", ""))

    async def revoke_all(self, row: SessionRecord) -> list[str]:
        """Revoke all sessions of the subject of `row`."""
        index = index_of(self.store, row)
        return self.names(await self.run("revoke", 1, index, f"{index}:", repr(NOW), "logout", ""))

    async def run(self, name: str, *arguments: Any) -> Any:
        """Run a script."""
        return await self.store._client.eval(self.scripts[name], *arguments)

    @staticmethod
    def names(found: list[bytes]) -> list[str]:
        """Return ids as text."""
        return [name.decode() for name in found]


async def test_workers_of_the_release_before_count_list_and_revoke_with_these(
    store: ValkeyStore,
) -> None:
    """A rolling upgrade: if one release signs a session in or out, the other knows."""
    before = Before(store)
    rows = [record()]
    rows += [record(rows[0].subject) for _ in range(7)]
    subject = rows[0].subject
    rows = [msgspec.structs.replace(row, started_at=time.time() + n) for n, row in enumerate(rows)]
    assert await before.create(rows[0], 3) == []
    assert await store.create(rows[1], 3) == []
    assert await before.create(rows[2], 3) == []
    assert await store.create(rows[3], 3) == [rows[0].session_id]
    assert await before.create(rows[4], 3) == [rows[1].session_id]
    assert await before.revoke(rows[2])
    assert await store.create(rows[5], 3) == []  # what the other revoked does not count
    live = [row.session_id for row in await store.live(subject, NOW)]
    assert set(live) == {rows[place].session_id for place in (3, 4, 5)}
    assert await store.revoke(rows[4].session_id, NOW, "logout")
    assert await before.create(rows[6], 3) == []
    assert await before.revoke_all(rows[0]) == await before.revoke_all(rows[0])
    for row in rows[:7]:
        assert (await store.present(row.session_id, 0, RULES)).kind == "revoked"
    # The other may have died before it published them: they are told here.
    ids = await store.revoke_all(subject, NOW, "logout")
    assert {rows[place].session_id for place in (3, 5, 6)} <= set(ids)
    await publish(store, ids)
    assert await store.revoke_all(subject, NOW, "logout") == []
    assert await before.create(rows[7], 3) == []
    assert await store.revoke_all(subject, NOW, "logout") == [rows[7].session_id]


async def test_the_oldest_session_is_that_of_the_first_sign_in_by_the_servers_clock(
    store: ValkeyStore,
) -> None:
    """A worker whose clock is ahead or behind signs out none but the oldest."""
    first = record()
    skews = (0, 400, -5, 300, 0)
    rows = [first]
    rows += [record(first.subject, started_at=first.started_at + skew) for skew in skews]
    over = [await store.create(row, 3) for row in rows]
    assert over == [[], [], [], *([row.session_id] for row in rows[:3])]
    live = [row.session_id for row in await store.live(first.subject, NOW - 100)]
    assert live == [row.session_id for row in rows[3:]]


async def test_a_session_is_known_until_its_revocation_was_published(store: ValkeyStore) -> None:
    """A sign-out everywhere that failed half-way is told again; then it leaves the index."""
    rows = [record()]
    rows += [record(rows[0].subject) for _ in range(3)]
    for row in rows:
        await store.create(row, 20)
    ids = await store.revoke_all(rows[0].subject, NOW, "logout")
    assert ids == [row.session_id for row in rows]
    assert await store.live(rows[0].subject, NOW) == []
    assert set(await store.revoke_all(rows[0].subject, NOW, "logout")) == set(ids)
    await publish(store, ids[:2])
    assert set(await store.revoke_all(rows[0].subject, NOW, "logout")) == set(ids[2:])
    await publish(store, ids[2:])
    assert not await store._client.exists(index_of(store, rows[0]))
    assert (await store.present(ids[0], 0, RULES)).kind == "revoked"  # reuse of it is still told


async def test_sessions_that_expired_count_no_more(store: ValkeyStore) -> None:
    """The server deleted their rows; the sign-in that finds the index full takes their names."""
    rows = [record()]
    rows += [record(rows[0].subject) for _ in range(5)]
    for row in rows[:4]:
        await store.create(row, 4)
    for row in rows[:3]:
        await store._client.delete(store._subjects.key(row.session_id))
    assert await store.create(rows[4], 4) == []
    assert await store.create(rows[5], 4) == []
    assert await store._client.zcard(index_of(store, rows[0])) == 3


async def test_sign_ins_at_once_leave_as_many_sessions_as_may_be(store: ValkeyStore) -> None:
    """D12: never more, and none of them loses its session to an older one."""
    first = record()
    rows = [first, *(record(first.subject) for _ in range(29))]
    over = await asyncio.gather(*[store.create(row, 5) for row in rows])
    live = [row.session_id for row in await store.live(first.subject, NOW)]
    assert len(live) == 5
    assert {name for names in over for name in names} == {r.session_id for r in rows} - set(live)


async def test_d6_sign_out_everywhere_ends_all_that_had_signed_in_before(
    store: ValkeyStore,
) -> None:
    """D6: with sign-ins at the same time, every one that was answered before is revoked."""
    first = record()
    answered: list[str] = []
    is_over = asyncio.Event()

    async def sign_in() -> None:
        while not is_over.is_set():
            row = record(first.subject)
            await store.create(row, 1000)
            answered.append(row.session_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(sign_in())
        for _ in range(10):
            await asyncio.sleep(0.05)
            before = [*answered]
            ids = await store.revoke_all(first.subject, time.time(), "logout")
            live = {row.session_id for row in await store.live(first.subject, NOW)}
            assert not live & set(before)
            await publish(store, [*ids])
        is_over.set()


async def test_thousands_of_sessions_of_one_subject_hold_no_one_up(valkey_url: str) -> None:
    """D12: no command touches more than 100 of them, and ended ones are in no index."""
    store = ValkeyStore(valkey_url, prefix=f"i{secrets.token_hex(4)}", timeout=30)
    await store.start()
    first = record()
    index, count = index_of(store, first), 5_000
    async with store._client.pipeline(transaction=False) as pipe:
        for place in range(count):
            row = record(first.subject)
            pipe.set(store._subjects.key(row.session_id), session_row(row), ex=900)
            pipe.zadd(index, {row.session_id: NOW + place / 1000})
        await pipe.execute()
    await store._client.config_set("slowlog-max-len", 30_000)
    await store._client.config_set("slowlog-log-slower-than", 0)
    await store._client.slowlog_reset()
    assert len(await store.create(first, 1000)) == count - 999
    assert len(await store.live(first.subject, NOW)) == 1000
    ids = await store.revoke_all(first.subject, NOW, "logout")
    assert len(ids) == count + 1
    for begin in range(0, len(ids), 500):
        await publish(store, [*ids[begin : begin + 500]])
    commands = [entry["command"] for entry in await store._client.slowlog_get(30_000)]
    await store._client.config_set("slowlog-log-slower-than", -1)
    more = [re.search(rb"\((\d+) more arguments\)", command) for command in commands]
    assert 60 < max(int(found[1]) for found in more if found) < 120  # names of one command
    assert not await store._client.exists(index)
    await store.close()
