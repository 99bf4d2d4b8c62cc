"""The workers of one service, each a process with a clock and, to a single server, a relay."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2

from chaos import Address, Proxy
from free_ports import free_port
from linqi import Key, KeySet
from linqi_storm.apps.offset_clock import set_offset

TESTS = Path(__file__).parent.parent
WORKERS, STARTS = 4, 3

_SETTINGS = """
[verify]
issuer = "https://shop.example"
audience = "shop"
leeway_seconds = {leeway}

[keys]
file = "keys.json"

[store]
url = "{url}"
secrets_file = "refresh.json"
stale_after_seconds = {stale_after}
{store}

[sessions]
most_sessions = 1000
most_forgotten = {most_forgotten}

[throttle]
enabled = false
"""


class Worker:
    """One worker process, on a port that it keeps."""

    def __init__(self, folder: Path, number: int, settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / f"linqi-{number}.toml"
        self._config.write_text(settings)
        self.clock = folder / f"clock-{number}"
        self.events = folder / f"events-{number}.jsonl"
        self._log = folder / f"worker-{number}.log"
        set_offset(self.clock, 0)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process until it answers, as a supervisor does: it needs its store."""
        for _ in range(STARTS):
            if self._is_started():
                return
        raise AssertionError(self._log.read_text())

    def _is_started(self) -> bool:
        arguments = ["--config", str(self._config), "--port", str(self.port)]
        arguments += ["--clock", str(self.clock), "--events", str(self.events)]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "distributed.worker", *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        for _ in range(600):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{self.url}/me", timeout=2)
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return False

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def told(self) -> list[dict[str, Any]]:
        """Return its events, except those of single refreshes and requests."""
        if not self.events.exists():
            return []
        return [json.loads(line) for line in self.events.read_text().splitlines()]


class Fleet:
    """The workers of one service, and what can be done to each."""

    def __init__(self, workers: Sequence[Worker], proxies: Sequence[Proxy]) -> None:
        self.workers = workers
        self.proxies = proxies

    @property
    def urls(self) -> list[str]:
        """Where the workers serve."""
        return [worker.url for worker in self.workers]

    def cut_off(self, workers: Sequence[int], mode: str = "cut") -> None:
        """Let the network between these workers and their store misbehave."""
        for number in workers:
            self.proxies[number].set(mode)

    def heal(self) -> None:
        """Let the network work again."""
        for proxy in self.proxies:
            proxy.set("pass")

    def set_clock(self, worker: int, ahead: float) -> None:
        """Set the clock of one worker."""
        set_offset(self.workers[worker].clock, ahead)


@contextlib.asynccontextmanager
async def fleet(
    folder: Path,
    url: str,
    *,
    server: Address | None = None,
    store: str = "",
    leeway: float = 0,
    stale_after: float = 3,
    most_forgotten: int = 2,
) -> AsyncIterator[Fleet]:
    """Run the workers.

    Args:
        folder: For their files.
        url: Of the store, with ``{port}`` where the relay of each worker is to stand.
        server: What the relays relay to; None for no relays.
        store: Further lines of ``[store]``.
        leeway: Of the verification, in seconds.
        stale_after: How long a worker trusts what it knows without its store, in seconds.
        most_forgotten: By how many numbers a token may be ahead of the store.

    """
    KeySet([Key.generate("ES256")]).save(folder / "keys.json")
    KeySet([Key.generate("HS256")]).save(folder / "refresh.json")
    workers: list[Worker] = []
    async with contextlib.AsyncExitStack() as stack:
        proxies = [] if server is None else [Proxy(server) for _ in range(WORKERS)]
        for proxy in proxies:
            await stack.enter_async_context(proxy.running())
        try:
            for number in range(WORKERS):
                own = url.format(port=proxies[number].port) if proxies else url
                settings = _SETTINGS.format(
                    url=own,
                    store=store,
                    leeway=leeway,
                    stale_after=stale_after,
                    most_forgotten=most_forgotten,
                )
                workers.append(Worker(folder, number, settings))
            await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in workers))
            yield Fleet(workers, proxies)
        finally:
            for worker in workers:
                if worker.process is not None:
                    worker.process.terminate()
            for worker in workers:
                if worker.process is not None:
                    await asyncio.to_thread(_wait, worker.process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
