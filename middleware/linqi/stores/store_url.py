"""The URL of a store, as command lines and settings name it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from linqi.errors import ConfigurationError
from linqi.sessions.attempts import AttemptStore, CountsAttempts
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore

__all__ = ["open_attempts", "open_store"]

_REDIS: Final = ("redis://", "rediss://", "unix://")


def open_store(url: str) -> SessionStore:
    """Return the store that `url` names; its ``start`` connects it.

    Args:
        url: ``memory:``, ``sqlite:PATH``, ``redis://HOST:PORT/0`` or ``valkey://HOST:PORT/0``
            (``rediss``, ``valkeys`` with TLS), ``postgresql://USER@HOST/DATABASE``.

    Raises:
        ConfigurationError: `url` has another form, or its driver is not installed.

    """
    scheme, _, rest = url.partition(":")
    if "://" in url and not _has_readable_host(url):
        raise ConfigurationError(["the store's URL has an invalid host or port"])
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "sqlite" and rest:
        return SQLiteStore(rest)
    if scheme in ("valkey", "valkeys"):
        url = url.replace("valkey", "redis", 1)
    if url.startswith(_REDIS):
        return ValkeyStore(url)
    if scheme in ("postgresql", "postgres"):
        return PostgresStore(url)
    raise ConfigurationError(
        [
            "unsupported store URL; expected one of memory:, sqlite:PATH, redis://, valkey://,"
            " postgresql://"
        ]
    )


def open_attempts(url: str) -> AttemptStore:
    """Return counters of attempts on the engine that `url` names, as `open_store` reads it.

    ``sqlite:PATH`` counts in the file ``PATH-attempts``. A PostgreSQL database needs the schema of
    ``linqi store init``.

    Raises:
        ConfigurationError: `url` has another form.

    """
    store = open_store(url)
    if not isinstance(store, CountsAttempts):
        raise ConfigurationError(["the store has no counters of attempts"])
    return store.attempts()


def _has_readable_host(url: str) -> bool:
    try:
        split = urlsplit(url)
        return split.port is None or split.port > 0
    except ValueError:
        return False
