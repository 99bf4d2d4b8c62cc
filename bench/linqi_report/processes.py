"""Server processes of our own, on free loopback ports, and the core that they run on."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx2

__all__ = ["ServerDiedError", "on_core", "running"]

_START_SECONDS: Final = 120.0
_URL: Final = re.compile(r"https?://[^\s\"]+")


class ServerDiedError(Exception):
    """The server process ended by itself; the message is the end of what it printed."""


@contextlib.contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep what is started within on one of the cores at hand, where the system can.

    Args:
        number: From 0; -1 is the last. Where there are fewer cores, they are counted round.

    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    ours = os.sched_getaffinity(0)
    cores = sorted(ours)
    os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    log: Path,
    *,
    health: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run ``python -m`` `arguments` with its output in `log`, and yield the first URL it prints.

    Waits until a GET of the path `health` is answered with a status below 500.

    Raises:
        ServerDiedError: The server did not respond within 120 s, or ended during its use.

    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_for_address(server, log, health)
    except httpx2.TransportError as error:
        raise ServerDiedError(f"{error}; the server said: {_tail(log)}") from error
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for_address(server: subprocess.Popen[bytes], log: Path, health: str) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServerDiedError(f"the server ended at once: {_tail(log)}")
        found = _URL.search(log.read_text("utf-8", "replace"))
        if found:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{found[0]}{health}", timeout=2).status_code < 500:
                    return found[0]
        time.sleep(0.05)
    raise ServerDiedError(f"the server did not answer in {_START_SECONDS:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return " | ".join(line for line in lines[-5:] if " password " not in line) or "nothing"
