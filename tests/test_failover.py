"""PostgreSQL's standby takes over: what a worker does then, and what it still knows."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from core_time import core_time
from linqi import Key, Revocation, Signer
from linqi.errors import Unavailable
from linqi.sessions.dual import Sessions
from linqi.stores.postgres import PostgresStore
from postgres_standby import Pair, standby_pair
from waiting import until

KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")


@pytest.fixture(scope="module")
def running_pair() -> Iterator[Pair]:
    """Return a primary and a standby for the module."""
    with standby_pair() as running:
        asyncio.run(PostgresStore(running.dsn).initialize())
        yield running


@pytest.fixture
def pair(running_pair: Pair) -> Iterator[Pair]:
    """Return the pair with its first primary in place again."""
    running_pair.wait_until_equal()
    yield running_pair
    running_pair.restore()


@asynccontextmanager
async def worker(pair: Pair, **options: float) -> AsyncIterator[Sessions]:
    """Yield the sessions of one worker, started."""
    store = PostgresStore(pair.dsn, **{"timeout": 2.0, **options})  # type: ignore[arg-type]
    sessions = Sessions(store, Signer(KEY, issuer="https://issuer.test", audience="shop"), SECRET)
    await sessions.start()
    try:
        yield sessions
    finally:
        await sessions.close()


class Honest:
    """Clients that refresh again and again, and present a token until it is answered."""

    def __init__(self, workers: list[Sessions]) -> None:
        self.workers = workers
        self.answered: list[float] = []
        self.refused: list[str] = []
        self.unavailable = 0

    async def live(self, number: int, stop: asyncio.Event) -> None:
        """Sign in, and refresh until `stop`."""
        sessions = self.workers[number % len(self.workers)]
        pair = await sessions.sign_in(f"user-{number}")
        while not stop.is_set():
            try:
                pair = await sessions.refresh(pair.refresh_token)
                self.answered.append(core_time())
            except Unavailable:
                self.unavailable += 1
            except Exception as error:  # noqa: BLE001 - each is a client that is signed out
                self.refused.append(repr(error))
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def crowd(self, count: int) -> AsyncIterator[None]:
        """Have `count` clients live meanwhile, and a second before and after."""
        stop = asyncio.Event()
        living = [asyncio.create_task(self.live(n, stop)) for n in range(count)]
        await asyncio.sleep(1)
        yield
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*living)

    def first_after(self, moment: float) -> float:
        """Return the seconds from `moment` to the first answer after it."""
        return min(at for at in self.answered if at > moment) - moment


async def fail_over(pair: Pair, harm: Callable[[], object]) -> float:
    """Harm the primary, promote the standby, and return when that was done."""
    await asyncio.to_thread(harm)
    await asyncio.to_thread(pair.standby.promote)
    return core_time()


async def test_after_a_planned_failover_both_workers_go_on(pair: Pair) -> None:
    """The old primary returns as a standby at once: no sign-out, and the feed is whole."""
    async with worker(pair) as one, worker(pair) as two:
        honest = Honest([one, two])
        async with honest.crowd(10):
            promoted_at = await fail_over(pair, pair.primary.stop)
            await asyncio.to_thread(pair.primary.follow, pair.standby)
        print(f"\nfirst answer {honest.first_after(promoted_at):.3f} s after the promotion")
        assert honest.refused == []
        assert honest.first_after(promoted_at) < 1.5
        await until(lambda: one.revocations.state().is_trusted)
        signed_out = await two.sign_in("carol")
        session = two._tokens.check(signed_out.refresh_token).session_id
        await two.revoke(session)
        await until(lambda: one.revocations.knows(session))


@pytest.mark.distributed
async def test_a_primary_that_hangs_is_left_within_one_call(pair: Pair) -> None:
    """SIGSTOP of the primary while its standby is promoted: idle connections cost no call each."""
    async with worker(pair, timeout=1.0) as one:
        honest = Honest([one])
        async with honest.crowd(10):
            await fail_over(pair, pair.primary.freeze)
            await asyncio.sleep(2)
            began = core_time()
            await one.sign_in("dave")
            assert core_time() - began < 0.5
        assert honest.refused == []
        await until(lambda: one.revocations.state().is_trusted)
        pair.primary.thaw()


@pytest.mark.distributed
async def test_a_revocation_that_the_standby_never_received_stays_known_here(pair: Pair) -> None:
    """The standby was down, then the primary died: its last writes are lost, not their effect."""
    async with worker(pair) as one:
        await asyncio.to_thread(pair.standby.stop)
        lost = Revocation(
            kind="session", value="lost-session", at=time.time(), until=time.time() + 600
        )
        await one.store.publish([lost])
        await until(lambda: one.revocations.knows("lost-session"))
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.standby.start)
        await fail_over(pair, lambda: None)
        await until(lambda: one.revocations.state().is_trusted)
        assert "lost-session" not in pair.standby.sql("SELECT value FROM linqi_revocations")
        assert one.revocations.knows("lost-session")
