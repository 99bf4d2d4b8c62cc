"""The server workers under test, on one port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from linqi import ConfigurationError
from linqi_report.processes import ServerDiedError
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.apps.sampler import ServerSample, read_samples

__all__ = ["CAN_SHARE_PORT", "WorkerPool", "check_shared_port"]

CAN_SHARE_PORT: Final = os.name == "posix" and hasattr(socket, "SO_REUSEPORT")
"""Whether workers can listen on one port with sockets that they inherit: not on Windows."""

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
"""Longer than a worker waits for new connections and for answers under way."""
_BACKLOG: Final = 4_096


def check_shared_port() -> None:
    """Raise `ConfigurationError` if workers cannot share a port on this system."""
    if not CAN_SHARE_PORT:
        raise ConfigurationError(
            [
                "the workers of a storm share a port, which this system has no sockets for:"
                " run it on Linux or macOS, in WSL or in a container"
            ]
        )


@dataclass(slots=True)
class _Worker:
    """A process with its socket, its log and its samples."""

    process: subprocess.Popen[bytes]
    listener: socket.socket
    log: Path
    samples: Path
    spec: Path


class WorkerPool:
    """Starts one worker for each of `specs` on one free loopback port, and can replace them.

    Each has its own listening socket with SO_REUSEPORT, so that the system spreads connections
    evenly. This process keeps the sockets open: connections that wait while a worker is replaced
    are served by the new worker.
    """

    def __init__(self, specs: Sequence[AppSpec], folder: Path) -> None:
        self._specs = specs
        self._folder = folder
        self._workers: list[_Worker] = []
        self._made = 0
        self._pids: list[int] = []
        self.url = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[WorkerPool]:
        """Return a context manager in which the workers serve."""
        port = 0
        try:
            for number, spec in enumerate(self._specs, 1):
                path = self._folder / f"app-{number}.json"
                path.touch(mode=0o600)
                path.write_bytes(msgspec.json.encode(spec))
                listener = _listen(port)
                port = listener.getsockname()[1]
                self.url = f"http://127.0.0.1:{port}"
                self._workers.append(self._start(listener, path))
            for worker in self._workers:
                self._wait(worker)
            yield self
        finally:
            for worker in self._workers:
                worker.process.send_signal(signal.SIGTERM)
            for worker in self._workers:
                _stop(worker)
                worker.listener.close()

    @property
    def pids(self) -> list[int]:
        """All workers ever started, in the order of their start."""
        return self._pids

    def replace_all(self, *, at_once: bool = False) -> None:
        """Replace the workers one by one, or all `at_once`: new ones serve before old ones end."""
        size = len(self._workers) if at_once else 1
        for first in range(0, len(self._workers), size):
            places = slice(first, first + size)
            old = self._workers[places]
            new = [self._start(each.listener, each.spec) for each in old]
            for each in new:
                self._wait(each)
            self._workers[places] = new
            for each in old:
                each.process.send_signal(signal.SIGTERM)
            for each in old:
                _stop(each)

    def samples(self) -> list[ServerSample]:
        """Return the samples of all workers so far."""
        return read_samples(sorted(self._folder.glob("worker-*.jsonl")))

    def check(self) -> None:
        """Raise `ServerDiedError` if a worker has ended unexpectedly."""
        for worker in self._workers:
            if worker.process.poll() is not None:
                raise ServerDiedError(f"a worker ended: {_tail(worker.log)}")

    def _start(self, listener: socket.socket, spec: Path) -> _Worker:
        self._made += 1
        log = self._folder / f"worker-{self._made}.log"
        samples = self._folder / f"worker-{self._made}.jsonl"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                [
                    *(sys.executable, "-m", "linqi_storm.apps.worker"),
                    str(spec),
                    *("--fd", str(listener.fileno()), "--samples", str(samples)),
                ],
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._pids.append(process.pid)
        return _Worker(process, listener, log, samples, spec)

    def _wait(self, worker: _Worker) -> None:
        """Wait until the worker writes samples: its application has started then."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if worker.process.poll() is not None:
                raise ServerDiedError(f"a worker ended during its start: {_tail(worker.log)}")
            if worker.samples.exists():
                with contextlib.suppress(httpx2.TransportError):
                    httpx2.get(f"{self.url}/healthz", timeout=2)
                return
            time.sleep(0.02)
        raise ServerDiedError(
            f"a worker did not start in {_START_SECONDS:g} s: {_tail(worker.log)}"
        )


def _listen(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen(_BACKLOG)
    return made


def _stop(worker: _Worker) -> None:
    try:
        worker.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()


def _tail(log: Path) -> str:
    return " | ".join(log.read_text("utf-8", "replace").splitlines()[-5:]) or "its log is empty"
