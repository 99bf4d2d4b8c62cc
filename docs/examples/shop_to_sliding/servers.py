"""Workers on free loopback ports, and a balancer in front of them, for run.py."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 60  # seconds, as other programs may keep the machine busy


def free_port() -> int:
    """Return a port that nothing listens on, below those that systems give to connections.

    Otherwise another program could be given the port of a worker that restarts.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Worker:
    """One process of uvicorn; it can be stopped and started again on its port."""

    def __init__(self, app: str, folder: Path, environ: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = environ
        self.log = folder / f"{self.port}.log"
        self._app, self._folder = app, folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        arguments = ["--port", str(self.port), "--no-access-log", "--log-level", "warning"]
        command = [sys.executable, "-m", "uvicorn", self._app, *arguments]
        environ = os.environ | self.environ
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, env=environ, stderr=log)
        for _ in range(2400):
            if self._process.poll() is not None:
                raise SystemExit(f"{self._app} ended:\n{self.log.read_text()}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise SystemExit(f"{self._app} does not listen on port {self.port}")

    async def stop(self) -> None:
        """End it; what it has begun to answer it still answers."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, PATIENCE)
            self._process = None


class Balancer:
    """Hands each connection to the next of its workers."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self.workers = [*workers]
        self.url = ""
        self._open: dict[int, set[asyncio.Task[None]]] = {}
        self._turn = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening."""
        self._server.close()
        await self._server.wait_closed()

    async def drain(self, worker: Worker) -> None:
        """Return when the connections of a worker that was taken out are done."""
        if still := self._open.get(worker.port):
            await asyncio.wait(still, timeout=PATIENCE)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        port = self.workers[self._turn % len(self.workers)].port
        task = asyncio.current_task()
        self._open.setdefault(port, set()).add(task)
        with contextlib.suppress(OSError):
            answers, requests = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, requests), _copy(answers, writer))
        writer.close()
        self._open[port].discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
