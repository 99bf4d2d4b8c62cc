"""One contract for every counter of attempts, on real servers."""

import asyncio
import contextlib
import gc
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos import Proxy
from linqi import ConfigurationError
from linqi.errors import Unavailable
from linqi.sessions.attempts import (
    AttemptLimit,
    AttemptStore,
    Counter,
    CountsAttempts,
    Full,
    full_counter,
)
from linqi.sessions.store import SessionStore
from linqi.stores.memory_attempts import MemoryAttempts
from linqi.stores.postgres import PostgresStore
from linqi.stores.postgres_attempts import PostgresAttempts
from linqi.stores.sqlite_attempts import SQLiteAttempts
from linqi.stores.valkey_attempts import ValkeyAttempts
from waiting import answered

NOW = 1_800_000_000.123456
TWO_A_MINUTE = AttemptLimit(2, 60)


@pytest.fixture
async def attempts(make_store: Callable[[], SessionStore]) -> AsyncIterator[AttemptStore]:
    """Return the counters of each kind of store; they connect at their first use."""
    store = make_store()
    assert isinstance(store, CountsAttempts)
    counters = store.attempts()
    assert isinstance(counters, AttemptStore)
    yield counters
    await counters.close()


def counter(limit: AttemptLimit = TWO_A_MINUTE, key: str = "") -> Counter:
    """Return a counter that no other test uses."""
    return Counter(key or f"test-{secrets.token_hex(8)}", limit)


def attempt() -> str:
    """Return a new id of an attempt."""
    return secrets.token_hex(8)


async def test_a_counter_takes_its_limit_and_no_more(attempts: AttemptStore) -> None:
    """Then it says when it takes one again: when the oldest entry leaves the window."""
    name = counter()
    assert list(await attempts.reserve(attempt(), [name], NOW)) == []
    assert list(await attempts.reserve(attempt(), [name], NOW + 10)) == []
    (full,) = await attempts.reserve(attempt(), [name], NOW + 20)
    assert (full.key, full.wait) == (name.key, pytest.approx(40, abs=1e-5))
    assert await attempts.reserve(attempt(), [name], NOW + 59.999)
    assert list(await attempts.reserve(attempt(), [name], NOW + 60)) == []


async def test_an_attempt_counts_in_all_counters_or_in_none(attempts: AttemptStore) -> None:
    """A refused attempt leaves no trace in the counters that had room."""
    full, roomy = counter(AttemptLimit(1, 60)), counter(AttemptLimit(1, 60))
    assert list(await attempts.reserve(attempt(), [full], NOW)) == []
    for _ in range(3):
        (found,) = await attempts.reserve(attempt(), [roomy, full], NOW)
        assert found.key == full.key
    assert list(await attempts.reserve(attempt(), [roomy], NOW)) == []


async def test_a_release_takes_back_its_own_entry_only(attempts: AttemptStore) -> None:
    """Twice is as good as once, and an attempt that never was takes nothing."""
    name = counter()
    first, second = attempt(), attempt()
    for one in (first, second):
        assert list(await attempts.reserve(one, [name], NOW)) == []
    for _ in range(2):
        await attempts.release(first, [name])
    await attempts.release(attempt(), [name])
    assert list(await attempts.reserve(attempt(), [name], NOW)) == []
    assert await attempts.reserve(attempt(), [name], NOW)


async def test_an_attempt_that_is_sent_again_counts_once(attempts: AttemptStore) -> None:
    """A driver may send a command again whose reply was lost, at the limit too."""
    name = counter()
    one, two = attempt(), attempt()
    for again in (one, one, two, two, one):
        assert list(await attempts.reserve(again, [name], NOW)) == []
    assert await attempts.reserve(attempt(), [name], NOW)


async def test_parallel_attempts_never_pass_the_limit(make_store: Callable[[], Any]) -> None:
    """D2's kind: from two instances, as from two workers, exactly as many as the limit."""
    stores = [make_store().attempts() for _ in range(2)]
    name, address = counter(AttemptLimit(7, 300)), counter(AttemptLimit(50, 300))
    try:
        answers = await asyncio.gather(
            *(
                stores[n % 2].reserve(attempt(), [(name, address), (address, name)][n % 3 % 2], NOW)
                for n in range(100)
            )
        )
    finally:
        for store in stores:
            await store.close()
    assert sum(not full for full in answers) == 7


@pytest.mark.parametrize("jump", [-1e6, -3600, -61, -59, -1, 1, 59, 61, 1e6])
async def test_a_clock_that_jumps_neither_crashes_nor_pins(
    attempts: AttemptStore, jump: float
) -> None:
    """K6: within two windows after a jump everything counts as if the clock had always been so."""
    name = counter()
    for _ in range(2):
        assert list(await attempts.reserve(attempt(), [name], NOW)) == []
    full = await attempts.reserve(attempt(), [name], NOW + jump)
    assert bool(full) is (abs(jump) < 60)
    assert all(0 < found.wait <= 60 for found in full)
    assert list(await attempts.reserve(attempt(), [name], NOW + jump + 120)) == []


Step = tuple[str, int, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "release"]),
        st.integers(0, 9),
        st.integers(1, 7),
        st.sampled_from([0.0, 0.5, 3.0, 9.5, 10.0, 31.0]),
    ),
    max_size=25,
)


class Model:
    """The rule of `full_counter` alone, without any bound or storage."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, float]] = {}

    def reserve(self, attempt: str, counters: Sequence[Counter], now: float) -> list[Full]:
        """Count in all or in none."""
        found = []
        for one in counters:
            others = [at for n, at in self.entries.get(one.key, {}).items() if n != attempt]
            found.append(full_counter(one, others, now))
        if not any(found):
            for one in counters:
                self.entries.setdefault(one.key, {}).setdefault(attempt, now)
        return [full for full in found if full]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_every_history_ends_as_the_rule_says(
    attempts: AttemptStore, steps: list[Step]
) -> None:
    """Reservations, releases and jumping clocks: every engine answers what the Python rule does.

    The invariant itself is checked too: no window ever holds more than its limit.
    """
    model, now = Model(), NOW
    listed = [counter(AttemptLimit(*limit)) for limit in ((2, 10), (3, 30), (4, 20))]
    run = secrets.token_hex(4)
    live: dict[str, float] = {}
    for kind, number, chosen, move in steps:
        now += move
        name = f"{run}-{number}"
        wanted = [one for bit, one in enumerate(listed) if chosen >> bit & 1]
        if kind == "release":
            await attempts.release(name, wanted)
            for one in wanted:
                model.entries.get(one.key, {}).pop(name, None)
            continue
        if name in live:  # an id is one attempt's; a repetition comes at once, not after a while
            continue
        live[name] = now
        expected = model.reserve(name, wanted, now)
        found = await attempts.reserve(name, wanted, now)
        assert [full.key for full in found] == [full.key for full in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.wait == pytest.approx(other.wait, abs=1e-4)
        for one in wanted:
            at = model.entries.get(one.key, {}).values()
            counted = [entry for entry in at if abs(now - entry) < one.limit.seconds]
            assert len(counted) <= one.limit.most


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5 per 5 minutes", AttemptLimit(5, 300)),
        ("100 per hour", AttemptLimit(100, 3600)),
        ("10/minute", AttemptLimit(10, 60)),
        ("1 PER 1 day", AttemptLimit(1, 86_400)),
        ("3 per 20 seconds", AttemptLimit(3, 20)),
    ],
)
def test_limits_are_written_in_words(text: str, limit: AttemptLimit) -> None:
    """A number, a time, and its unit."""
    assert AttemptLimit.parse(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        *("", "often", "0 per hour", "5 per 0 minutes", "1001 per hour", "5 per 2 days"),
        *("5 per week", "5.5 per hour", "-5 per hour", "5 per hour; 2 per day", "٥ per hour"),
    ],
)
def test_a_limit_that_is_none_says_what_was_expected(text: str) -> None:
    """With the value that was seen."""
    with pytest.raises(ConfigurationError, match="5 per 5 minutes"):
        AttemptLimit.parse(text)


@pytest.fixture(params=["memory", "sqlite", "valkey", "postgres"])
async def small(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Return counters that keep ten counters, or about as many entries."""
    made: Any
    if request.param == "memory":
        made = MemoryAttempts(most_counters=10)
    elif request.param == "sqlite":
        made = SQLiteAttempts(tmp_path / "attempts", most_entries=10)
    elif request.param == "valkey":
        url = request.getfixturevalue("valkey_url")
        made = ValkeyAttempts(url, prefix=f"t{secrets.token_hex(4)}", most_counters=10)
    else:
        dsn = request.getfixturevalue("postgres_dsn")
        # Each attempt deletes the oldest eight rows: first those of other tests.
        connection = await asyncpg.connect(dsn)
        await connection.execute("TRUNCATE linqi_attempts")
        await connection.close()
        made = PostgresAttempts(dsn, most_entries=10)
    yield made
    await made.close()


async def test_the_counters_are_bounded(small: Any) -> None:
    """A flood of names takes no more room than was meant for it: the oldest counters give way."""
    old, used = counter(AttemptLimit(1, 3600)), counter(AttemptLimit(100, 3600))
    assert list(await small.reserve(attempt(), [old], NOW)) == []
    for n in range(40):
        new = counter(AttemptLimit(1, 3600))
        assert list(await small.reserve(attempt(), [new, used], NOW + n)) == []
    assert list(await small.reserve(attempt(), [old], NOW + 50)) == []
    recent = counter(AttemptLimit(1, 3600))
    assert list(await small.reserve(attempt(), [recent], NOW + 51)) == []
    assert await small.reserve(attempt(), [recent], NOW + 52)


async def test_counters_on_sqlite_forget_what_is_over(tmp_path: Path) -> None:
    """The file does not grow with the attempts of a week: each one sweeps more than it writes."""
    path = tmp_path / "attempts"
    store = SQLiteAttempts(path)
    for n in range(200):
        await store.reserve(attempt(), [counter(), counter()], NOW + 60 * n)
    await store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM attempts").fetchone()
    assert rows <= 4
    assert path.stat().st_mode & 0o777 == 0o600


async def test_counters_on_valkey_expire(valkey_url: str) -> None:
    """Every key has an end, the index included."""
    import redis.asyncio

    prefix = f"t{secrets.token_hex(4)}"
    store = ValkeyAttempts(valkey_url, prefix=prefix)
    await store.reserve(attempt(), [counter()], NOW)
    await store.close()
    async with redis.asyncio.Redis.from_url(valkey_url) as client:
        keys = await client.keys(f"{prefix}:*")
        assert len(keys) == 2
        for key in keys:
            assert 0 < await client.ttl(key) <= 172_800


async def test_counters_that_cannot_be_reached_are_unavailable(tmp_path: Path) -> None:
    """Never anything else, so that an attempt that cannot be counted is refused as one."""
    lost: list[Any] = [
        SQLiteAttempts(tmp_path / "no" / "such" / "folder"),
        ValkeyAttempts("redis://127.0.0.1:9/0", timeout=0.5),
        PostgresAttempts("postgresql://user@127.0.0.1:9/none", timeout=0.5),
    ]
    for store in lost:
        with pytest.raises(Unavailable):
            await store.reserve(attempt(), [counter()], NOW)
        with pytest.raises(Unavailable):
            await store.release(attempt(), [counter()])
        await store.close()


async def test_counters_work_again_after_they_were_closed(attempts: AttemptStore) -> None:
    """They connect when they are used, as often as that happens."""
    name = counter()
    assert list(await attempts.reserve(attempt(), [name], NOW)) == []
    await attempts.close()
    assert list(await attempts.reserve(attempt(), [name], NOW)) == []
    assert await attempts.reserve(attempt(), [name], NOW)


# The connections of a loop that ended can only be dropped.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_counters_work_on_another_event_loop(make_store: Callable[[], Any]) -> None:
    """As where an application is served without lifespan, one loop after the other."""
    store, name = make_store().attempts(), counter()

    async def reserved() -> bool:
        return not await store.reserve(attempt(), [name], NOW)

    assert [asyncio.run(reserved()) for _ in range(3)] == [True, True, False]
    asyncio.run(store.close())
    gc.collect()  # here, where their warnings are expected


async def test_a_database_without_the_table_names_the_command() -> None:
    """``linqi store init`` makes it, in a database of an earlier release too."""
    from linqi_report import servers

    with servers.postgres() as dsn:
        store = PostgresAttempts(dsn)
        with pytest.raises(ConfigurationError, match="linqi store init"):
            await store.reserve(attempt(), [counter()], NOW)
        await PostgresStore(dsn).initialize()
        assert list(await store.reserve(attempt(), [counter()], NOW)) == []
        await store.close()


async def test_a_cancelled_attempt_harms_no_later_one(attempts: AttemptStore) -> None:
    """D10: whenever a request is cut off, the next one gets its own answer."""
    roomy, full = counter(AttemptLimit(1000, 60)), counter(AttemptLimit(1, 60))
    assert list(await attempts.reserve(attempt(), [full], NOW)) == []
    for number in range(30):
        task = asyncio.ensure_future(attempts.reserve(attempt(), [full], NOW))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert list(await attempts.reserve(attempt(), [roomy], NOW)) == []
    assert await attempts.reserve(attempt(), [full], NOW)


async def test_an_attempt_whose_reply_is_lost_stays_counted(valkey_url: str) -> None:
    """It is refused, because it is unknown whether it was counted, and its entry stays."""
    port = int(valkey_url.rpartition(":")[2].partition("/")[0])
    proxy, name, prefix = Proxy(("127.0.0.1", port)), counter(), f"t{secrets.token_hex(4)}"
    async with proxy.running():
        store = ValkeyAttempts(f"redis://127.0.0.1:{proxy.port}/0", timeout=1, prefix=prefix)
        assert list(await answered(partial(store.reserve, attempt(), [name], NOW))) == []
        proxy.set("lose_reply", times=1)
        with contextlib.suppress(Unavailable):  # the driver may have sent it again, once
            await store.reserve(attempt(), [name], NOW)
        proxy.set("pass")
        assert await answered(partial(store.reserve, attempt(), [name], NOW))
        await store.close()
