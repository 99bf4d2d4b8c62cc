"""PostgreSQL behind a real PgBouncer in transaction mode."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from linqi import ConfigurationError, Key, Revocation, Revocations, Signer
from linqi.cli import main
from linqi.errors import Unavailable
from linqi.events import Event, RevocationFeedLost
from linqi.sessions.dual import Sessions
from linqi.sessions.refresh import SessionSettings
from linqi.stores._postgres_address import read_postgres_url
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store
from pgbouncer import pgbouncer
from postgres_standby import single_server
from records import record
from waiting import answered, until

KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")


@pytest.fixture(scope="module")
def pooled_dsn(postgres_dsn: str) -> Iterator[str]:
    """Return the database through a pooler that gives each transaction another connection."""
    with pgbouncer(postgres_dsn) as dsn:
        yield dsn


async def _rotations(store: PostgresStore) -> list[BaseException]:
    """Return the errors of 200 calls of 20 clients at once."""

    async def rotate() -> None:
        row = record()
        await store.create(row, 20)
        for number in range(9):
            outcome = await store.present(row.session_id, number, SessionSettings())
            assert outcome.kind == "rotated"

    found = await asyncio.gather(*[rotate() for _ in range(20)], return_exceptions=True)
    return [one for one in found if one is not None]


async def test_every_call_succeeds_without_prepared_statements(pooled_dsn: str) -> None:
    """With ``statement_cache_size=0``; otherwise the error names that setting."""
    good = PostgresStore(pooled_dsn, statement_cache_size=0)
    await good.start()
    assert await _rotations(good) == []
    assert await good.attempts().reserve("a", [], time.time()) == []
    await good.close()
    bad = PostgresStore(pooled_dsn)
    errors: list[BaseException] = []
    try:
        await bad.start()
        errors += await _rotations(bad)
    except Unavailable as error:
        errors.append(error)
    await bad.close()
    assert errors
    assert all(isinstance(error, Unavailable) for error in errors)
    assert any("set statement_cache_size to 0" in str(error) for error in errors)


async def test_a_feed_through_a_pooler_is_never_trusted_and_says_why(pooled_dsn: str) -> None:
    """It would miss every revocation of another worker."""
    events = list[Event]()
    store = PostgresStore(pooled_dsn, statement_cache_size=0, timeout=1)
    await answered(store.start)
    known = Revocations(store, hooks=[events.append])
    starting = asyncio.create_task(known.start())
    await until(lambda: bool(events))
    assert isinstance(events[0], RevocationFeedLost)
    assert "set listen_url to the database itself" in events[0].detail
    assert not known.state().is_trusted
    starting.cancel()
    await known.close()
    await store.close()


async def test_a_listen_url_makes_the_feed_whole(pooled_dsn: str, postgres_dsn: str) -> None:
    """The calls go through the pooler, the notifications past it."""
    stores = [
        open_store(pooled_dsn, listen_url=postgres_dsn, statement_cache_size=0) for _ in range(2)
    ]
    for store in stores:
        await store.start()
    known = Revocations(stores[0])
    await known.start()
    assert known.state().is_trusted
    name, now = secrets.token_hex(8), time.time()
    await stores[1].publish([Revocation(kind="session", value=name, at=now, until=now + 60)])
    await until(lambda: known.knows(name))
    await known.close()
    for store in stores:
        await store.close()


async def test_the_schema_is_made_through_a_pooler_by_many_at_once(
    postgres_dsn: str, pooled_dsn: str
) -> None:
    """Whatever `statement_cache_size` is: nothing is prepared, no lock outlives its transaction."""
    async with new_database(postgres_dsn, pooled_dsn) as dsn:
        versions = await asyncio.gather(*[PostgresStore(dsn).initialize() for _ in range(6)])
        assert versions == [2] * 6
        store = PostgresStore(dsn, statement_cache_size=0)
        await store.start()
        assert await _rotations(store) == []
        await store.close()


@contextlib.asynccontextmanager
async def new_database(direct: str, pooled: str) -> AsyncIterator[str]:
    """Create an empty database and give its DSN through the pooler."""
    import asyncpg

    connection = await asyncpg.connect(direct)
    name = f"linqi_{secrets.token_hex(4)}"
    await connection.execute(f"CREATE DATABASE {name}")
    yield pooled.replace("/postgres", f"/{name}")
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.mark.parametrize("action", ["init", "purge", "workers", "restored"])
async def test_commands_work_through_a_pooler(
    pooled_dsn: str, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They prepare no statements, as there is no setting by which to tell them."""
    options = ["--taken-at", "1"] if action == "restored" else []
    for _ in range(3):
        await asyncio.to_thread(main, ["store", action, pooled_dsn, *options])
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if not line.startswith("deleted ")] == []  # how far it is


async def test_a_search_path_that_a_pooler_drops_is_noticed(postgres_dsn: str) -> None:
    """The tables would be those of another application."""
    with pgbouncer(postgres_dsn, ignored="search_path, options") as dsn:
        for asked in ("search_path=shop", "options=-c%20search_path=shop"):
            store = PostgresStore(f"{dsn}?{asked}", statement_cache_size=0)
            with pytest.raises(ConfigurationError, match=r"ALTER ROLE \.\.\. SET search_path"):
                await store.start()
            await store.close()
    direct = PostgresStore(f"{postgres_dsn}&search_path=shop%2C%20public")
    await direct.start()
    await direct.close()


async def test_a_setting_that_a_pooler_refuses_is_named(pooled_dsn: str) -> None:
    """With the remedy that works behind every pooler."""
    store = PostgresStore(f"{pooled_dsn}?search_path=shop", statement_cache_size=0)
    with pytest.raises(Unavailable, match=r"search_path.*ALTER ROLE"):
        await store.start()
    await store.close()


async def test_prepared_statements_that_get_lost_later_are_named(
    pooled_dsn: str, postgres_dsn: str
) -> None:
    """A worker may have started while the pooler had one connection."""
    store = PostgresStore(postgres_dsn)
    await store.start()
    store._connections._address = read_postgres_url(pooled_dsn)
    await store._connections.leave_server()
    errors = await _rotations(store)
    assert errors
    assert any("set statement_cache_size to 0" in str(error) for error in errors)
    await store.close()


async def test_two_workers_serve_a_load_through_a_pooler(
    pooled_dsn: str, postgres_dsn: str
) -> None:
    """Its four connections serve twenty clients: no error, and sign-outs reach the other worker."""
    workers = []
    for _ in range(2):
        store = open_store(pooled_dsn, listen_url=postgres_dsn, statement_cache_size=0)
        workers.append(Sessions(store, Signer(KEY, issuer="https://a.test", audience="b"), SECRET))
        await workers[-1].start()

    async def live(number: int) -> str:
        pair = await workers[number % 2].sign_in(f"pooled-{number}")
        for turn in range(8):
            pair = await workers[(number + turn) % 2].refresh(pair.refresh_token)
        session = workers[0]._tokens.check(pair.refresh_token).session_id
        await workers[number % 2].revoke(session)
        return session

    ended = await asyncio.gather(*[live(number) for number in range(20)])
    for worker in workers:
        await until(lambda: all(map(worker.revocations.knows, ended)))  # noqa: B023
        assert worker.revocations.state().is_trusted
        await worker.close()


async def test_a_listen_url_of_another_server_is_named(pooled_dsn: str) -> None:
    """Its notifications would be those of another application, or of a primary that was left."""
    with single_server() as other:
        store = PostgresStore(pooled_dsn, listen_dsn=other.dsn, statement_cache_size=0)
        await store.start()
        events = list[Event]()
        known = Revocations(store, hooks=[events.append])
        starting = asyncio.create_task(known.start())
        await until(lambda: bool(events))
        assert "listen_url leads to another server" in events[0].detail  # type: ignore[union-attr]
        starting.cancel()
        await known.close()
        await store.close()
