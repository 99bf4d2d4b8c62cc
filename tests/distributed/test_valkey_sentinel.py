"""A Valkey primary with a replica and three sentinels, which replace it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from distributed.fleet import fleet
from distributed.history import Header
from distributed.ordeal import ordeal
from valkey_sentinel import ValkeySentinel, sentinel

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(240)]
STALE = 3.0


@pytest.fixture(scope="module")
def servers() -> Iterator[ValkeySentinel]:
    """Run a primary that writes every change to its file before it answers."""
    with sentinel(appendonly="yes") as made:
        yield made


def header(name: str, replicas: int) -> Header:
    """Return the header of a failover, which may lose the last writes."""
    settings = ("min_replicas = 1 (sign-outs)", "PostgreSQL with a synchronous standby")
    return Header(
        scenario=f"sentinel-{name}-min-replicas-{replicas}",
        engine="Valkey with Sentinel",
        bound=STALE + 2,
        may_forget=True,
        may_revive=replicas == 0,
        prevented_by=settings[replicas],
    )


async def fail_over(servers: ValkeySentinel) -> None:
    """Make the replica the primary, as planned, and let the old one follow it."""
    await asyncio.to_thread(servers.fail_over)
    await asyncio.sleep(2)


@pytest.mark.parametrize("replicas", [0, 1], ids="min-replicas-{}".format)
async def test_a_planned_failover_of_sentinel(
    servers: ValkeySentinel, replicas: int, tmp_path: Path
) -> None:
    """SENTINEL FAILOVER does not wait for the last writes of the old primary."""
    servers.wait_healthy()
    store = f"min_replicas = {replicas}"
    async with fleet(tmp_path, servers.url, store=store, stale_after=STALE) as running:
        found = await ordeal(running, header("failover", replicas), lambda: fail_over(servers))
    assert found.faults == ()
    assert found.thefts


@pytest.mark.parametrize("replicas", [0, 1], ids="min-replicas-{}".format)
async def test_the_primary_is_killed(
    servers: ValkeySentinel, replicas: int, tmp_path: Path
) -> None:
    """Sentinels promote the replica; the old primary comes back as its replica."""
    servers.wait_healthy()
    store = f"min_replicas = {replicas}"
    async with fleet(tmp_path, servers.url, store=store, stale_after=STALE) as running:

        async def harm() -> None:
            old = servers.primary()
            old.kill()
            for _ in range(150):
                await asyncio.sleep(0.1)
                if servers.primary() is not old:
                    break
            await asyncio.sleep(2)
            await asyncio.to_thread(old.start)
            await asyncio.to_thread(servers.wait_healthy)

        found = await ordeal(running, header("killed", replicas), harm)
    assert found.faults == ()
    assert found.thefts


async def test_a_planned_failover_that_the_settings_allow_for(
    servers: ValkeySentinel, tmp_path: Path
) -> None:
    """A bound above what a client refreshes in the second that is lost signs no client out."""
    servers.wait_healthy()
    most = 10
    allowed = msgspec.structs.replace(
        header("failover", 0), scenario="sentinel-failover-most-forgotten-10", ahead=most
    )
    async with fleet(tmp_path, servers.url, stale_after=STALE, most_forgotten=most) as running:
        found = await ordeal(running, allowed, lambda: fail_over(servers))
    assert found.faults == ()
    assert found.thefts
    # A sign-in of that second is lost with its row; no other client is signed out.
    assert [one for one in found.signed_out if "outcome='unknown'" not in one] == []
