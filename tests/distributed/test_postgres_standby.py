"""PostgreSQL with a standby, synchronous or not, and behind PgBouncer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributed.engines import postgres
from distributed.fleet import fleet
from distributed.history import Header
from distributed.ordeal import ordeal
from linqi.stores.postgres import PostgresStore
from pgbouncer import pgbouncer
from postgres_standby import Pair, standby_pair

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(240)]
STALE = 3.0
LAG_SECONDS = 2.0


@pytest.fixture(params=[True, False], ids=["sync", "async"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Run a primary and its standby with linqi's schema."""
    with standby_pair(is_synchronous=request.param) as made:
        asyncio.run(PostgresStore(made.primary.dsn).initialize())
        yield made


def header(name: str, *, may_forget: bool = False) -> Header:
    """Return the header of a scenario."""
    return Header(
        scenario=f"postgresql-{name}",
        engine="PostgreSQL",
        bound=STALE + 2,
        may_forget=may_forget,
        may_revive=may_forget,
        prevented_by="synchronous_standby_names",
    )


def is_synchronous(pair: Pair) -> bool:
    """Return whether commits wait for the standby."""
    return bool(pair.primary.sql("SHOW synchronous_standby_names"))


async def test_the_primary_is_killed_and_the_standby_promoted(pair: Pair, tmp_path: Path) -> None:
    """The old primary does not come back."""
    synchronous = await asyncio.to_thread(is_synchronous, pair)
    async with fleet(tmp_path, pair.dsn, stale_after=STALE) as running:

        async def harm() -> None:
            pair.primary.kill()
            await asyncio.sleep(1)
            await asyncio.to_thread(pair.standby.promote)

        name = f"killed-{'sync' if synchronous else 'async'}"
        found = await ordeal(running, header(name, may_forget=not synchronous), harm)
    assert found.faults == ()
    assert found.thefts


async def test_the_standby_lags_and_is_promoted(pair: Pair, tmp_path: Path) -> None:
    """It is away for 2 s; then the primary dies, and it comes back and is promoted.

    A standby that stands still would not do: its system receives what it has not read.

    With a synchronous standby no commit is acknowledged meanwhile. With an asynchronous one the
    acknowledged writes of these seconds are lost.
    """
    synchronous = await asyncio.to_thread(is_synchronous, pair)
    async with fleet(tmp_path, pair.dsn, stale_after=STALE) as running:

        async def harm() -> None:
            await asyncio.to_thread(pair.standby.stop)
            await asyncio.sleep(LAG_SECONDS)
            pair.primary.kill()
            await asyncio.to_thread(pair.standby.start)
            await asyncio.to_thread(pair.standby.promote)

        name = f"lagging-{'sync' if synchronous else 'async'}"
        found = await ordeal(running, header(name, may_forget=not synchronous), harm)
    assert found.faults == ()


async def test_a_planned_switchover(pair: Pair, tmp_path: Path) -> None:
    """A primary that is shut down sends its standby all; nothing is lost in either case."""
    synchronous = await asyncio.to_thread(is_synchronous, pair)
    async with fleet(tmp_path, pair.dsn, stale_after=STALE) as running:

        async def harm() -> None:
            await asyncio.to_thread(pair.primary.stop)
            await asyncio.to_thread(pair.standby.promote)

        name = f"switchover-{'sync' if synchronous else 'async'}"
        found = await ordeal(running, header(name), harm)
    assert found.faults == ()
    assert found.thefts


@pytest.fixture
def pooled() -> Iterator[tuple[str, str]]:
    """Run PgBouncer in transaction mode; give the URL of the database through it and without."""
    with postgres() as engine:
        assert isinstance(engine.server, tuple)
        direct = engine.url.format(port=engine.server[1])
        with pgbouncer(direct) as url:
            yield url, direct


async def test_half_of_the_workers_are_cut_off_from_a_pooler(
    pooled: tuple[str, str], tmp_path: Path
) -> None:
    """They still get notifications, from the database itself."""
    url, direct = pooled
    port = int(url.rpartition(":")[2].partition("/")[0])
    store = f'listen_url = "{direct}"\nstatement_cache_size = 0'
    through, server = url.replace(str(port), "{port}"), ("127.0.0.1", port)
    async with fleet(tmp_path, through, server=server, store=store, stale_after=STALE) as running:

        async def harm() -> None:
            running.cut_off([0, 1])
            await asyncio.sleep(5)
            running.heal()

        found = await ordeal(running, header("pgbouncer-partition"), harm)
    assert found.faults == ()
    assert found.unavailable
    assert found.thefts
