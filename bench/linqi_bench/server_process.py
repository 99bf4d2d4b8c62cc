"""Servers and the load generator as processes of their own, ended when the measurement is over."""

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
SERVERS: Final = {
    "uvicorn": ["uvicorn", _APP, "--host", "127.0.0.1", "--port", "{port}", "--no-access-log",
                "--log-level", "warning"],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}",
                "--workers", "1", "--no-log", _APP],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "{loop}",
                  "--workers", "0", "--log-level", "warning", _APP],
}  # fmt: skip
"""How each server is started with one worker; those that are installed are measured."""


def is_installed(server: str) -> bool:
    """Tell whether `server` is installed."""
    return importlib.util.find_spec(server) is not None


@contextmanager
def served(server: str, wish: dict[str, Any]) -> Iterator[int]:
    """Give the port of a server that runs the application of `wish`; an empty one is bare."""
    port = _free_port()
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    command = [part.format(port=port, loop=loop) for part in SERVERS[server]]
    environment = {**os.environ, "LINQI_BENCH_APP": json.dumps(wish)}
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
    """Give the CPU time that the server's process has used, as it says itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/cpu")
        return int(connection.getresponse().read()) / 1000
    finally:
        connection.close()


class LoadProcess:
    """A process that sends requests with `tokens`, so that it takes no CPU time of the server's."""

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
        """Send `requests` to `port`; give the seconds that it took."""
        self._write({"port": port, "requests": requests})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended; its fault stands above")
        return float(json.loads(line)["seconds"])

    def _write(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
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
    raise TimeoutError(f"the server did not answer within {_START_SECONDS:g} s")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
