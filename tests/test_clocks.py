"""Workers whose clocks differ, and commands that are delivered after their worker gave up."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aging import age, clock_of, mistake_clock
from chaos import Proxy
from clock import FakeClock
from linqi import Key, Signer, Verifier
from linqi.errors import NotStarted, RefreshRefused, TokenNotYetValid, Unavailable
from linqi.events import Event, RefreshTooLate, StoreClockDiffers
from linqi.sessions.dual import Sessions
from linqi.sessions.pair import TokenPair
from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import SessionStore
from linqi.stores._store_clock import StoreClock
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from records import record
from waiting import answered

RULES = SessionSettings()
KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")
GIVES_UP = 0.5


def test_an_answer_says_how_far_the_servers_clock_is_at_least() -> None:
    """The quickest way back counts; what is known never runs ahead of the server."""
    monotonic = FakeClock(100.0)
    known = StoreClock("the store", monotonic=monotonic)
    with pytest.raises(NotStarted):
        known.now()
    sent = known.sent()
    monotonic.move(0.5)
    known.learn(1000.25, sent)
    assert known.now() == 1000.25
    sent = known.sent()
    monotonic.move(0.25)
    known.learn(1000.625, sent)
    assert known.now() == 1000.625
    sent = known.sent()
    monotonic.move(2)
    known.learn(1001.0, sent)  # a slow way back says less than what is known
    assert known.now() == 1002.625


@pytest.mark.parametrize("step", [-3600.0, -5.0, 5.0, 3600.0])
def test_a_server_whose_clock_jumped_is_known_after_one_answer(step: float) -> None:
    """As after a failover to a host with another clock."""
    monotonic = FakeClock(100.0)
    known = StoreClock("the store", monotonic=monotonic)
    known.learn(1000.0, known.sent())
    sent = known.sent()
    monotonic.move(0.5)
    known.learn(1000.25 + step, sent)
    assert known.now() == 1000.25 + step


def _server_of(dsn: str) -> str:
    parts = parse_qs(urlsplit(dsn).query)
    return f"{parts['host'][0]}/.s.PGSQL.{parts.get('port', ['5432'])[0]}"


def _leave_out(store: Any) -> None:
    """Send ``linqi_redeem`` at once, as for a session that the common statement found locked.

    That statement itself can revoke nothing, however late it comes.
    """

    async def no_rows(presented: Sequence[Any]) -> list[None]:
        return [None] * len(presented)

    store._rotations._batches._send = no_rows


@asynccontextmanager
async def partitioned(kind: str, url: str) -> AsyncIterator[tuple[Any, Any, Proxy]]:
    """Start a store behind a relay, and one whose way to the server stays free."""
    target = (urlsplit(url).hostname, urlsplit(url).port) if kind == "valkey" else _server_of(url)
    async with Proxy(target).running() as proxy:  # type: ignore[arg-type]
        here: SessionStore
        there: SessionStore
        if kind == "valkey":
            here = ValkeyStore(f"redis://127.0.0.1:{proxy.port}/0", timeout=GIVES_UP)
            there = ValkeyStore(url, timeout=20)
        else:
            user, database = urlsplit(url).username or "postgres", urlsplit(url).path.strip("/")
            name = f"postgresql://{user}@127.0.0.1:{proxy.port}/{database}"
            here = PostgresStore(name, timeout=GIVES_UP, most_connections=1)
            there = PostgresStore(url, timeout=20)
            _leave_out(here)
        try:
            await there.start()
            await answered(here.start)
            yield here, there, proxy
        finally:
            proxy.set("cut")
            await here.close()
            await there.close()


async def after_a_while(store: SessionStore, session_id: str, *, is_bounded: bool) -> SessionRecord:
    """Return a session once it is revoked; if its command was bounded, after half a second."""
    async with asyncio.timeout(60):
        for turn in count():
            await asyncio.sleep(0.05)
            after = await store.get(session_id)
            assert after is not None
            if after.revoked_at or turn == (10 if is_bounded else 100):
                return after
    raise AssertionError


async def given_up_then_delivered(
    here: SessionStore,
    there: SessionStore,
    hold: Callable[[], Awaitable[None]],
    deliver: Callable[[], Awaitable[None]],
    *,
    is_bounded: bool,
) -> SessionRecord:
    """Have `here` give a refresh up, the client go on `there`, then the command arrive.

    On a busy machine the command may not have left, or the driver's request to cancel it may be
    quicker: the control, in which it must arrive, has several tries.
    """
    for _ in range(1 if is_bounded else 5):
        row = record(started_at=float(int(time.time())))
        await there.create(row, 20)
        await answered(partial(here.get, row.session_id))
        await hold()
        with pytest.raises(Unavailable):
            await here.present(row.session_id, 0, RULES)
        for counter in (0, 1):
            assert (await there.present(row.session_id, counter, RULES)).kind == "rotated"
        await deliver()
        after = await after_a_while(there, row.session_id, is_bounded=is_bounded)
        if after.cause:
            break
    return after


@pytest.mark.parametrize("is_bounded", [True, False], ids=["deadline", "control"])
@pytest.mark.parametrize("kind", ["valkey", "postgres"])
async def test_a_command_from_a_healed_partition_revokes_no_session(
    kind: str, is_bounded: bool, valkey_url: str, postgres_dsn: str
) -> None:
    """One worker is cut off, its client goes on elsewhere, then the network delivers.

    The control, whose deadline is an hour away, shows that the command does arrive.
    """
    url = valkey_url if kind == "valkey" else postgres_dsn
    async with partitioned(kind, url) as (here, there, proxy):

        async def hold() -> None:
            proxy.set("hang")
            if not is_bounded:
                mistake_clock(here, 3600)

        async def deliver() -> None:
            proxy.set("pass")

        after = await given_up_then_delivered(here, there, hold, deliver, is_bounded=is_bounded)
    assert (after.counter, after.cause) == (2, "" if is_bounded else "reuse")


async def _client(name: str, workers: list[Sessions], refused: list[str], ends_at: float) -> int:
    """Refresh at one worker after the other, and return how often one gave up."""
    given_up = 0
    pair = await workers[1].sign_in(name)
    while time.monotonic() < ends_at and not refused:
        for worker in (*workers, workers[1]):
            try:
                pair = await worker.refresh(pair.refresh_token)
            except RefreshRefused as error:
                refused.append(error.reason)
            except Unavailable:
                given_up += 1
        await asyncio.sleep(0.05)
    return given_up


async def _network(proxy: Proxy) -> None:
    """Hold what comes for longer than a worker waits, deliver it, and so on."""
    while True:
        for mode, seconds in (("pass", 0.3), ("hang", 0.8)):
            proxy.set(mode)
            await asyncio.sleep(seconds)


@pytest.mark.parametrize(
    ("kind", "is_bounded"),
    [("valkey", True), ("valkey", False), ("postgres", True)],
    ids=["valkey-deadline", "valkey-control", "postgres-deadline"],
)
async def test_clients_of_a_worker_that_is_cut_off_again_and_again_stay_signed_in(
    kind: str, is_bounded: bool, valkey_url: str, postgres_dsn: str
) -> None:
    """Twenty clients go from one worker to the other, whose commands the network holds at times."""
    refused: list[str] = []
    url = valkey_url if kind == "valkey" else postgres_dsn
    async with partitioned(kind, url) as (here, there, proxy):
        if not is_bounded:
            here.now = lambda: time.time() + 3600
        workers = [_worker(here, 0), _worker(there, 0)]

        for worker in workers:
            await answered(worker.start)
        # The control ends with the first refusal.
        ends_at = time.monotonic() + (4 if is_bounded else 60)
        holding = asyncio.create_task(_network(proxy))
        living = [_client(f"user-{n}", workers, refused, ends_at) for n in range(20)]
        given_up = sum(await asyncio.gather(*living))
        holding.cancel()
        proxy.set("pass")
        for worker in workers:
            await worker.close()
    assert given_up
    assert bool(refused) is not is_bounded


@pytest.mark.parametrize("is_bounded", [True, False], ids=["deadline", "control"])
async def test_a_command_of_a_frozen_backend_revokes_no_session(
    is_bounded: bool, postgres_dsn: str
) -> None:
    """The backend of one worker is stopped as it waits for the command, and goes on later.

    The driver's request to cancel the command is held, as by a pooler that hangs too.
    """
    async with partitioned("postgres", postgres_dsn) as (here, there, proxy):
        pid = 0

        async def hold() -> None:
            nonlocal pid
            ((pid,),) = await here._fetch("SELECT pg_backend_pid()")
            os.kill(pid, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(GIVES_UP / 2, proxy.set, "hang")
            if not is_bounded:
                mistake_clock(here, 3600)

        async def deliver() -> None:
            os.kill(pid, signal.SIGCONT)
            if not is_bounded:
                proxy.set("pass")  # for another try

        try:
            after = await given_up_then_delivered(here, there, hold, deliver, is_bounded=is_bounded)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert (after.counter, after.cause) == (2, "" if is_bounded else "reuse")


@pytest.mark.parametrize("is_bounded", [True, False], ids=["deadline", "control"])
async def test_a_command_that_waited_for_the_lock_of_a_file_revokes_no_session(
    is_bounded: bool, tmp_path: Path
) -> None:
    """Another process holds the file's lock past the deadline, and rotates meanwhile.

    The control has a clock that stands still, so that its deadline never passes.
    """
    clock = time.time if is_bounded else FakeClock(time.time())
    store = SQLiteStore(tmp_path / "s.db", timeout=GIVES_UP, clock=clock)
    await answered(store.start)
    rows = [record(started_at=float(int(time.time()))) for _ in range(2)]
    for row in rows:
        await answered(partial(store.create, row, 20))
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(store.present(rows[0].session_id, 0, RULES))
    await asyncio.sleep(0.2)
    waits_behind_it = asyncio.create_task(store.present(rows[1].session_id, 0, RULES))
    ended = await asyncio.gather(first, waits_behind_it, return_exceptions=True)
    assert [type(one) for one in ended] == [Unavailable] * 2
    other.execute("UPDATE sessions SET counter = 2, parent = 1 WHERE session_id != ''")
    other.execute("COMMIT")
    other.close()
    after = await after_a_while(store, rows[1].session_id, is_bounded=is_bounded)
    assert (after.counter, after.cause) == (2, "" if is_bounded else "reuse")
    await store.close()


@pytest.mark.parametrize("kind", ["valkey", "postgres"])
async def test_a_late_refresh_is_answered_with_unavailable_and_told(
    kind: str, valkey_url: str, postgres_dsn: str
) -> None:
    """The server's clock was set forward by more than the limit: one answer corrects it."""
    store: Any = ValkeyStore(valkey_url) if kind == "valkey" else PostgresStore(postgres_dsn)
    heard: list[Event] = []
    sessions = _worker(store, 0, heard)
    pair = await sessions.sign_in("alice")
    before = await store.get(pair.session_id)
    mistake_clock(store, -10)
    with pytest.raises(Unavailable, match="after its deadline"):
        await sessions.refresh(pair.refresh_token)
    (told,) = [event for event in heard if isinstance(event, RefreshTooLate)]
    assert told.session == pair.session_id
    assert await store.get(pair.session_id) == before
    assert (await sessions.refresh(pair.refresh_token)).outcome == "rotated"
    assert abs(clock_of(store).now() - time.time()) < 5  # time runs on between both
    await sessions.close()


def _worker(
    store: SessionStore,
    ahead: float,
    heard: list[Event] | None = None,
    rules: SessionSettings = RULES,
) -> Sessions:
    """Return the service of a worker whose clock is `ahead`."""

    def clock() -> float:
        return time.time() + ahead

    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
    hooks = [] if heard is None else [heard.append]
    return Sessions(store, signer, SECRET, settings=rules, hooks=hooks, clock=clock)


@pytest.mark.parametrize("ahead", [-400.0, -5.0, 5.0, 400.0])
async def test_a_worker_with_another_clock_signs_no_honest_client_out(
    make_store: Callable[[], SessionStore], ahead: float
) -> None:
    """Sign-in, tabs, lost replies and idle times at both workers; the thief is still caught."""
    rules = SessionSettings(idle=60, absolute=3_600, grace=3, recover_seconds=30)
    stores = make_store(), make_store()
    heard: list[Event] = []
    odd, even = _worker(stores[0], ahead, heard, rules), _worker(stores[1], 0, rules=rules)
    for first, second in ((odd, even), (even, odd)):
        pair = await first.sign_in("alice")
        for worker, other in ((second, first), (first, second)) * 2:
            pair = await _refreshed_with_faults(worker, other, pair)
        spent = pair.refresh_token
        for worker in (first, second):
            pair = await worker.refresh(pair.refresh_token)
        with pytest.raises(RefreshRefused) as caught:
            await first.refresh(spent)
        assert caught.value.reason == "reused"
        for worker in (first, second):
            with pytest.raises(RefreshRefused, match="revoked"):
                await worker.refresh(pair.refresh_token)
    (told,) = [event for event in heard if isinstance(event, StoreClockDiffers)]
    assert abs(told.ahead - ahead) < 1
    await odd.close()
    if stores[1] is not stores[0]:
        await even.close()


async def _refreshed_with_faults(worker: Sessions, other: Sessions, held: TokenPair) -> TokenPair:
    """Refresh once in two tabs, then lose the reply for 10 s, then be idle for 50 s."""
    pair = await worker.refresh(held.refresh_token)
    again = await other.refresh(held.refresh_token)
    assert (pair.outcome, again.outcome) == ("rotated", "replayed")
    await age(worker.store, pair.session_id, 10)
    found = await other.refresh(held.refresh_token)
    assert found.outcome == "recovered"
    await age(worker.store, pair.session_id, 50)
    return found


async def test_a_refresh_repairs_the_session_of_a_worker_that_is_ahead() -> None:
    """The token of a refresh counts at the worker that made it; the sign-in lies in its future."""
    ahead, right = FakeClock(), FakeClock()
    ahead.move(120)
    store = MemoryStore(clock=right)
    odd, even = (
        Sessions(store, Signer(KEY, issuer="i", audience="a", clock=clock), SECRET, clock=clock)
        for clock in (ahead, right)
    )
    pair = await odd.sign_in("alice")
    verifier = Verifier.trusting(Signer(KEY, issuer="i", audience="a"), clock=right)
    with pytest.raises(TokenNotYetValid):
        verifier.verify(pair.access_token)
    right.move(0.5)
    pair = await even.refresh(pair.refresh_token)
    verified = verifier.verify(pair.access_token)
    assert verified.subject == "alice"
    assert verified.claims["iat"] == int(right())


async def test_clocks_that_agree_again_are_told_once() -> None:
    """An event at the start and at each change of more than a second, not every 30 s."""
    clock, heard = FakeClock(), list[Event]()
    store_clock = FakeClock(clock.now - 5)
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
    store = MemoryStore(clock=store_clock)
    sessions = Sessions(store, signer, SECRET, hooks=[heard.append], clock=clock)
    for _ in range(3):
        sessions._clock_check()
    store_clock.move(5)
    for _ in range(3):
        sessions._clock_check()
    assert heard == [StoreClockDiffers(ahead=5.0), StoreClockDiffers(ahead=0.0)]
