"""The rights that the guide gives linqi's user in Valkey are enough, and none is superfluous."""

import secrets
from collections.abc import Iterator

import pytest

from linqi.errors import Unavailable
from linqi.stores.store_url import open_store
from valkey_cluster import ValkeyCluster
from valkey_nodes import Node
from valkey_rights import commands_of, rights, use_everything
from valkey_sentinel import ValkeySentinel, sentinel

PASSWORD = f"p-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Node]]:
    """Return a primary and its replica."""
    with sentinel(sentinels=1) as made:
        primary = made.primary()
        yield [primary, *(node for node in made.servers if node is not primary)]


def allow(nodes: list[Node], line: str, without: str = "") -> str:
    """Make a user with the rights of the guide's line; return the beginning of a URL's host."""
    name, *rules = rights(line)[2:]
    user = f"{name}-{secrets.token_hex(3)}"
    rules = [f">{PASSWORD}" if rule.startswith(">") else rule for rule in rules if rule != without]
    for node in nodes:
        node.run("ACL", "SETUSER", user, *rules)
    return f"{user}:{PASSWORD}@"


async def test_the_rights_of_the_guide_are_enough(servers: list[Node]) -> None:
    """For sessions, revocations, their feed, sign-ins and notes, on a primary with a replica."""
    login = allow(servers, "server")
    warnings = await use_everything(f"valkey://{login}{servers[0].name}/1", "linqi", 1)
    assert all("nothing is kept on disk" in text for text in warnings)


@pytest.mark.distributed
@pytest.mark.parametrize("right", commands_of("server"))
async def test_no_right_of_the_guide_is_superfluous(servers: list[Node], right: str) -> None:
    """Without it something fails, or the start warns of what it cannot find out."""
    login = allow(servers, "server", right)
    for node in servers:
        node.run("SCRIPT", "FLUSH")
    try:
        warnings = await use_everything(f"valkey://{login}{servers[0].name}/1", "linqi", 1)
    except (Unavailable, TimeoutError, AssertionError):
        return
    assert not all("nothing is kept on disk" in text for text in warnings)


async def test_another_prefix_needs_its_own_pattern(servers: list[Node]) -> None:
    """Two deployments on one server cannot read or end each other's sessions."""
    login = allow(servers, "server")
    with pytest.raises(Unavailable, match="NoPermissionError"):
        await use_everything(f"valkey://{login}{servers[0].name}/1", "linqi2", 0)


async def test_the_rights_in_a_cluster_are_enough(valkey_cluster: ValkeyCluster) -> None:
    """The driver also asks for the nodes of the slots and for the commands of the server."""
    login = allow(valkey_cluster.nodes, "cluster")
    url = valkey_cluster.url.replace("://", f"://{login}")
    warnings = await use_everything(url, "linqi", 1)
    assert all("nothing is kept on disk" in text for text in warnings)


@pytest.mark.distributed
@pytest.mark.parametrize("right", commands_of("cluster"))
async def test_no_right_in_a_cluster_is_superfluous(
    valkey_cluster: ValkeyCluster, right: str
) -> None:
    """As on one server; ASKING is needed where a slot is half moved."""
    login = allow(valkey_cluster.nodes, "cluster", right)
    url = valkey_cluster.url.replace("://", f"://{login}")
    for node in valkey_cluster.nodes:
        node.run("SCRIPT", "FLUSH")
    try:
        if right == "+asking":
            await _use_a_moved_key(valkey_cluster, url)
        warnings = await use_everything(url, "linqi", 1)
    except (Unavailable, TimeoutError, AssertionError):
        return
    assert not all("nothing is kept on disk" in text for text in warnings)


async def _use_a_moved_key(made: ValkeyCluster, url: str) -> None:
    key = "linqi:longest-lifetime"
    source = made.primary_of(key)
    target = next(
        made.primary_of(other)
        for other in ("linqi:a", "linqi:b", "linqi:c", "linqi:d", "linqi:e", "linqi:f")
        if made.primary_of(other) is not source
    )
    source.run("DEL", key)
    made.begin_move(key, target)
    store = open_store(url)
    try:
        await store.start()
        await store.raise_lifetime(900)
    finally:
        await store.close()
        made.end_move(key, target)


async def test_the_rights_at_sentinels_are_enough() -> None:
    """A login for them, and another one for the servers."""
    line = " ".join(
        f">{PASSWORD}" if rule.startswith(">") else rule for rule in rights("sentinel")[2:]
    )
    with sentinel(sentinel_settings=f"user {line}") as made:
        await _by_sentinels(made)


async def _by_sentinels(made: ValkeySentinel) -> None:
    login = allow(made.servers, "server")
    url = made.url.replace("://", f"://{login}")
    named = f"{url}?sentinel_username={rights('sentinel')[2]}&sentinel_password="
    await use_everything(f"{named}{PASSWORD}", "linqi", 1)
    store = open_store(f"{named}wrong")
    with pytest.raises(Unavailable, match="no sentinel names a primary") as caught:
        await store.start()
    assert PASSWORD not in str(caught.value)
    await store.close()
