"""The load on a server under test: ``wrk`` where it is installed, else `linqi_bench.load`.

Both run on the second core, present the tokens of a file in turn over 16 connections, and stand
still between two blocks.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from linqi_report.processes import on_core

__all__ = ["LOADS", "Load", "chosen_load"]

_CONNECTIONS: Final = 16
_SCRIPT: Final = Path(__file__).with_name("crowd.lua")


class Load(Protocol):
    """A program that sends requests to one server."""

    def run(self, seconds: float) -> None:
        """Send requests for about `seconds`, and leave none unanswered for long."""


class _Wrk:
    """A ``wrk`` that is stopped between two blocks."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, seconds: float) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"wrk ended with {self._process.returncode}")
        self._process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGSTOP)


class _OwnLoad:
    """A process of `linqi_bench.load`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, seconds: float) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"seconds": seconds}) + "\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError("the load generator ended; its error is printed above")


@contextmanager
def wrk_load(port: int, tokens: Path) -> Iterator[Load]:
    """Run wrk until the block ends."""
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", "-d3600s", "-s", str(_SCRIPT)]
    with on_core(1):
        process = subprocess.Popen(
            [*command, f"http://127.0.0.1:{port}", "--", str(tokens)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    try:
        process.send_signal(signal.SIGSTOP)
        yield _Wrk(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def own_load(port: int, tokens: Path) -> Iterator[Load]:
    """Run `linqi_bench.load` until the block ends."""
    with on_core(1):
        process = subprocess.Popen(
            [sys.executable, "-m", "linqi_bench.load", str(port), str(tokens)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        yield _OwnLoad(process)
    finally:
        process.kill()
        process.communicate()


LOADS: Final = {"wrk": wrk_load, "linqi_bench.load": own_load}
"""The context managers of the loads, by the name that a report gives them."""


def chosen_load() -> str:
    """Return ``wrk`` where it can be used, else ``linqi_bench.load``."""
    return "wrk" if shutil.which("wrk") and os.name == "posix" else "linqi_bench.load"
