"""Processes of the rivals: started on a core of their own, and asked what CPU they used."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["ProcessDied", "Server", "cpu_nanoseconds", "running_servers"]

_START_SECONDS: Final = 30.0
_PROJECTS: Final = Path(__file__).parent.parent


class ProcessDied(Exception):
    """A process of a rival ended or did not respond; the message is the end of its output."""


def cpu_nanoseconds(pid: int) -> int:
    """Return the CPU time of process `pid` and of its living descendants, all their threads.

    Linux only: the clock of another process (clock_getcpuclockid), which counts in nanoseconds
    and keeps what ended threads used; ``/proc/PID/stat`` counts in hundredths of a second.
    """
    clock = (~pid << 3) | 2  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
    return time.clock_gettime_ns(clock) + sum(map(cpu_nanoseconds, _children(pid)))


def _children(pid: int) -> Iterator[int]:
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield from map(int, listed.read_text("ascii").split())


class Server:
    """A running server: where it listens, and what it has used."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.pid = process.pid
        self.port = port

    def cpu_nanoseconds(self) -> int:
        """Return the CPU time used so far; `ProcessDied` when it is gone."""
        if self._process.poll() is not None:
            raise ProcessDied(f"the server ended with {self._process.returncode}")
        return cpu_nanoseconds(self.pid)


@contextlib.contextmanager
def running_servers(
    commands: Sequence[Sequence[str]], log: Path, *, core: int | None = None
) -> Iterator[list[Server]]:
    """Run servers until the block ends; each prints its port.

    They start together on any core, and then stay on `core` where one is given.
    """
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("wb"))
        processes = [stack.enter_context(_ending(command, errors)) for command in commands]
        servers = [Server(process, _read_port(process, log)) for process in processes]
        if core is not None:
            for process in processes:
                _pin(process.pid, core)
        yield servers


@contextlib.contextmanager
def _ending(command: Sequence[str], errors: BinaryIO) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=_PROJECTS,
        env={**os.environ, "PYTHONPATH": str(_PROJECTS), "NODE_ENV": "production"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _pin(pid: int, core: int) -> None:
    """Keep every thread of a process on one core; threads it starts later follow."""
    cores = sorted(os.sched_getaffinity(0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {cores[core % len(cores)]})


def _read_port(process: subprocess.Popen[str], log: Path) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_START_SECONDS) else ""
    if not line.strip().isdigit():
        said = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise ProcessDied(said or f"no port within {_START_SECONDS:g} s")
    return int(line)
