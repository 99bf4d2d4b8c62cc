"""Real ASGI servers, each as a process of its own on the loopback."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from free_ports import free_port

TESTS = Path(__file__).parent

COMMANDS = {
    "uvicorn": ["uvicorn", "--port", "{port}", "--no-access-log"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", "--no-log"],
    "daphne": ["daphne", "--port", "{port}", "--verbosity", "0"],
}


@contextlib.contextmanager
def serving(
    server: str,
    app: str,
    log: Path,
    *arguments: str,
    environ: dict[str, str] | None = None,
    folder: Path = TESTS,
) -> Iterator[int]:
    """Serve ``module:variable`` of `folder` by `server`, on the port that this yields."""
    port = free_port()
    command = [part.format(port=port) for part in COMMANDS[server]]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *arguments, app],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TESTS), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        else:
            raise AssertionError(log.read_text())
        yield port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
