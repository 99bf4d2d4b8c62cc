"""The store that a command line names."""

from __future__ import annotations

from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.sessions.store import SessionStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.store_url import open_store

__all__ = ["open_named"]

_POSTGRES: Final = ("postgresql", "postgres:")


def open_named(url: str, prefix: str | None, *, may_be_new: bool = False) -> SessionStore:
    """Return the store at `url`, not connected yet.

    Args:
        url: As of `open_store`. It may lead through a pooler in transaction mode.
        prefix: Of Valkey's keys; None for the usual one.
        may_be_new: Whether a SQLite file need not exist. Otherwise a wrong path would be made an
            empty store, in which all is well.

    Raises:
        ConfigurationError: As of `open_store`, or the file does not exist.

    """
    options: dict[str, Any] = {} if prefix is None else {"prefix": prefix}
    if url.startswith(_POSTGRES):
        # A pooler in transaction mode loses prepared statements, and a command runs few of them.
        options["statement_cache_size"] = 0
    store = open_store(url, **options)
    if isinstance(store, SQLiteStore) and not may_be_new and not store.path.exists():
        raise ConfigurationError([f"{store.path} does not exist"])
    return store
