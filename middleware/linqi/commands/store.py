"""``linqi store``: makes a store's schema, and forgets what is over."""

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
    parser.add_argument("what", choices=("init", "purge"))
    parser.add_argument(
        "url", help="sqlite:PATH, valkey://HOST:PORT/0 or postgresql://USER@HOST/DATABASE"
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Do it; 0, or `LinqiError` when the store cannot be reached."""
    store = open_store(arguments.url)
    print(asyncio.run(_run(store, arguments.what, clock)))
    return 0


async def _run(store: SessionStore, what: str, clock: Callable[[], float]) -> str:
    if isinstance(store, PostgresStore):
        version = await store.initialize()
        if what == "init":
            return f"the database has schema {version}"
    await store.start()  # SQLite makes its file, Valkey tells whether it can be used
    try:
        if what == "init":
            return "the store can be used"
        gone = 0
        while some := await store.purge(clock(), _AT_ONCE):
            gone += some
        return f"forgot {gone} sessions"
    finally:
        await store.close()
