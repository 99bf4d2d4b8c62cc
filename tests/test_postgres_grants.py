"""Two roles of PostgreSQL: one owns the schema, the other runs with the least grants."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from linqi import ConfigurationError, Revocation, Revocations
from linqi.cli import main
from linqi.errors import Unavailable
from linqi.sessions.attempts import AttemptLimit, Counter
from linqi.sessions.refresh import SessionSettings
from linqi.stores._postgres_start import GRANTS
from linqi.stores.postgres import PostgresStore
from postgres_standby import Server, single_server
from records import record

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "stores.md"
GRANT = re.compile(r"GRANT (?P<rights>[A-Z, ]+) ON (?P<things>[^;]+) TO (?P<role>\w+);")


def guide_sql() -> tuple[str, str]:
    """Return the SQL of the guide: before ``linqi store init``, and after it."""
    (text,) = re.findall(r"```sql\n(-- As a superuser.*?)```", GUIDE.read_text(), re.DOTALL)
    before, _, after = text.partition("-- After linqi store init")
    return before, f"--{after}"


def documented() -> list[tuple[str, str]]:
    """Return each table of the guide with each right that it grants on it."""
    return [
        (table.strip().removeprefix("linqi."), right.strip())
        for found in GRANT.finditer(guide_sql()[1])
        for table in found["things"].split(",")
        for right in found["rights"].split(",")
        if right != "EXECUTE"
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server with the two roles of the guide."""
    before, after = guide_sql()
    with single_server() as running:
        running.sql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", before)
        running.sql(
            "ALTER DEFAULT PRIVILEGES FOR ROLE linqi_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
        )
        asyncio.run(PostgresStore(dsn(running, "linqi_owner")).initialize())
        running.sql(after)
        yield running


def dsn(server: Server, role: str) -> str:
    """Return the URL for one of the roles."""
    return server.dsn.replace("//postgres@", f"//{role}@")


async def use_all(store: PostgresStore) -> None:
    """Do everything that a worker does."""
    old, now = record(ends_at=time.time() - 900, expires_at=time.time() - 900), time.time()
    for row in (record(), record(), old):
        await store.create(row, 1)
    row = record()
    await store.create(row, 1)
    for counter in (0, 0, 1):
        await store.present(row.session_id, counter, SessionSettings())
    await store.get(row.session_id)
    await store.live(row.subject, now)
    await store.raise_lifetime(await store.raise_lifetime(0) + 1)
    await store.end_devices("owner", now - 500 * 86_400)
    await store.end_devices("owner", now - 500 * 86_400)
    await store.devices_ended_at("owner")
    over = Revocation(kind="session", value="x", at=now, until=now - 1)
    for _ in range(2):
        await store.publish([over])
    known = Revocations(store)
    await known.start()
    await known.close()
    if known.state().age > 5:
        raise Unavailable(known.state().last_error)
    await store.revoke(row.session_id, now, "admin")
    await store.revoke_all(row.subject, now, "admin")
    while await store.purge(now, 100):
        pass
    counter = Counter("c", AttemptLimit(9, 1))
    await store.attempts().reserve("a", [counter], now - 5)
    await store.attempts().reserve("b", [counter], now)
    await store.attempts().release("b", [counter])
    notes = store.notes()
    await notes.put("k", "n", "t", 0)
    await notes.put("k", "m", "t", 60)
    await notes.claim("k", "n", "t", 60)
    await notes.read("k")
    await notes.drop("k", "n", "t")


async def test_the_documented_grants_are_enough(server: Server) -> None:
    """For all that workers do; the schema belongs to another role."""
    store = PostgresStore(dsn(server, "shop"))
    await store.start()
    await use_all(store)
    await store.close()
    with pytest.raises((Unavailable, ConfigurationError), match=r"must be owner|permission denied"):
        await store.initialize()


def test_the_guide_names_the_grants_that_a_start_checks() -> None:
    """One list in the code, one in the guide."""
    checked = [(table, right) for table, rights in GRANTS.items() for right in rights]
    assert sorted(documented()) == sorted(checked)


async def lacks(server: Server, thing: str, right: str, use: Callable[[], Awaitable[None]]) -> None:
    """Check that something fails without one grant, and that a start says how to give it."""
    server.sql(f"REVOKE {right} ON {thing} FROM shop")
    try:
        with pytest.raises((Unavailable, ConfigurationError), match=r"permission denied|GRANT"):
            await use()
        new = PostgresStore(dsn(server, "shop"))
        with pytest.raises(ConfigurationError, match=f"GRANT {right} ON .* TO shop"):
            await new.start()
        await new.close()
    finally:
        server.sql(f"GRANT {right} ON {thing} TO shop")


@pytest.mark.distributed
@pytest.mark.parametrize(("table", "right"), documented())
async def test_none_of_the_grants_is_superfluous(server: Server, table: str, right: str) -> None:
    """Without one of them something fails, and a start names it."""
    store = PostgresStore(dsn(server, "shop"))
    await store.start()
    use = store.start if table == "linqi_schema" else lambda: use_all(store)
    await lacks(server, f"linqi.{table}", right, use)
    await store.close()


async def test_each_function_is_needed(server: Server) -> None:
    """Where EXECUTE was taken from PUBLIC."""
    functions = server.sql(
        "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'linqi'::regnamespace"
    ).splitlines()
    assert functions
    for function in functions:
        new = PostgresStore(dsn(server, "shop"))
        server.sql(f"REVOKE EXECUTE ON FUNCTION {function} FROM shop")
        with pytest.raises(ConfigurationError, match="GRANT EXECUTE ON FUNCTION"):
            await new.start()
        server.sql(f"GRANT EXECUTE ON FUNCTION {function} TO shop")
        await new.close()


async def test_a_role_that_may_not_use_the_schema_is_told(server: Server) -> None:
    """Its tables look absent then."""
    server.sql("REVOKE USAGE ON SCHEMA linqi FROM shop")
    try:
        store = PostgresStore(dsn(server, "shop"))
        with pytest.raises(ConfigurationError, match="GRANT USAGE ON the SCHEMA"):
            await store.start()
        await store.close()
    finally:
        server.sql("GRANT USAGE ON SCHEMA linqi TO shop")


async def test_the_workers_role_may_ask_whether_the_schema_is_current(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """``linqi store init`` has nothing to do, and asks for no right to create."""
    assert await asyncio.to_thread(main, ["store", "init", dsn(server, "shop")]) == 0
    assert capsys.readouterr() == ("nothing to do: the store has schema 2\n", "")
