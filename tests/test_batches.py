"""Commands that wait at the same time share a round trip, and nothing else."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from aging import age
from linqi.errors import Unavailable
from linqi.sessions.record import RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import SessionStore
from linqi.stores._batches import Batches
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from linqi_report import servers
from reading import reading
from records import NOW, RULES, record


class _Server:
    """Doubles numbers; odd ones are refused; answers once `is_open` is set."""

    def __init__(self, most_at_once: int = 4, most_under_way: int = 1, timeout: float = 5) -> None:
        self.trips: list[list[int]] = []
        self.is_open = asyncio.Event()
        self.ask = Batches(
            self._send,
            timeout=timeout,
            most_at_once=most_at_once,
            most_under_way=most_under_way,
        )

    async def _send(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.trips.append([*numbers])
        await self.is_open.wait()
        if 13 in numbers:
            raise ConnectionError("lost")
        return [n * 2 if n % 2 == 0 else ValueError(n) for n in numbers]


async def _asked(server: _Server, numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(server.ask(number)) for number in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_waits_together_shares_a_round_trip() -> None:
    """What comes while one is under way waits for it; each caller gets its own answer."""
    server = _Server()
    tasks = await _asked(server, [0, 2])
    tasks += await _asked(server, [4, 6, 8, 10, 12])
    assert server.trips == [[0, 2]]
    server.is_open.set()
    assert await asyncio.gather(*tasks) == [0, 4, 8, 12, 16, 20, 24]
    assert server.trips == [[0, 2], [4, 6, 8, 10], [12]]


async def test_a_slow_round_trip_does_not_stop_another() -> None:
    """As many are under way as are allowed."""
    server = _Server(most_under_way=2)
    tasks = await _asked(server, [0])
    tasks += await _asked(server, [2])
    tasks += await _asked(server, [4])
    assert server.trips == [[0], [2]]
    server.is_open.set()
    assert await asyncio.gather(*tasks) == [0, 4, 8]


async def test_a_command_that_follows_an_answer_at_once_is_sent() -> None:
    """The round trip that has just ended is no longer under way."""
    server = _Server(timeout=0.5)
    server.is_open.set()
    assert [await server.ask(number) for number in (0, 2, 4)] == [0, 4, 8]
    assert server.trips == [[0], [2], [4]]


def test_another_event_loop_begins_anew() -> None:
    """What the loop before has left under way holds up none of its commands."""

    async def send(numbers: Sequence[int]) -> Sequence[int]:
        if 1 in numbers:
            await asyncio.Event().wait()
        return numbers

    ask = Batches(send, timeout=0.5, most_at_once=4, most_under_way=1)
    left = asyncio.new_event_loop()
    task = left.create_task(ask(1))
    for _ in range(4):
        left.run_until_complete(asyncio.sleep(0))
    assert asyncio.run(ask(2)) == 2
    task.cancel()
    left.run_until_complete(asyncio.gather(task, return_exceptions=True))
    left.run_until_complete(asyncio.gather(*asyncio.all_tasks(left), return_exceptions=True))
    left.close()


async def test_an_error_reaches_the_command_that_caused_it() -> None:
    """A lost connection concerns all commands that were sent on it, and none after them."""
    server = _Server()
    server.is_open.set()
    tasks = await _asked(server, [2, 3])
    tasks += await _asked(server, [4, 13])
    tasks += await _asked(server, [6])
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(a).__name__ for a in answers] == [
        *("int", "ValueError", "ConnectionError", "ConnectionError", "int"),
    ]


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    """Its command is left out if it was not sent yet; the answers stay in place."""
    server = _Server()
    tasks = await _asked(server, [0, 2])
    tasks += await _asked(server, [4, 6])
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    server.is_open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answers[1], answers[3]] == [4, 12]
    assert server.trips == [[0, 2], [6]]


async def test_the_time_limit_includes_waiting() -> None:
    """A command behind a round trip that hangs fails in its own time, and the next one is sent."""
    server = _Server(timeout=0.05)
    tasks = await _asked(server, [0])
    tasks += await _asked(server, [2])
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError, TimeoutError]
    server.is_open.set()
    assert await server.ask(4) == 8


async def _sessions(store: PostgresStore | ValkeyStore, count: int) -> list[SessionRecord]:
    await store.start()
    rows = [record() for _ in range(count)]
    await asyncio.gather(*[store.create(row, 20) for row in rows])
    return rows


def _rotated(outcomes: Sequence[RotationOutcome]) -> list[tuple[str, int]]:
    return [(o.kind, -1 if o.record is None else o.record.counter) for o in outcomes]


@pytest.mark.parametrize("kind", ["valkey", "postgres"])
async def test_each_of_many_that_are_presented_at_once_is_decided(
    kind: str, valkey_url: str, postgres_dsn: str
) -> None:
    """Current and spent tokens, one twice, unknown sessions: as if each had come alone."""
    store = ValkeyStore(valkey_url) if kind == "valkey" else PostgresStore(postgres_dsn)
    if isinstance(store, PostgresStore):
        await store.initialize()
    rows = await _sessions(store, 6)
    revoked, spent, *others = rows
    await store.revoke(revoked.session_id, NOW, "logout")
    await store.present(spent.session_id, 0, RULES)
    await age(store, spent.session_id, 11)
    strict = SessionSettings(recover_seconds=0, idle=3_600.5)
    unknown = msgspec.structs.replace(rows[0], session_id="unknown0" + "x" * 22)
    presented = [*others, others[0], spent, revoked, unknown]
    outcomes = await asyncio.gather(
        *[store.present(row.session_id, 0, strict) for row in presented]
    )
    assert _rotated(outcomes[:4]) == [("rotated", 1)] * 4
    assert _rotated(outcomes[4:]) == [
        ("replayed", 1),
        ("reused", 1),
        ("revoked", 0),
        ("unknown", -1),
    ]
    first = outcomes[0].record
    assert first is not None
    at = outcomes[0].at
    assert (first.parent, first.rotated_at, first.first_rotated_at) == (0, at, at)
    assert first.expires_at == float(int(at + 3_600.5))
    assert await store.get(first.session_id) == first == outcomes[4].record
    await store.close()


async def test_a_session_that_is_locked_delays_no_other(postgres_dsn: str) -> None:
    """It is left out of the common statement, and waits on its own."""
    import asyncpg

    store = PostgresStore(postgres_dsn)
    await store.initialize()
    locked, free = await _sessions(store, 2)
    other = await asyncpg.connect(postgres_dsn)
    async with other.transaction():
        await other.execute(
            "SELECT 1 FROM linqi_sessions WHERE session_id = $1 FOR UPDATE", locked.session_id
        )
        waiting = asyncio.create_task(store.present(locked.session_id, 0, RULES))
        assert (await store.present(free.session_id, 0, RULES)).kind == "rotated"
        assert not waiting.done()
    assert (await waiting).kind == "rotated"
    await other.close()
    await store.close()


async def test_a_server_that_forgot_the_script_is_told_it_again(valkey_url: str) -> None:
    """After a restart: each of the commands of a round trip is answered."""
    from redis.asyncio import Redis

    store, client = ValkeyStore(valkey_url), Redis.from_url(valkey_url)
    rows = await _sessions(store, 5)
    await client.script_flush()
    outcomes = await asyncio.gather(*[store.present(r.session_id, 0, RULES) for r in rows])
    assert _rotated(outcomes) == [("rotated", 1)] * 5
    await client.aclose()
    await store.close()


async def test_a_server_of_a_cluster_decides_each_alone() -> None:
    """It refuses one script for keys of several hash slots: the commands share the round trip."""
    from redis.asyncio import Redis

    with servers.valkey(**{"cluster-enabled": "yes"}) as url:
        client = Redis.from_url(url)
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        while (await client.execute_command("CLUSTER", "INFO")).find(b"cluster_state:ok") < 0:
            await asyncio.sleep(0.05)
        store = ValkeyStore(client=client)  # by URL it would not start
        rows = await _sessions(store, 5)
        for counter in (0, 1):
            outcomes = await asyncio.gather(
                *[store.present(row.session_id, counter, RULES) for row in rows]
            )
            assert _rotated(outcomes) == [("rotated", counter + 1)] * 5
        await store.close()
        await client.aclose()


async def test_a_row_that_cannot_be_read_concerns_no_other(valkey_url: str) -> None:
    """What a script raises for one session is the answer to that one alone."""
    from redis.asyncio import Redis

    store, client = ValkeyStore(valkey_url), Redis.from_url(valkey_url)
    broken, *others = await _sessions(store, 4)
    await client.set(f"linqi:{{{broken.session_id[:8]}}}:{broken.session_id}", "nonsense")
    outcomes = await asyncio.gather(
        *[store.present(row.session_id, 0, RULES) for row in (broken, *others)],
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Unavailable)
    assert _rotated(outcomes[1:]) == [("rotated", 1)] * 3  # type: ignore[arg-type]
    await client.aclose()
    await store.close()


def test_both_statements_of_a_rotation_set_the_same_columns() -> None:
    """``rotate.sql`` is the usual case of ``linqi_redeem``: what one writes, the other does."""
    folder = Path(__file__).parent.parent / "middleware" / "linqi" / "stores"
    common = (folder / "rotate.sql").read_text().partition("UPDATE linqi_sessions AS s SET ")[2]
    alone = (folder / "refresh.sql").read_text().partition("UPDATE linqi_sessions SET ")[2]
    names = ["counter", "parent", "rotated_at", "first_rotated_at", "expires_at"]
    for text, end in ((common, "FROM locked"), (alone, "WHERE")):
        changes = text.partition(end)[0]
        assert [name for name in names if f"{name} = " in changes] == names


async def test_close_finishes_the_refreshes_that_wait(
    make_store: Callable[[], SessionStore],
) -> None:
    """Those of later batches are redeemed, too, and nothing is opened again after them."""
    store = make_store()
    await store.start()
    sessions = [record() for _ in range(600)]
    await asyncio.gather(*(store.create(one, 20) for one in sessions))
    waiting = [asyncio.create_task(store.present(s.session_id, 0, RULES)) for s in sessions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    threads = threading.active_count()
    async with asyncio.timeout(60):
        await store.close()
    assert {outcome.kind for outcome in await asyncio.gather(*waiting)} == {"rotated"}
    assert threading.active_count() <= threads


async def test_a_damaged_row_fails_alone(tmp_path: Path) -> None:
    """The refreshes that wait beside it succeed; its own client is told to try again later."""
    store = SQLiteStore(tmp_path / "sessions.db")
    await store.start()
    sessions = [record() for _ in range(3)]
    for one in sessions:
        await store.create(one, 20)
    with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as other, other:
        other.execute(
            "UPDATE sessions SET counter = 1, parent = 0, rotated_at = 'x' WHERE session_id = ?",
            (sessions[1].session_id,),
        )
    found = await asyncio.gather(
        *(store.present(one.session_id, 0, RULES) for one in sessions), return_exceptions=True
    )
    assert [getattr(one, "kind", type(one)) for one in found] == ["rotated", Unavailable, "rotated"]
    await store.close()


async def test_refreshes_beside_many_slow_operations_find_a_connection(valkey_url: str) -> None:
    """They wait for the server as the others do, instead of finding no connection left."""
    from redis.asyncio import Redis

    store = ValkeyStore(valkey_url, prefix="beside", most_connections=3)
    await store.start()
    sessions = [record() for _ in range(100)]
    for one in sessions:
        await store.create(one, 20)
    async with reading(store, NOW) as reader:
        await reader.until_caught_up()
        async with Redis.from_url(valkey_url) as other:
            await other.client_pause(300)
        held = [asyncio.create_task(store.create(record(), 20)) for _ in range(6)]
        await asyncio.sleep(0.05)
        found = await asyncio.gather(*(store.present(one.session_id, 0, RULES) for one in sessions))
        await asyncio.gather(*held)
    assert {outcome.kind for outcome in found} == {"rotated"}
    await store.close()
