"""``linqi store``: creates the schema of a session store, and deletes ended sessions."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

from linqi.sessions.store import SessionStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store

__all__ = ["add_options", "run"]

_AT_ONCE = 1_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "what", choices=("init", "purge"), help="create the store, or delete its ended sessions"
    )
    parser.add_argument(
        "url", help="sqlite:PATH, valkey://HOST:PORT/0 or postgresql://USER@HOST/DATABASE"
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Create or purge the store and return 0; raise `LinqiError` if it is unreachable."""
    store = open_store(arguments.url)
    print(asyncio.run(_run(store, arguments.what, clock)))
    return 0


async def _run(store: SessionStore, what: str, clock: Callable[[], float]) -> str:
    if isinstance(store, PostgresStore):
        version = await store.initialize()
        if what == "init":
            return f"the database has schema {version}"
    await store.start()  # SQLite creates its file, Valkey checks that it is usable
    try:
        if what == "init":
            return "the store is ready"
        gone = 0
        while some := await store.purge(clock(), _AT_ONCE):
            gone += some
        return f"deleted {gone} ended sessions"
    finally:
        await store.close()
