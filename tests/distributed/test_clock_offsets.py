"""The clock of one worker differs from those of the others and of the store."""

import asyncio
from pathlib import Path

import pytest

from distributed.engines import Engine
from distributed.fleet import fleet
from distributed.history import Header
from distributed.ordeal import ordeal

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(180)]
LEEWAY = 10.0


@pytest.mark.parametrize("ahead", [-5, 5, 400])
async def test_the_clock_of_one_worker_steps(server: Engine, ahead: int, tmp_path: Path) -> None:
    """It is wrong for 6 s, and then set right: no sign-out by a refresh, and thieves are caught.

    With 5 s and a leeway of 10 s access tokens are accepted everywhere. With 400 s they cannot be.
    """
    header = Header(
        scenario=f"{server.name.lower()}-clock-{ahead:+}s",
        engine=server.name,
        bound=1,
        clocks_agree=abs(ahead) < LEEWAY,
    )
    async with fleet(tmp_path, server.url, server=server.server, leeway=LEEWAY) as running:

        async def harm() -> None:
            running.set_clock(0, ahead)
            await asyncio.sleep(6)
            running.set_clock(0, 0)

        found = await ordeal(running, header, harm)
    assert found.faults == ()
    assert found.thefts
