"""Fixtures that several modules share."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser, BrowserContext

import browsers
from chrome import browsing
from clock import FakeClock
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from linqi_report import servers
from signed_in import serving_dual
from valkey_cluster import ValkeyCluster, cluster
from valkey_nodes import CALM_MS
from valkey_sentinel import ValkeySentinel, sentinel

# They start clusters, standbys, poolers or load generators, which Windows has no packages for.
collect_ignore = (
    [
        "distributed",
        "test_failover.py",
        "test_generators.py",
        "test_pooler.py",
        "test_postgres_grants.py",
        "test_postgres_limits.py",
        "test_standby.py",
    ]
    if sys.platform == "win32"
    else []
)

# How long an example takes says how busy the machine is, nothing of the code.
settings.register_profile("linqi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("linqi")

LONG_FIRST = (
    *("tuner_storms", "tune_proof", "tuner_options", "access_log", "faults", "log_formats"),
    *("store_share", "client_faults", "bench", "storm_wiring", "on_demand", "rivals"),
    *(
        "tuner_expected_cycles",
        "config_schema",
        "key_hosts",
        "valkey_failover",
        "engines",
        "browser",
        "examples",
    ),
    *("login", "throttle_workers", "real_servers", "page", "restored", "storm_runs", "config_keys"),
    *("monitoring", "mcp_sign_in", "mcp", "node_provider", "moving_in_page", "algorithm_change"),
    *("private_issuers", "alb_keys", "logs_page"),
)
"""The modules that take longest: begun last, one of them would run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest modules; the others keep their order."""
    places = {f"test_{name}": place for place, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest_asyncio.fixture(loop_scope="module")
async def profile(engine: browsers.Browser) -> AsyncIterator[browsers.Profile]:
    """Return an empty profile of the browser that the module starts as `engine`."""
    made = await engine.new_profile()
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(profile: browsers.Profile, server: str) -> browsers.Page:
    """Return a blank page of the `server` of the module."""
    opened: browsers.Page = await profile.new_page()
    await opened.goto(server)
    return opened


@pytest.fixture
def clock() -> FakeClock:
    """Return a wall clock that stands still."""
    return FakeClock()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """Return a Valkey server for the whole run."""
    with servers.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[ValkeyCluster]:
    """Return a Valkey cluster for the whole run, for tests that do it no harm."""
    with cluster(node_timeout=CALM_MS) as made:
        yield made


@pytest.fixture(scope="session")
def valkey_sentinel() -> Iterator[ValkeySentinel]:
    """Return a Valkey primary, its replica and sentinels, for tests that do them no harm."""
    with sentinel(down_after=CALM_MS) as made:
        yield made


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """Return a PostgreSQL database with linqi's schema for the whole run."""
    with servers.postgres() as dsn:
        with ThreadPoolExecutor(1) as thread:  # the fixture that asks may run on an event loop
            thread.submit(asyncio.run, PostgresStore(dsn).initialize()).result()
        yield dsn


@pytest.fixture(scope="session")
def dual_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a server with dual tokens whose access tokens outlive every test."""
    with serving_dual(tmp_path_factory.mktemp("dual"), lifetime=7200, buffer=60) as url:
        yield url


@pytest.fixture(scope="session")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a server with dual tokens whose access tokens live 3 to 9 s."""
    with serving_dual(tmp_path_factory.mktemp("quick"), lifetime=9, buffer=3) as url:
        yield url


@pytest.fixture(
    params=[
        *("memory", "sqlite", "valkey", "postgres"),
        pytest.param("valkey_cluster", marks=pytest.mark.distributed),
        pytest.param("valkey_sentinel", marks=pytest.mark.distributed),
    ]
)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SessionStore]:
    """Return a factory of stores that share their data, for each kind of store.

    Their calls may take long: on a busy machine hundreds at once need more than the usual limit.
    """
    patient = {"timeout": 20.0}
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "sessions.db", **patient)
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_url")
        prefix = f"t{secrets.token_hex(4)}"
        return lambda: ValkeyStore(url, prefix=prefix, **patient)
    if request.param.startswith("valkey_"):
        url = request.getfixturevalue(request.param).url
        prefix = f"t{secrets.token_hex(4)}"
        return lambda: ValkeyStore(url, prefix=prefix, **patient)
    dsn = request.getfixturevalue("postgres_dsn")
    return lambda: PostgresStore(dsn, **patient)


@pytest.fixture
async def store(make_store: Callable[[], SessionStore]) -> AsyncIterator[SessionStore]:
    """Return one started store."""
    store = make_store()
    await store.start()
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Return one browser for the module."""
    async with browsing() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Return an empty browser profile."""
    made = await browser.new_context()
    yield made
    await made.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        done = None
    if done is None or done.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=False)
