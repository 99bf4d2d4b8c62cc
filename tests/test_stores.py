"""One contract for every store, on real servers."""

import asyncio
import math
import secrets
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aging import age, aged, mistake_clock, overwrite
from linqi import ConfigurationError
from linqi.cli import main
from linqi.errors import Unavailable
from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from reading import followed, reading
from records import NOW, RULES, record, revocation


async def test_what_is_kept_is_what_was_given(store: SessionStore) -> None:
    """Every field, to the last digit; twice the same does no more than once."""
    row = record()
    for _ in range(2):
        assert await store.create(row, 20) == []
    assert await store.get(row.session_id) == row
    assert await store.live(row.subject, NOW) == [row]
    assert await store.get(new_session_id("unknown")) is None
    assert await store.live("unknown", NOW) == []


async def test_a_new_session_never_overwrites_one(store: SessionStore) -> None:
    """A create that was sent again after a rotation does not bring the old counter back."""
    row = record()
    await store.create(row, 20)
    await store.present(row.session_id, 0, RULES)
    await store.create(row, 20)
    after = await store.get(row.session_id)
    assert after is not None
    assert after.counter == 1


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_store_decides_as_the_pure_function(
    make_store: Callable[[], SessionStore], data: st.DataObject
) -> None:
    """Any history of presentations, revocations and lost writes: same outcome, same row."""
    rules = SessionSettings(
        idle=data.draw(st.sampled_from([60.0, 100.5, 86_400.0])),
        absolute=86_400,
        grace=data.draw(st.sampled_from([0, 10, 0.5])),
        recover_seconds=data.draw(st.sampled_from([0, 5, 40.25, 86_400])),
        most_forgotten=data.draw(st.sampled_from([0, 2, 3])),
    )
    steps = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["present", "present", "present", "late", "revoke", "lose"]),
                st.integers(-3, 4),
                st.sampled_from([0.0, 0.001, 0.5, 9.99, 10.0, 30.0, 40.25, 50_000.0]),
            ),
            max_size=8,
        )
    )

    async def run() -> None:
        store = make_store()
        await store.start()
        row = record(expires_at=float(int(NOW)) + rules.idle)
        expected = msgspec.structs.replace(row, ends_at=row.started_at + rules.absolute)
        await store.create(expected, 20)
        rows = [expected]
        for kind, offset, pause in steps:
            rows = [aged(row, pause) for row in rows]
            if kind == "lose":
                del rows[max(1, len(rows) - abs(offset)) :]
            expected = rows[-1]
            await overwrite(store, expected)
            now, deadline = store.now(), math.inf
            if kind == "revoke":
                if not await store.revoke(row.session_id, now, "admin"):
                    break  # it is over, and forgotten
                expected = revoked(expected, now, "admin")
            else:
                counter = max(0, expected.counter + offset)
                if kind == "late" and isinstance(store, (ValkeyStore, PostgresStore)):
                    mistake_clock(store, -100)
                    deadline = now - 50
                got = await store.present(row.session_id, counter, rules)
                want = decide_rotation(expected, counter, got.at, rules, deadline)
                # A store may forget what is over: then it does not know what it was.
                if got.kind == "unknown" and want.kind in ("expired", "revoked", "reused"):
                    break
                assert got == want
                expected = want.record or expected
            rows.append(expected)
            assert await store.get(row.session_id) in (expected, None)
        await store.close()

    asyncio.run(run())


async def test_d4_recovery_ends_recover_seconds_after_the_first_rotation(
    store: SessionStore,
) -> None:
    """RFC 9700, 4.14.2: recovered, recovered again a second before the bound, reuse after it."""
    row = record()
    await store.create(row, 20)
    kinds = {0.0: "rotated", 60.0: "recovered", 86_339.0: "recovered", 2.0: "reused"}
    first_rotated_at = 0.0
    for pause, kind in kinds.items():
        first_rotated_at = (await age(store, row.session_id, pause)).first_rotated_at
        outcome = await store.present(row.session_id, 0, RULES)
        assert outcome.kind == kind
        assert outcome.record is not None
        if kind == "rotated":
            assert outcome.record.first_rotated_at == outcome.at
        else:
            assert outcome.record.first_rotated_at == first_rotated_at
        assert await store.get(row.session_id) == outcome.record
    strict = SessionSettings(recover_seconds=0)
    row = record()
    await store.create(row, 20)
    for pause, kind in {0.0: "rotated", 9.0: "replayed", 2.0: "reused"}.items():
        await age(store, row.session_id, pause)
        assert (await store.present(row.session_id, 0, strict)).kind == kind


async def test_the_longest_lifetime_is_raised_and_never_lowered(
    make_store: Callable[[], SessionStore],
) -> None:
    """One number for all processes, whatever order they come in; a restart keeps it."""
    one, two = make_store(), make_store()
    await one.start()
    await two.start()
    least = await one.raise_lifetime(0)  # a shared database may hold what other tests have left
    wanted = [least + n for n in (300, 3600, 900.5, 0)]
    await asyncio.gather(*[s.raise_lifetime(w) for w in wanted for s in (one, two)])
    assert await two.raise_lifetime(0) == least + 3600
    assert await one.raise_lifetime(least + 10) == least + 3600
    await one.close()
    if two is not one:
        await two.close()
    again = make_store()
    await again.start()
    assert await again.raise_lifetime(300) == least + 3600
    await again.close()


async def test_d2_fifty_at_once_give_one_rotation(store: SessionStore) -> None:
    """D2: one consumes, the others are told of the same successor."""
    row = record()
    await store.create(row, 20)
    outcomes = await asyncio.gather(*[store.present(row.session_id, 0, RULES) for n in range(50)])
    kinds = [outcome.kind for outcome in outcomes]
    assert (kinds.count("rotated"), kinds.count("replayed")) == (1, 49)
    assert len({outcome.record for outcome in outcomes}) == 1


async def test_d2_two_processes_agree(make_store: Callable[[], SessionStore]) -> None:
    """The atomic step is the store's, not the process's."""
    one, two = make_store(), make_store()
    await one.start()
    await two.start()
    row = record()
    await one.create(row, 20)
    outcomes = await asyncio.gather(
        *[s.present(row.session_id, 0, RULES) for s in (one, two) for _ in range(10)]
    )
    assert [o.kind for o in outcomes].count("rotated") == 1
    await one.close()
    if two is not one:
        await two.close()


async def test_an_unknown_session_is_unknown(store: SessionStore) -> None:
    """Nothing is made by asking for it."""
    name = new_session_id("unknown")
    assert (await store.present(name, 0, RULES)).kind == "unknown"
    assert not await store.revoke(name, NOW, "admin")
    assert await store.get(name) is None


async def test_revoking_is_for_good_and_says_who_was_first(store: SessionStore) -> None:
    """I2: the first cause stays; nothing that comes later succeeds."""
    row = record()
    await store.create(row, 20)
    assert await store.revoke(row.session_id, NOW, "logout")
    assert await store.revoke(row.session_id, NOW + 5, "admin")
    after = await store.get(row.session_id)
    assert after is not None
    assert (after.revoked_at, after.cause) == (NOW, "logout")
    assert (await store.present(row.session_id, 0, RULES)).kind == "revoked"
    assert await store.live(row.subject, NOW) == []


async def test_all_of_a_subject_but_one(store: SessionStore) -> None:
    """Logout everywhere else; sessions of other subjects stay."""
    rows = [record("same-" + secrets.token_hex(4)) for _ in range(1)]
    rows += [record(rows[0].subject, started_at=rows[0].started_at + n) for n in (1, 2)]
    other = record()
    for row in [*rows, other]:
        await store.create(row, 20)
    ids = await store.revoke_all(rows[0].subject, NOW + 9, "admin", rows[1].session_id)
    assert set(ids) == {rows[0].session_id, rows[2].session_id}
    live = await store.live(rows[0].subject, NOW + 9)
    assert [row.session_id for row in live] == [rows[1].session_id]
    assert await store.live(other.subject, NOW + 9) == [other]
    again = await store.revoke_all(rows[0].subject, NOW + 10, "admin", rows[1].session_id)
    assert set(again) == set(ids)


async def test_d12_the_oldest_sessions_give_way(store: SessionStore) -> None:
    """D12: at most so many live; the new one is never the victim."""
    first = record()
    rows = [first] + [record(first.subject, started_at=first.started_at + n) for n in range(1, 5)]
    over = [list(await store.create(row, 3)) for row in rows]
    assert over == [[], [], [], [rows[0].session_id], [rows[1].session_id]]
    live = await store.live(first.subject, NOW + 9)
    assert [row.session_id for row in live] == [row.session_id for row in rows[2:]]
    gone = await store.get(rows[0].session_id)
    assert gone is not None
    assert gone.cause == "limit"


async def test_live_sessions_are_those_not_over(store: SessionStore) -> None:
    """Idle ones and those at their end are not listed."""
    row = record()
    await store.create(row, 20)
    assert await store.live(row.subject, row.expires_at - 1) == [row]
    assert await store.live(row.subject, row.expires_at) == []


async def test_revocations_reach_followers_old_and_new(
    make_store: Callable[[], SessionStore],
) -> None:
    """Another process hears what was revoked before it came and what is revoked after."""
    here, there = make_store(), make_store()
    await here.start()
    await there.start()
    before = revocation(), revocation("subject", kept_session="x"), revocation("token")
    over = revocation(until=NOW - 5)
    await here.publish([*before, over])
    await here.publish([before[0]])
    later = [revocation(value=f"{n}-{'v' * 40}") for n in range(300)]
    later.append(later[0])
    task = asyncio.create_task(followed(there, NOW, {*before, *later}))
    await asyncio.sleep(0.2)
    await here.publish(later)
    came = await task
    assert over not in came
    await here.close()
    if there is not here:
        await there.close()


async def test_a_follower_is_told_when_there_is_nothing(store: SessionStore) -> None:
    """That it is caught up, at least every second or so: silence means that the store is gone."""
    async with reading(store, NOW) as reader:
        for _ in range(3):
            await reader.until_caught_up(seconds=2)


async def test_what_is_over_is_forgotten_bit_by_bit(store: SessionStore) -> None:
    """A purge is bounded, and deletes no live session."""
    past = NOW - 10  # Valkey forgets by its own clock
    old = [record(ends_at=past, expires_at=past) for _ in range(3)]
    alive = record()
    for row in [*old, alive]:
        await store.create(row, 20)
    await store.publish([revocation(until=NOW - 5)])
    await store.purge(NOW, 2)
    left = [row for row in old if await store.get(row.session_id)]
    assert left or isinstance(store, ValkeyStore)
    while await store.purge(NOW, 500):  # a shared database may hold what other tests have left
        pass
    assert [await store.get(row.session_id) for row in old] == [None] * 3
    assert await store.get(alive.session_id) == alive


async def test_a_cancelled_request_harms_no_later_one(store: SessionStore) -> None:
    """D10: another user's reply never comes to the wrong request (redis-py, CVE-2023-28858)."""
    rows = [record() for _ in range(10)]
    for row in rows:
        await store.create(row, 20)

    async def get(row: SessionRecord) -> None:
        found = await store.get(row.session_id)
        assert found is not None
        assert found.session_id == row.session_id

    for turn in range(30):
        tasks = [asyncio.create_task(get(row)) for row in rows for _ in range(4)]
        await asyncio.sleep(turn * 0.0002)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        faults = [r for r in results if isinstance(r, Exception)]
        assert faults == []


async def test_a_store_that_is_not_there_is_unavailable(
    make_store: Callable[[], SessionStore],
) -> None:
    """Before its start and after its end, as a clear error."""
    store = make_store()
    if type(store).__name__ == "MemoryStore":
        return
    with pytest.raises(Unavailable):
        await store.get(new_session_id("a"))
    await store.start()
    await store.close()
    await store.close()
    with pytest.raises(Unavailable):
        await store.present(new_session_id("a"), 0, RULES)


async def test_connections_of_the_callers_own_are_used_and_left_open(
    valkey_url: str, postgres_dsn: str
) -> None:
    """For clusters, sentinels and pools that an application has anyway."""
    import asyncpg
    from redis.asyncio import Redis

    pool = await asyncpg.create_pool(postgres_dsn, min_size=1, max_size=3)
    client: Any = Redis.from_url(valkey_url)
    postgres = PostgresStore(pool=pool)
    assert await postgres.initialize() == 2
    for store in (postgres, ValkeyStore(client=client, prefix="own")):
        await store.start()
        row, withdrawn = record(), revocation()
        await store.create(row, 20)
        assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"
        await store.publish([withdrawn])
        assert withdrawn in await followed(store, NOW, {withdrawn})
        await store.close()
    assert await pool.fetchval("SELECT 1") == 1
    assert await client.ping()
    await pool.close()
    await client.aclose()


async def test_a_server_that_forgot_the_scripts_is_told_them_again(valkey_url: str) -> None:
    """After a restart or SCRIPT FLUSH the next call sends the text."""
    from redis.asyncio import Redis

    store, client = ValkeyStore(valkey_url, prefix="flushed"), Redis.from_url(valkey_url)
    await store.start()
    row = record()
    await store.create(row, 20)
    await client.script_flush()
    assert (await store.present(row.session_id, 0, RULES)).kind == "rotated"
    await store.close()
    await client.aclose()


async def test_a_server_that_evicts_is_refused(valkey_url: str) -> None:
    """An evicted revocation is none."""
    from redis.asyncio import Redis

    client = Redis.from_url(valkey_url)
    await client.config_set("maxmemory", "100mb")
    await client.config_set("maxmemory-policy", "allkeys-lru")
    store = ValkeyStore(valkey_url)
    try:
        with pytest.raises(ConfigurationError, match="noeviction"):
            await store.start()
    finally:
        await client.config_set("maxmemory", "0")
        await client.config_set("maxmemory-policy", "noeviction")
        await store.close()
        await client.aclose()


async def test_a_database_without_the_schema_says_how_to_make_it(postgres_dsn: str) -> None:
    """`linqi store init` is named; a schema of another release is told by its number."""
    import asyncpg

    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE DATABASE linqi_empty")
    empty = postgres_dsn.replace("/postgres?", "/linqi_empty?")
    store = PostgresStore(empty)
    with pytest.raises(ConfigurationError, match=r"schema 0, expected 2; run linqi store init"):
        await store.start()
    await store.close()
    assert await asyncio.to_thread(main, ["store", "init", empty]) == 0
    assert await asyncio.to_thread(main, ["store", "init", empty]) == 0
    assert await asyncio.to_thread(main, ["store", "purge", empty]) == 0
    await store.start()
    await store.close()
    await connection.execute("DROP DATABASE linqi_empty WITH (FORCE)")
    await connection.close()


async def test_servers_that_are_not_there_are_unavailable_in_time() -> None:
    """A refused connection is told at once, by name."""
    for store in (
        ValkeyStore("redis://127.0.0.1:9/0", timeout=1),
        PostgresStore("postgresql://postgres@127.0.0.1:9/x", timeout=1),
        SQLiteStore("/nowhere/at/all.db", timeout=1),
    ):
        with pytest.raises(Unavailable):
            await store.start()
        await store.close()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory:", MemoryStore),
        ("sqlite:/tmp/x.db", SQLiteStore),
        ("redis://h:1/0", ValkeyStore),
        ("valkey://h:1/0", ValkeyStore),
        ("valkeys://h:1/0", ValkeyStore),
        ("postgresql://u@h/d", PostgresStore),
        ("postgres://u@h/d", PostgresStore),
        ("postgresql+asyncpg://u@h:1,i:2/d", PostgresStore),
    ],
)
def test_stores_are_named_by_urls(url: str, kind: type[Any]) -> None:
    """As command lines and settings write them."""
    assert isinstance(open_store(url), kind)


@pytest.mark.parametrize(
    ("url", "option", "value", "attribute"),
    [
        ("sqlite:x.db", "timeout_seconds", 0.5, "_timeout"),
        ("sqlite:x.db", "poll_seconds", 1, "_poll_seconds"),
        ("valkey://h:1/0", "timeout_seconds", 0.5, "_timeout"),
        ("valkey://h:1/0", "most_connections", 3, "_most_connections"),
        ("valkey://h:1/0", "prefix", "shop", "_prefix"),
        ("valkey://h:1/0", "min_replicas", 2, "_min_replicas"),
        ("postgresql://u@h/d", "timeout_seconds", 0.5, "_timeout"),
        ("postgresql://u@h/d", "most_connections", 3, "_connections._most"),
        ("postgresql://u@h/d", "statement_cache_size", 0, "_connections._statement_cache_size"),
        ("postgresql://u@h/d", "min_replicas", 2, "_min_replicas"),
    ],
)
def test_options_reach_the_store(url: str, option: str, value: Any, attribute: str) -> None:
    """Each engine receives those that it has, by the names of ``[store]``."""
    assert attrgetter(attribute)(open_store(url, **{option: value})) == value


@pytest.mark.parametrize(
    ("url", "option", "engines"),
    [
        ("memory:", "timeout_seconds", "sqlite: and valkey:// and postgresql://"),
        ("sqlite:x.db", "prefix", "valkey://"),
        ("valkey://h:1/0", "poll_seconds", "sqlite:"),
        ("sqlite:x.db", "min_replicas", "valkey:// and postgresql://"),
        ("memory:", "colour", "no store"),
    ],
)
def test_an_option_of_another_engine_is_refused(url: str, option: str, engines: str) -> None:
    """A setting that nothing reads is a fault, which names the engines that have it."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url, **{option: 1})
    assert caught.value.faults == (f"{option} is for {engines} only; remove it",)


@pytest.mark.parametrize("url", ["", "sqlite:", "mysql://x", "memory:x", "x"])
def test_other_urls_are_refused(url: str) -> None:
    """With the list of what there is."""
    with pytest.raises(ConfigurationError, match="postgresql"):
        open_store(url)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValkeyStore(),
        lambda: ValkeyStore("redis://h", timeout=0),
        lambda: ValkeyStore("redis://h", prefix="a b"),
        lambda: PostgresStore(),
        lambda: PostgresStore("postgresql://h", timeout=100),
        lambda: SQLiteStore("x", timeout=0),
        lambda: SQLiteStore("x", poll_seconds=0),
    ],
)
def test_unfit_store_settings_are_refused(make: Callable[[], object]) -> None:
    """At construction, by name."""
    with pytest.raises(ConfigurationError):
        make()


def test_expiry_and_end_are_whole_seconds_and_ordered() -> None:
    """What tokens carry must be what rows say."""
    name = new_session_id("a")
    end = RULES.end_of(name, NOW)
    assert end == math.floor(end)
    assert RULES.expiry(NOW, end) == math.floor(NOW + RULES.idle)
    assert RULES.expiry(end - 5, end) == end
