"""Servers under test and their load generator, each a process that ends with the measurement."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["SERVERS", "LoadProcess", "cpu_microseconds", "is_installed", "served"]

_APP: Final = "linqi_bench.served_app:app"
_START_SECONDS: Final = 20.0
_KEEP_ALIVE_SECONDS: Final = 60
"""Longer than a busy machine takes between two blocks; the default of 5 s is not."""
SERVERS: Final = {
    "uvicorn": f"uvicorn {_APP} --host 127.0.0.1 --port {{port}} --no-access-log"
    f" --log-level warning --timeout-keep-alive {_KEEP_ALIVE_SECONDS}",
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} --workers 1 --no-log"
    f" {_APP}",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --worker-class {loop} --workers 0"
    f" --log-level warning --keep-alive {_KEEP_ALIVE_SECONDS} {_APP}",
}
"""The command line of each server with one worker; those that are installed are measured."""


def is_installed(server: str) -> bool:
    """Return whether `server` is installed."""
    return importlib.util.find_spec(server) is not None


@contextmanager
def served(server: str, app: dict[str, Any]) -> Iterator[int]:
    """Run `server` with an application of `linqi_bench.served_app`, and yield its port.

    Args:
        server: A key of `SERVERS`.
        app: The options of the application; empty for the bare one.

    Raises:
        RuntimeError: The server ended before it responded.
        TimeoutError: It did not respond within 20 s.

    """
    port = _free_port()
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    command = SERVERS[server].format(port=port, loop=loop).split()
    environment = {**os.environ, "LINQI_BENCH_APP": json.dumps(app)}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def cpu_microseconds(port: int) -> float:
    """Return the CPU time in microseconds that the server's process reports for itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/cpu")
        return int(connection.getresponse().read()) / 1000
    finally:
        connection.close()


class LoadProcess:
    """The load generator (`linqi_bench.load`) in a process with CPU time of its own."""

    def __init__(self, tokens: list[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "linqi_bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._write({"tokens": [token.decode() for token in tokens]})

    def __enter__(self) -> LoadProcess:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def send(self, port: int, requests: int) -> float:
        """Send `requests` to `port`, and return the seconds that it took."""
        self._write({"port": port, "requests": requests})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended; its error is printed above")
        return float(json.loads(line)["seconds"])

    def _write(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()


def _wait(process: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(f"the server did not start: {process.stderr.read()[-800:]}")
        try:
            cpu_microseconds(port)
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"the server did not respond within {_START_SECONDS:g} s")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
