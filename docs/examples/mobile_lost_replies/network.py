"""A server process, and a network between phone and server that loses replies."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal


def free_port() -> int:
    """Return a port that nothing listens on, below those that systems give to connections."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Server:
    """One uvicorn with settings of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.port}.log"
        self._folder, self._environ = folder, environ

    async def __aenter__(self) -> "Server":
        """Start it, and wait until it takes connections."""
        command = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(self.port)]
        environ = os.environ | self._environ
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--no-access-log"], cwd=self._folder, env=environ, stderr=log
            )
        for _ in range(2400):
            if self._process.poll() is not None:
                raise SystemExit(f"the server ended:\n{self.log.read_text()}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return self
            await asyncio.sleep(0.05)
        self._process.kill()
        raise SystemExit("the server does not listen")

    async def __aexit__(self, *error: object) -> None:
        """End it."""
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, 60)


class Network:
    """What is between one phone and the server: it passes, loses replies, or is a tunnel."""

    def __init__(self, server: Server) -> None:
        self.state: Literal["pass", "lose", "tunnel"] = "pass"
        self.lost = asyncio.Event()
        self.url = ""
        self._server = server
        self._open = set[asyncio.Task[None]]()

    async def __aenter__(self) -> "Network":
        """Listen."""
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop listening, and cut what is open."""
        self._listening.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.state != "tunnel":
                    await self._pass(reader, writer)
        finally:
            writer.close()
            self._open.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._server.port)
        sending = asyncio.create_task(_copy(reader, requests))
        if data := await answers.read(65_536):  # now the server has rotated and answered
            if self.state == "lose":
                self.lost.set()
                self.state = "pass"
                sending.cancel()
            else:
                writer.write(data)
                await _copy(answers, writer)
        requests.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
