"""The load and the counters of the served refresh."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linqi_bench.refresh_load import RefreshLoad
from linqi_bench.refreshes import _beside_the_load, percentile
from linqi_bench.results import Result
from linqi_bench.store_load import disk_writes


class _Issuer:
    """Answers a refresh with the next number, and only if the last number was presented."""

    def __init__(self) -> None:
        self.current: dict[str, int] = {}
        self.faults = 0
        self.connections: list[asyncio.Task[object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                token = json.loads(await reader.readexactly(length))["refresh_token"]
                session, _, number = token.partition(".")
                self.faults += int(number) != self.current.get(session, 0)
                self.current[session] = int(number) + 1
                body = json.dumps({"refresh_token": f"{session}.{int(number) + 1:05d}"}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(body)
        writer.close()
        await writer.wait_closed()


def test_the_newest_token_of_each_session_is_presented_next() -> None:
    """A spent one would be reuse: the server would revoke the session."""
    issuer = _Issuer()

    async def loaded() -> tuple[int, int]:
        server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            load = await asyncio.to_thread(
                RefreshLoad, port, [f"{letter}.00000" for letter in "abcde"]
            )
            steady = await asyncio.to_thread(load.steady, 0.2, 3)
            rush = await asyncio.to_thread(load.rush, 0.1, 1)
            load.close()
            await asyncio.gather(*issuer.connections)
            return int(steady["refreshes"]), len(rush["latencies"])

    refreshes, rushed = asyncio.run(loaded())
    assert rushed == 5
    assert refreshes > 5
    assert issuer.faults == 0
    assert sum(issuer.current.values()) == refreshes + rushed


@pytest.mark.parametrize(("share", "value"), [(0.5, 5.0), (0.99, 10.0), (1.0, 10.0), (0.1, 1.0)])
def test_a_percentile_is_a_latency_that_was_measured(share: float, value: float) -> None:
    """It is not interpolated: at least this share of the requests was answered by then."""
    assert percentile([float(number) for number in range(1, 11)], share) == value


def test_a_write_to_the_disk_is_counted(tmp_path: Path) -> None:
    """The counter of a disk rises; None stands for a folder that is on no disk of this machine."""
    before = disk_writes(tmp_path)
    if before is None:
        pytest.skip("the folder of this test is on no disk")
    subprocess.run([sys.executable, "-c", _SYNCED, str(tmp_path / "file")], check=True)
    after = disk_writes(tmp_path)
    assert after is not None
    assert after > before


_SYNCED = """
import os, sys
with open(sys.argv[1], "wb") as file:
    file.write(bytes(100_000)); file.flush(); os.fsync(file.fileno())
"""


@pytest.mark.timeout(600)
def test_refreshes_of_a_served_store_are_measured(tmp_path: Path) -> None:
    """A real server, sessions in a file, and the load in a process of its own."""
    options = ("--quick", "--only", "refresh_on_sqlite")
    command = [sys.executable, "-m", "linqi", "bench", *options]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=550)
    assert ran.returncode == 0, ran.stderr
    one, rush = Result.read(tmp_path / "linqi-bench.json").figures
    assert (one["id"], rush["id"]) == ("served.refresh.sqlite", "served.refresh.sqlite.rush")
    assert 0 < one["details"]["cpu_us"] < 20_000
    assert 0 < rush["details"]["p50_ms"] <= rush["value"]["median"] / 1e3 < 60_000


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_only_the_store_is_kept_on_the_core_of_the_load() -> None:
    """What is started beside it, such as the server under test, may have another core."""
    ours = os.sched_getaffinity(0)
    seen = []

    @contextlib.contextmanager
    def store() -> Iterator[str]:
        seen.append(os.sched_getaffinity(0))
        yield "redis://127.0.0.1:1"

    with _beside_the_load(store()) as url:
        assert url == "redis://127.0.0.1:1"
        assert os.sched_getaffinity(0) == ours
    assert seen == [{max(ours)}]
