"""A Valkey cluster, three primaries with a replica each: nodes die, and slots move under load."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributed.fleet import fleet
from distributed.history import Header
from distributed.ordeal import ordeal
from linqi.jose.session_ids import subject_tag
from valkey_cluster import ValkeyCluster, cluster, node_id

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(240)]
STALE = 3.0
STREAM = "linqi:revocations"
UNPREVENTED = "PostgreSQL with a synchronous standby"


@pytest.fixture(scope="module")
def nodes() -> Iterator[ValkeyCluster]:
    """Run a cluster that writes every change to its file before it answers."""
    with cluster(appendonly="yes") as made:
        yield made


def header(name: str, *, replicas: int = 0, may_forget: bool = False) -> Header:
    """Return the header of a scenario."""
    return Header(
        scenario=f"cluster-{name}",
        engine="Valkey cluster",
        bound=STALE + 2,
        may_forget=may_forget,
        may_revive=may_forget and not replicas,
        prevented_by=UNPREVENTED if replicas else "min_replicas = 1 (sign-outs)",
    )


@pytest.mark.parametrize("replicas", [0, 1], ids="min-replicas-{}".format)
async def test_primaries_of_a_cluster_are_killed(
    nodes: ValkeyCluster, replicas: int, tmp_path: Path
) -> None:
    """Each in turn; its replica takes over, and it comes back as a replica."""
    nodes.wait_healthy()
    first = [nodes.primary_of(key) for key in _keys_of_all(nodes)]
    store = f"min_replicas = {replicas}"
    async with fleet(tmp_path, nodes.url, store=store, stale_after=STALE) as running:

        async def harm() -> None:
            for node in first:
                node.kill()
                await asyncio.sleep(4)
                await asyncio.to_thread(node.start)
                await asyncio.to_thread(nodes.wait_healthy)

        name = f"killed-min-replicas-{replicas}"
        about = header(name, replicas=replicas, may_forget=True)
        found = await ordeal(running, about, harm)
    assert found.faults == ()
    assert found.thefts


async def test_a_planned_failover_of_each_primary(nodes: ValkeyCluster, tmp_path: Path) -> None:
    """CLUSTER FAILOVER waits until the replica has all: nothing is lost."""
    nodes.wait_healthy()
    async with fleet(tmp_path, nodes.url, stale_after=STALE) as running:

        async def harm() -> None:
            for key in _keys_of_all(nodes):
                await asyncio.to_thread(nodes.fail_over, key)
                await asyncio.sleep(1)

        found = await ordeal(running, header("failover"), harm)
    assert found.faults == ()
    assert found.thefts


async def test_slots_move_in_halves(nodes: ValkeyCluster, tmp_path: Path) -> None:
    """As older resharding moves them, key by key: those of ten clients, and the stream's."""
    nodes.wait_healthy()
    async with fleet(tmp_path, nodes.url, stale_after=STALE) as running:

        async def harm() -> None:
            for key in _moved():
                target = _other(nodes, key)
                await asyncio.to_thread(nodes.begin_move, key, target)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(nodes.end_move, key, target)

        found = await ordeal(running, header("half-moved-slots"), harm)
    assert found.faults == ()
    assert found.thefts


async def test_slots_move_at_once(nodes: ValkeyCluster, tmp_path: Path) -> None:
    """As CLUSTER MIGRATESLOTS of Valkey 9 moves them: a thousand, with those of the stream."""
    nodes.wait_healthy()
    async with fleet(tmp_path, nodes.url, stale_after=STALE) as running:

        async def harm() -> None:
            for key in (STREAM, *_moved()[:3]):
                source, target = nodes.primary_of(key), _other(nodes, key)
                slot = int(source.run("CLUSTER", "KEYSLOT", key))
                source.run(
                    *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot),
                    *("NODE", node_id(target)),
                )
                for _ in range(100):
                    if nodes.primary_of(key) is target:
                        break
                    await asyncio.sleep(0.1)
                else:
                    raise AssertionError(f"the slot of {key} did not move")

        found = await ordeal(running, header("moved-slots"), harm)
    assert found.faults == ()
    assert found.thefts


def _moved() -> list[str]:
    """Return keys of clients who stay, leave and are robbed, and the stream of revocations."""
    names = [*(f"{kind}-{n}" for kind in ("leaver", "honest") for n in range(4)), "victim-0"]
    return [*(f"linqi:{{{subject_tag(name)}}}" for name in names), STREAM]


def _other(nodes: ValkeyCluster, key: str) -> object:
    """Return a primary that does not have the slot of `key`."""
    owner = nodes.primary_of(key)
    return next(node for node in nodes.nodes if node.role() == "master" and node is not owner)


def _keys_of_all(nodes: ValkeyCluster) -> list[str]:
    """Return one key of each primary."""
    found: dict[int, str] = {}
    for number in range(1000):
        found.setdefault(nodes.primary_of(f"key-{number}").port, f"key-{number}")
        if len(found) == nodes.primaries:
            break
    return [*found.values()]
