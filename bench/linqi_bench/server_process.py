"""Servers under test, each a process that ends with the measurement."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from linqi_report.processes import on_core

__all__ = ["SERVERS", "Reading", "ServedApp", "is_installed", "served"]

_APP: Final = "linqi_bench.served_app:app"
_START_SECONDS: Final = 60.0
"""100,000 RS256 tokens are verified before the first response."""
_KEEP_ALIVE_SECONDS: Final = 60
"""Longer than a busy machine takes between two blocks; the default of 5 s is not."""
SERVERS: Final = {
    "uvicorn": f"uvicorn {_APP} --host 127.0.0.1 --port {{port}} --no-access-log"
    f" --log-level warning --timeout-keep-alive {_KEEP_ALIVE_SECONDS}",
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} --workers 1 --no-log"
    f" {_APP}",
}
"""The command line of each server with one worker; those that are installed are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a server's process has done since it was started."""

    cpu_ns: int
    answered: int
    """Requests that the application has answered: all but refused ones."""
    hits: int = 0
    misses: int = 0


@dataclass(frozen=True, slots=True)
class ServedApp:
    """An application of `linqi_bench.served_app` that is being served."""

    port: int

    def read(self) -> Reading:
        """Ask the process for its reading; an application that `forgets` empties its cache."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/reading")
            return Reading(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def is_installed(name: str) -> bool:
    """Return whether the server or framework `name` is installed."""
    return importlib.util.find_spec(name) is not None


@contextmanager
def served(server: str, app: dict[str, Any], python: str = sys.executable) -> Iterator[ServedApp]:
    """Run `server` with an application of `linqi_bench.served_app`, on the first core.

    Args:
        server: A key of `SERVERS`.
        app: The options of the application; empty for the bare one.
        python: The interpreter; that of another environment serves the linqi installed there.

    Raises:
        RuntimeError: The server ended before it responded.
        TimeoutError: It did not respond within 60 s.

    """
    port = _free_port()
    command = SERVERS[server].format(port=port).split()
    with tempfile.TemporaryDirectory() as folder:
        # This package alone: in site-packages, linqi lies beside it.
        Path(folder, "linqi_bench").symlink_to(Path(__file__).parent)
        settings = {"LINQI_BENCH_APP": json.dumps(app), "PYTHONPATH": folder}
        with on_core(0):
            process = subprocess.Popen(
                [python, "-m", *command],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            started = ServedApp(port)
            _wait(process, started)
            yield started
        finally:
            process.terminate()
            try:
                process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _wait(process: subprocess.Popen[str], started: ServedApp) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(f"the server did not start: {process.stderr.read()[-800:]}")
        try:
            started.read()
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
