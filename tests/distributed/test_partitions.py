"""Some workers lose their store, or get its answers late, while the others go on."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from distributed.engines import Engine
from distributed.fleet import fleet
from distributed.history import Header
from distributed.ordeal import ordeal

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(180)]
STALE = 3.0
BOUND = STALE + 1
HELD_SECONDS = 8
"""So long that a client whose command is held has gone on from its token twice elsewhere."""


def header(engine: Engine, name: str, bound: float = BOUND) -> Header:
    """Return the header of a scenario in which the engine loses nothing."""
    return Header(scenario=f"{engine.name.lower()}-{name}", engine=engine.name, bound=bound)


async def test_half_of_the_workers_are_cut_off(server: Engine, tmp_path: Path) -> None:
    """For 5 s, longer than they trust what they know; then the network heals."""
    async with fleet(tmp_path, server.url, server=server.server, stale_after=STALE) as running:

        async def harm() -> None:
            running.cut_off([0, 1])
            await asyncio.sleep(5)
            running.heal()

        found = await ordeal(running, header(server, "partition"), harm)
    assert found.faults == ()
    assert found.unavailable
    assert found.thefts


async def test_commands_of_half_of_the_workers_arrive_late(server: Engine, tmp_path: Path) -> None:
    """A stalled proxy holds what passes it, and delivers it when the clients have gone on."""
    async with fleet(tmp_path, server.url, server=server.server, stale_after=STALE) as running:

        async def harm() -> None:
            running.cut_off([0, 1], "hang")
            await asyncio.sleep(HELD_SECONDS)
            running.heal()

        found = await ordeal(running, header(server, "delayed"), harm)
    assert found.faults == ()
    assert found.unavailable
    assert found.thefts


async def test_the_server_stands_still(server: Engine, tmp_path: Path) -> None:
    """For 4 s, and then executes what came meanwhile."""
    async with fleet(tmp_path, server.url, server=server.server, stale_after=STALE) as running:

        async def harm() -> None:
            server.freeze()
            try:
                await asyncio.sleep(4)
            finally:
                server.thaw()

        found = await ordeal(running, header(server, "frozen"), harm)
    assert found.faults == ()
    assert found.unavailable
    assert found.thefts


async def test_workers_stand_still(engine: Engine, tmp_path: Path) -> None:
    """Two of the four for 4 s, in the middle of what they do: a lock of SQLite's, too."""
    async with fleet(tmp_path, engine.url, server=engine.server, stale_after=STALE) as running:
        pids = [worker.process.pid for worker in running.workers[:2] if worker.process]

        async def harm() -> None:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(4)
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)

        # A request that a worker took before it stood still is answered by what it knew then.
        found = await ordeal(running, header(engine, "workers-frozen", 4 + BOUND), harm)
    assert found.faults == ()
    assert found.thefts


async def test_workers_are_killed(engine: Engine, tmp_path: Path) -> None:
    """Each in turn, at once, as by the kernel; a new one takes its place."""
    async with fleet(tmp_path, engine.url, server=engine.server, stale_after=STALE) as running:

        async def harm() -> None:
            for worker in running.workers:
                worker.kill()
                await asyncio.sleep(0.5)
                await asyncio.to_thread(worker.start)

        found = await ordeal(running, header(engine, "workers-killed", 1), harm)
    assert found.faults == ()
    assert found.unanswered
    assert found.thefts
