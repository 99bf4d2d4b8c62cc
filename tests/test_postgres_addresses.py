"""URLs of PostgreSQL databases, as platforms and other libraries write them."""

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.errors import ConfigurationError, LinqiError
from linqi.stores._asyncpg import as_unavailable
from linqi.stores._postgres_address import POSTGRES_SCHEMES, read_postgres_url
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store

SECRET = "hunter2-secret"


@pytest.mark.parametrize("scheme", POSTGRES_SCHEMES)
def test_every_scheme_of_postgresql_names_the_same_database(scheme: str) -> None:
    """SQLAlchemy's and the short one too: a platform hands out one URL for all programs."""
    address = read_postgres_url(f"{scheme}app:{SECRET}@db.internal:6543/shop")
    assert address.hosts == [("db.internal", 6543)]
    assert address.options["user"] == "app"
    assert address.options["password"]() == SECRET
    assert address.options["database"] == "shop"


@pytest.mark.parametrize(
    ("place", "hosts"),
    [
        ("h1:1,h2:2", [("h1", 1), ("h2", 2)]),
        ("h1,h2:2", [("h1", None), ("h2", 2)]),
        ("[::1]:5,[fe80::2]", [("::1", 5), ("fe80::2", None)]),
        ("%2Fvar%2Frun%2Fpg:5433", [("/var/run/pg", 5433)]),
        ("", [(None, None)]),
    ],
)
def test_hosts_are_read_with_their_ports(
    place: str, hosts: list[tuple[str | None, int | None]]
) -> None:
    """As libpq does: a list, IPv6 in brackets, the folder of a socket."""
    assert read_postgres_url(f"postgresql://u@{place}/d").hosts == hosts


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("host=/run/pg&port=6", [("/run/pg", 6)]),
        ("host=h1:1,h2:2", [("h1", 1), ("h2", 2)]),
        ("host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)]),
        ("host=h1,h2&port=1,2", [("h1", 1), ("h2", 2)]),
        ("host=h1,h2&port=3", [("h1", 3), ("h2", 3)]),
    ],
)
def test_hosts_may_stand_in_the_query(query: str, hosts: list[tuple[str, int]]) -> None:
    """As platforms with sockets and SQLAlchemy write several of them."""
    assert read_postgres_url(f"postgresql://u@/d?{query}").hosts == hosts


def test_a_password_is_decoded_whatever_it_contains() -> None:
    """Percent-encoded, and an @ also raw: the host begins after the last one."""
    encoded = "postgresql://us%40er:p%2F%3A%23%3F%25%20%40w@h/d%20b"
    address = read_postgres_url(encoded)
    assert address.options["user"] == "us@er"
    assert address.options["password"]() == "p/:#?% @w"
    assert address.options["database"] == "d b"
    assert read_postgres_url("postgresql://u:a@b:c@h/d").options["password"]() == "a@b:c"


def test_a_connection_is_to_a_server_that_can_be_written() -> None:
    """Unless the URL says that any will do."""
    assert read_postgres_url("postgres://h/d").options["target_session_attrs"] == "read-write"
    address = read_postgres_url("postgres://h/d?target_session_attrs=any")
    assert address.options["target_session_attrs"] == "any"


def test_what_only_other_drivers_know_is_left_out() -> None:
    """Asyncpg would send it to the server as a setting, which refuses it."""
    address = read_postgres_url(
        "postgres://h/d?sslmode=require&connect_timeout=10&keepalives_idle=3&pgbouncer=true"
        "&channel_binding=prefer&application_name=shop&prepared_statement_cache_size=0"
    )
    assert address.options["dsn"] == "postgresql://?sslmode=require"
    assert address.settings == {"application_name": "shop"}
    assert (
        read_postgres_url("postgres://h/d?ssl=require").options["dsn"].endswith("sslmode=require")
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslmode=yes", "verify-full"),
        ("sslrootcert=/no/such/file", "sslrootcert"),
        ("sslmode=require&channel_binding=require", "channel binding"),
        ("target_session_attrs=standby", "sessions are written"),
        ("target_session_attrs=first", "sessions are written"),
        ("host=h2&port=1,2", "1 hosts and 2 ports"),
    ],
)
def test_what_asyncpg_cannot_do_is_refused(query: str, words: str) -> None:
    """At construction, with what is expected."""
    with pytest.raises(ConfigurationError, match=words):
        PostgresStore(
            f"postgresql://u@/d?{query}" if "host" in query else f"postgres://h/d?{query}"
        )


def test_the_files_of_tls_are_passed_on(tmp_path: Path) -> None:
    """Those that exist."""
    (tmp_path / "ca.pem").touch()
    address = read_postgres_url(f"postgres://h/d?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")
    assert "sslrootcert=" in address.options["dsn"]


UNREADABLE = [
    f"postgresql://u:{SECRET}#x@h/d",
    f"postgresql://u:12/{SECRET}@h/d",
    f"postgresql://u:{SECRET}/x@h/d",
    f"postgresql://u:{SECRET}?x@h/d",
    f"postgresql://u:{SECRET}@h:{SECRET}/d",
    f"postgresql://u:{SECRET}@h:1:2/d",
    f"postgresql://u:{SECRET}@h:70000/d",
    f"postgresql://u:{SECRET}@h,/d",
    f"postgresql://u:{SECRET}@[::1/d",
    f"postgresql://u:{SECRET}@h/d?{SECRET}",
    f"postgresql://u:{SECRET}@h/d?port={SECRET}",
    f"postgresql+{SECRET}://h/d",
    f"mysql://u:{SECRET}@h/d",
]


@pytest.mark.parametrize("url", UNREADABLE)
def test_an_error_contains_no_part_of_the_url(url: str) -> None:
    """What is misread as a port or a host may be a part of the password."""
    for read in (open_store, PostgresStore):
        with pytest.raises(ConfigurationError) as caught:
            read(url)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    """Never another exception."""
    for url in (f"postgresql://{text}", f"postgres://u:p@h/d?{text}"):
        try:
            address = read_postgres_url(url)
        except ConfigurationError:
            continue
        assert SECRET not in repr(address)


async def test_a_password_stands_in_no_error_and_no_repr(postgres_dsn: str) -> None:
    """Not where the server is unreachable, and not in what the driver keeps."""
    store = open_store(f"postgresql://u:{SECRET}@127.0.0.1:1,127.0.0.1:2/d?connect_timeout=1")
    with pytest.raises(LinqiError) as caught:
        await store.start()
    shown = [*traceback.format_exception(caught.value), repr(store), repr(vars(store))]
    await store.close()
    folder = postgres_dsn.partition("host=")[2]
    real = PostgresStore(f"postgresql://postgres:{SECRET}@/postgres?host={folder}")
    await real.start()
    async with real._connections.single() as connection:
        shown += [repr(connection), repr(connection._params)]
    await real.close()
    assert SECRET not in "".join(shown)


def test_an_error_of_the_server_quotes_no_row() -> None:
    """DETAIL holds values: session ids, claims."""

    class UniqueViolationError(Exception):
        pass

    error = UniqueViolationError(f"duplicate key\nDETAIL:  Key (session_id)=({SECRET}) exists.")
    assert str(as_unavailable(error, 1)) == "PostgreSQL: UniqueViolationError: duplicate key"
