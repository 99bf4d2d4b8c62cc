"""What a Valkey store asks of all its servers when it starts."""

import asyncio
import contextlib
import secrets
import ssl
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from linqi import Key, Signer
from linqi.commands.store_init import run
from linqi.errors import ConfigurationError, Unavailable
from linqi.events import Event, StoreWarning
from linqi.sessions.dual import Sessions
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from valkey_cluster import ValkeyCluster
from valkey_nodes import Node, single
from valkey_sentinel import ValkeySentinel

PASSWORD = f"secret-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """Return one server that keeps nothing on disk."""
    with single() as made:
        yield made


@pytest.fixture
async def own(node: Node) -> AsyncIterator[Redis]:
    """Return a client as an application makes it."""
    client = Redis(port=node.port)
    yield client
    await client.aclose()


async def warnings_of(store: Any) -> list[str]:
    """Return the warnings of one start."""
    try:
        await store.start()
        return list(store.warnings)
    finally:
        await store.close()


def evict(node: Node) -> None:
    """Let a server evict keys."""
    node.run("CONFIG", "SET", "maxmemory", "100mb")
    node.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")


def keep(node: Node) -> None:
    """Let it evict none."""
    node.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    node.run("CONFIG", "SET", "maxmemory", "0")


async def test_a_server_that_keeps_nothing_on_disk_is_named(node: Node) -> None:
    """It starts all the same: a cache may be all that someone wants."""
    (warning,) = await warnings_of(open_store(f"valkey://{node.name}/0"))
    assert node.name in warning
    assert "set appendonly yes" in warning
    for name, value in (("save", "3600 1"), ("appendonly", "yes")):
        node.run("CONFIG", "SET", name, value)
        assert await warnings_of(open_store(f"valkey://{node.name}/0")) == []
        node.run("CONFIG", "SET", "save", "")
    node.run("CONFIG", "SET", "appendonly", "no")


async def test_warnings_are_events_and_lines_of_store_init(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service tells them to its hooks, the command line to its user."""
    heard: list[Event] = []
    signer = Signer(Key.generate("HS256"), issuer="i", audience="a")
    store = open_store(f"valkey://{node.name}/0")
    sessions = Sessions(store, signer, Key.generate("HS256"), hooks=[heard.append])
    await sessions.start()
    await sessions.close()
    (told,) = [event for event in heard if isinstance(event, StoreWarning)]
    assert node.name in told.detail


def test_store_init_prints_the_warnings(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """On the standard error, beside the answer."""
    assert run(Namespace(url=f"valkey://{node.name}/0", check=False, prefix=None)) == 0
    shown = capsys.readouterr()
    assert shown.out == "the store is ready\n"
    assert shown.err.startswith(f"warning: {node.name}: nothing is kept on disk")


async def test_too_few_replicas_are_told(node: Node) -> None:
    """Before the first revocation gets 503."""
    found = await warnings_of(open_store(f"valkey://{node.name}/0", min_replicas=1))
    assert any("0 replicas, fewer than min_replicas (1)" in text for text in found)


@pytest.mark.parametrize("forbidden", ["info", "config"])
async def test_a_forbidden_question_is_a_warning(node: Node, forbidden: str) -> None:
    """Managed servers forbid CONFIG, and an ACL may forbid INFO."""
    name = f"app-{forbidden}"
    node.run("ACL", "SETUSER", name, "on", f">{PASSWORD}", "~*", "+@all", f"-{forbidden}")
    (warning,) = await warnings_of(open_store(f"valkey://{name}:{PASSWORD}@{node.name}/0"))
    assert forbidden.upper() in warning
    assert PASSWORD not in warning


async def test_a_wrong_password_is_named_and_not_shown(node: Node) -> None:
    """Neither in the error nor in what caused it."""
    store = open_store(f"valkey://app:{PASSWORD}@{node.name}/0")
    with pytest.raises(Unavailable, match="AuthenticationError") as caught:
        await store.start()
    shown, cause = [repr(caught.value), str(caught.value)], caught.value.__cause__
    while cause is not None:
        shown += [repr(cause), str(cause)]
        cause = cause.__cause__ or cause.__context__
    assert not any(PASSWORD in text for text in shown)
    await store.close()


async def test_a_client_of_ones_own_that_repeats_otherwise_is_told(node: Node, own: Redis) -> None:
    """With the number of both, and what to give it; then nothing is told."""
    found = await warnings_of(ValkeyStore(client=own))
    assert any("repeats a command 10 times, one of a URL 3 times" in text for text in found)
    retry = Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), 3)
    client = Redis(port=node.port, retry=retry)
    found = await warnings_of(ValkeyStore(client=client))
    assert not any("repeats" in text for text in found)
    await client.aclose()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the end."""
    with contextlib.suppress(OSError):
        while some := await reader.read(65_536):
            writer.write(some)
            await writer.drain()
    writer.close()


async def test_tls_is_checked_unless_the_url_says_otherwise(node: Node, tmp_path: Path) -> None:
    """By the authority of ``ssl_ca_certs``; a wrong one is an error and no connection."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def terminate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection(node.host, node.port)
        await asyncio.gather(_passed_on(reader, ahead), _passed_on(behind, writer))

    server = await asyncio.start_server(terminate, "127.0.0.1", 0, ssl=context)
    url = f"valkeys://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    assert await warnings_of(open_store(f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}"))
    assert await warnings_of(open_store(f"{url}?ssl_cert_reqs=none"))
    with pytest.raises(Unavailable):
        await warnings_of(open_store(url))
    server.close()


async def test_a_node_of_a_cluster_is_no_single_server(valkey_cluster: ValkeyCluster) -> None:
    """The error has the URL to use, which then works."""
    node = valkey_cluster.nodes[0]
    store = open_store(f"valkey://{node.name}/0")
    with pytest.raises(ConfigurationError) as caught:
        await store.start()
    await store.close()
    (fault,) = caught.value.faults
    url = f"valkey+cluster://{node.name}"
    assert f"belongs to a cluster; use {url}," in fault
    assert await warnings_of(open_store(url))


async def test_a_node_of_a_cluster_is_told_where_info_is_forbidden(
    valkey_cluster: ValkeyCluster,
) -> None:
    """By the redirection of the first command."""
    texts = []
    for node in valkey_cluster.nodes:
        node.run("ACL", "SETUSER", "quiet", "on", f">{PASSWORD}", "~*", "+@all", "-info")
        store = open_store(f"valkey://quiet:{PASSWORD}@{node.name}/0")
        try:
            await store.start()
        except (ConfigurationError, Unavailable) as error:
            texts.append(str(error))
        await store.close()
    assert len(texts) == 5
    assert sum("it belongs to a cluster: use valkey+cluster://" in text for text in texts) >= 2


async def test_all_nodes_of_a_cluster_are_asked(valkey_cluster: ValkeyCluster) -> None:
    """A replica that evicts undoes revocations when it is promoted; equal warnings are one."""
    (warning,) = await warnings_of(open_store(valkey_cluster.url))
    assert all(node.name in warning for node in valkey_cluster.nodes)
    evicting = valkey_cluster.nodes[-1]
    evict(evicting)
    try:
        with pytest.raises(ConfigurationError, match=f"{evicting.name} evicts keys"):
            await warnings_of(open_store(valkey_cluster.url))
    finally:
        keep(evicting)


async def test_the_replicas_behind_sentinels_are_asked(valkey_sentinel: ValkeySentinel) -> None:
    """Also those of a primary that a plain URL names."""
    (warning,) = await warnings_of(open_store(valkey_sentinel.url))
    assert all(node.name in warning for node in valkey_sentinel.servers)
    primary = valkey_sentinel.primary()
    (replica,) = [node for node in valkey_sentinel.servers if node is not primary]
    evict(replica)
    try:
        for url in (valkey_sentinel.url, f"valkey://{primary.name}/0"):
            with pytest.raises(ConfigurationError, match=f"{replica.name} evicts keys"):
                await warnings_of(open_store(url))
    finally:
        keep(replica)


async def test_a_replica_is_no_primary(valkey_sentinel: ValkeySentinel) -> None:
    """It would answer reads, and refuse every write."""
    primary = valkey_sentinel.primary()
    (replica,) = [node for node in valkey_sentinel.servers if node is not primary]
    store = open_store(f"valkey://{replica.name}/0")
    with pytest.raises(Unavailable, match=f"{replica.name} is a replica, not a primary"):
        await store.start()
    await store.close()


async def test_an_unknown_primary_is_named(valkey_sentinel: ValkeySentinel) -> None:
    """With what the sentinels said."""
    store = open_store(valkey_sentinel.url.replace("/linqi", "/other"))
    with pytest.raises(Unavailable, match=r"no sentinel names a primary 'other': No such master"):
        await store.start()
    await store.close()
