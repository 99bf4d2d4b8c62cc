"""Stores that grow: what is over is deleted as fast as it comes, and costs nothing until then."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import Signer
from linqi.errors import Unavailable
from linqi.events import Dispatcher, Event, PurgeFellBehind
from linqi.jose.key import Key
from linqi.sessions.dual import Sessions
from linqi.sessions.purge_pace import PurgePace
from linqi.sessions.purger import Purger
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import SessionStore
from linqi.stores._table_rows import SESSION_COLUMNS, session_row
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from records import NOW, record

RULES = SessionSettings()
MANY = 20_000


class Growing(MemoryStore):
    """A store to which sessions that are over come at a constant rate of simulated time."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.time = 0.0
        self.deleted = 0

    @property
    def backlog(self) -> float:
        """How many sessions are over and not deleted."""
        return self.rate * self.time - self.deleted

    async def purge(self, now: float, most: int) -> int:
        """Delete them in a tenth of a millisecond each."""
        some = int(min(most, self.backlog))
        self.deleted += some
        self.time += some / 10_000
        return some

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and the event loop run."""
        self.time += seconds
        await asyncio.sleep(0)


async def test_a_purge_keeps_up_with_a_thousand_sign_ins_a_second() -> None:
    """By one worker with the default settings, for an hour and after a night without it."""
    store = Growing(1_000)
    signer = Signer(Key.generate("HS256"), issuer="https://shop.example", audience="shop")
    sessions = Sessions(store, signer, Key.generate("HS256"), hooks=[], sleep=store.sleep)
    await sessions.start()
    while store.time < 3_600:
        await asyncio.sleep(0)
    assert store.backlog <= 31_000  # what came in the longest pause
    store.deleted -= 1_000_000
    before = store.time
    while store.backlog > 31_000:
        await asyncio.sleep(0)
        assert store.time < before + 3_600
    await sessions.close()


async def test_a_purge_that_falls_behind_is_told_every_ten_minutes() -> None:
    """And not while it keeps up, nor for a night's backlog that is gone in less."""
    store, told = Growing(50), list[Event]()
    purger = _purger(store, 100, told)
    purger.start()
    while store.time < 3_600:
        await asyncio.sleep(0)
    assert told == []
    store.rate, store.deleted, store.time = 200, 0, 0
    while len(told) < 3:
        await asyncio.sleep(0)
        assert store.time < 1_900
    await purger.close()
    for event in told:
        assert isinstance(event, PurgeFellBehind)
        assert 600 <= event.seconds < 610
        assert 55_000 < event.deleted < 62_000


async def test_a_store_that_does_not_answer_is_asked_again_after_half_a_minute() -> None:
    """However fast the pieces followed each other before."""
    store, times = Growing(10_000), list[float]()

    async def refuse(now: float, most: int) -> int:
        times.append(store.time)
        raise Unavailable("it does not answer")

    purger = _purger(store, 1_000, [])
    purger.start()
    while store.time < 60:
        await asyncio.sleep(0)
    store.purge = refuse  # type: ignore[method-assign]
    while len(times) < 4:
        await asyncio.sleep(0)
    await purger.close()
    assert [round(b - a) for a, b in pairwise(times)] == [30] * 3


@given(
    st.floats(1, 100_000),
    st.lists(st.tuples(st.integers(0, 1_500), st.floats(0, 5)), max_size=50),
)
def test_a_purge_is_bounded_and_leaves_time_for_requests(
    per_second: float, purges: Sequence[tuple[int, float]]
) -> None:
    """Whatever the store answers: never more than the rate, never without a rest."""
    pace = PurgePace(per_second=per_second)
    assert pace.pause == 30
    for deleted, took in purges:
        before, pace = pace, pace.after(deleted, took)
        assert 10 <= pace.most <= 500
        if deleted >= before.most:
            assert pace.is_behind
            assert pace.pause >= max(deleted / per_second, 3 * took)
        else:
            assert not pace.is_behind
            assert 0.1 <= pace.pause <= 30
        if took > 0.04:
            assert pace.most == max(10, before.most // 2)


def test_a_purge_rests_for_half_a_minute_where_nothing_is_over() -> None:
    """It costs a store without ended sessions two calls a minute."""
    pace = PurgePace(per_second=1_000).after(100, 0.001)
    for _ in range(20):
        pace = pace.after(0, 0.001)
    assert pace.pause == 30
    assert pace.after_failure().pause == 30


def _purger(store: Growing, per_second: float, told: list[Event]) -> Purger:
    async def check() -> None:
        return

    return Purger(
        store,
        per_second,
        check=check,
        events=Dispatcher((told.append,)),
        clock=time.time,
        sleep=store.sleep,
        monotonic=lambda: store.time,
    )


@pytest.fixture(params=["sqlite", "postgres"])
def make_sql_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], PostgresStore | SQLiteStore]:
    """Return a factory of stores in SQL that share their data."""
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "sessions.db")
    dsn = request.getfixturevalue("postgres_dsn")
    return lambda: PostgresStore(dsn)


async def fill(store: SessionStore, rows: Sequence[SessionRecord]) -> None:
    """Store `rows` past the contract, all at once."""
    values = [session_row(row) for row in rows]
    if isinstance(store, PostgresStore):
        async with store._connections.single() as connection:
            await connection.copy_records_to_table("linqi_sessions", records=values)
            await connection.execute("ANALYZE linqi_sessions")
    else:
        assert isinstance(store, SQLiteStore)
        marks = ", ".join("?" * len(SESSION_COLUMNS))
        columns = ", ".join(SESSION_COLUMNS)
        sql = f"INSERT INTO sessions ({columns}) VALUES ({marks})"  # noqa: S608
        await store._run(lambda connection: connection.executemany(sql, values))


async def work_of(store: SessionStore, row: SessionRecord) -> float:
    """Return how much of the store a sign-in reads: pages of PostgreSQL, steps of SQLite."""
    if isinstance(store, PostgresStore):
        numbers = ", ".join(f"${n + 1}" for n in range(len(SESSION_COLUMNS)))
        async with store._connections.single() as connection:
            plan = await connection.fetchval(
                "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"  # noqa: S608
                f" SELECT * FROM linqi_create(ROW({numbers})::linqi_sessions, 20)",
                *session_row(row),
            )
        top = json.loads(plan)[0]["Plan"]
        return float(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
    assert isinstance(store, SQLiteStore)
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    await store._run(lambda connection: connection.set_progress_handler(count, 100))
    await store.create(row, 20)
    await store._run(lambda connection: connection.set_progress_handler(None, 0))
    return float(steps[0])


@pytest.mark.parametrize("ended", ["revoked", "expired"])
async def test_twenty_thousand_ended_sessions_of_one_subject_cost_a_sign_in_nothing(
    make_sql_store: Callable[[], PostgresStore | SQLiteStore], ended: str
) -> None:
    """D12: revoked by a limit or at a sign-out, or expired; no list or revocation reads them."""
    store = make_sql_store()
    await store.start()
    name, other = f"busy-{secrets.token_hex(4)}", f"idle-{secrets.token_hex(4)}"
    changes: dict[str, Any] = {"revoked_at": NOW - 900, "cause": "limit"}
    if ended == "expired":
        changes = {"expires_at": NOW - 900, "rotated_at": NOW - 9_000}
    await fill(store, [record(name, **changes) for _ in range(MANY)])
    if ended == "expired":  # each sign-in deletes more than it adds, so they cannot become so many
        for _ in range(3):
            await store.create(record(name, rotated_at=NOW), 20)
        assert await _count(store, name) == MANY - 3 * 20 + 3
    else:
        usual = [await work_of(store, record(other)) for _ in range(2)][1]  # catalogue read before
        assert await work_of(store, record(name)) <= 2 * usual
        assert len(await store.revoke_all(name, NOW, "admin")) == 1
    assert len(await store.live(name, NOW)) in (0, 3)
    await store.close()


async def _count(store: PostgresStore | SQLiteStore, subject: str) -> int:
    if isinstance(store, PostgresStore):
        rows = await store._fetch("SELECT count(*) FROM linqi_sessions WHERE subject = $1", subject)
        return int(rows[0][0])
    sql = "SELECT count(*) FROM sessions WHERE subject = ?"
    found = await store._run(lambda connection: connection.execute(sql, (subject,)).fetchone())
    return int(found[0])


async def test_all_of_twenty_thousand_live_sessions_are_revoked_in_small_steps(
    make_sql_store: Callable[[], PostgresStore | SQLiteStore],
) -> None:
    """Other sessions are refreshed meanwhile, and a sign-in may come in between."""
    store = make_sql_store()
    await store.start()
    name = f"all-{secrets.token_hex(4)}"
    rows = [record(name) for _ in range(MANY)]
    kept, other, new = rows[7], record(), record(name)
    await fill(store, rows)
    await store.create(other, 20)
    revoking = asyncio.create_task(store.revoke_all(name, NOW, "admin", kept.session_id))
    refreshes = 0
    while not revoking.done():
        counter = (await store.present(other.session_id, refreshes, RULES)).record
        assert counter is not None
        refreshes = counter.counter
        if refreshes == 3:
            await store.create(new, MANY * 2)
    assert refreshes > 10
    ids = await revoking
    assert {row.session_id for row in rows} - {kept.session_id} <= {*ids}
    assert kept.session_id not in ids
    left = {row.session_id for row in await store.live(name, NOW)}
    assert left in ({kept.session_id}, {kept.session_id, new.session_id})
    # A repeat, as after a lost answer, names them again; later they are history.
    again = await store.revoke_all(name, NOW + 59, "admin", kept.session_id)
    assert {*ids} <= {*again}
    assert len(await store.revoke_all(name, NOW + 61, "admin", kept.session_id)) <= 1
    await store.close()


async def test_many_revocations_are_published_in_small_steps(
    make_sql_store: Callable[[], PostgresStore | SQLiteStore],
) -> None:
    """Those of a revoked subject: others are refreshed meanwhile."""
    store = make_sql_store()
    await store.start()
    row = record()
    await store.create(row, 20)
    many = [Revocation(kind="session", value=f"{n}", at=NOW, until=NOW + 1) for n in range(MANY)]
    publishing = asyncio.create_task(store.publish(many))
    refreshes = 0
    while not publishing.done():
        assert (await store.present(row.session_id, refreshes, RULES)).kind == "rotated"
        refreshes += 1
    assert refreshes > 10
    await publishing
    assert await store.count_ended(NOW + 2, MANY * 2) >= MANY
    await store.close()


async def test_revocations_that_are_over_are_deleted_in_pieces(
    make_sql_store: Callable[[], PostgresStore | SQLiteStore],
) -> None:
    """A million that end together would stop the writer of SQLite for a second."""
    store = make_sql_store()
    await store.start()
    while await store.purge(NOW, 500):
        pass
    over = [
        Revocation(kind="session", value=f"{n}", at=NOW - 9, until=NOW - 1) for n in range(1_000)
    ]
    await store.publish(over)
    assert await store.purge(NOW, 300) == 300
    assert await store.purge(NOW, 300) == 300
    assert await store.purge(NOW, 500) == 400
    assert await store.purge(NOW, 500) == 0
    await store.close()


async def test_workers_of_postgresql_purge_one_at_a_time(postgres_dsn: str) -> None:
    """Another worker's purge is waited for by none, and both together delete each row once."""
    import asyncpg

    stores = [PostgresStore(postgres_dsn) for _ in range(4)]
    for store in stores:
        await store.start()
    while await stores[0].purge(NOW, 500):
        pass
    past = NOW - 10
    rows = [record(ends_at=past, expires_at=past) for _ in range(2_000)]
    await fill(stores[0], rows)
    busy = await asyncpg.connect(postgres_dsn)
    transaction = busy.transaction()
    await transaction.start()
    await busy.execute("SELECT pg_advisory_xact_lock($1)", 0x6C696E7169 + 1)
    assert await asyncio.wait_for(stores[0].purge(NOW, 100), 30) == 0
    await transaction.rollback()
    # A session that a request has locked waits for the next time.
    await transaction_of(busy, rows[0])
    deleted = 0
    for _ in range(60):
        deleted += sum(await asyncio.gather(*[store.purge(NOW, 100) for store in stores]))
    assert deleted == 1_999
    await busy.execute("ROLLBACK")
    assert await stores[0].purge(NOW, 100) == 1
    await busy.close()
    for store in stores:
        await store.close()


async def transaction_of(connection: Any, row: SessionRecord) -> None:
    """Lock `row` as a refresh does, and do not end."""
    await connection.execute("BEGIN")
    await connection.execute(
        "SELECT 1 FROM linqi_sessions WHERE session_id = $1 FOR UPDATE", row.session_id
    )
