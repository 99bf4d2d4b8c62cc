"""The URL of a store, as command lines and settings name it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.sessions.attempts import AttemptStore, CountsAttempts
from linqi.sessions.store import SessionStore
from linqi.stores._postgres_address import POSTGRES_SCHEMES, read_postgres_url
from linqi.stores._valkey_url import VALKEY_SCHEMES
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore

__all__ = ["open_attempts", "open_store", "option_faults", "sqlite_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """One kind of store: the beginnings of its URLs, and its options by the names of users."""

    schemes: tuple[str, ...]
    make: Callable[..., SessionStore]
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The parameter of the store that receives each option."""


_MEMORY: Final = _Engine(schemes=("memory:",), make=MemoryStore)
_SQLITE: Final = _Engine(
    schemes=("sqlite:",),
    make=SQLiteStore,
    parameters={"timeout_seconds": "timeout", "poll_seconds": "poll_seconds"},
)
_VALKEY: Final = _Engine(
    schemes=VALKEY_SCHEMES,
    make=ValkeyStore,
    parameters={
        "timeout_seconds": "timeout",
        "most_connections": "most_connections",
        "prefix": "prefix",
        "min_replicas": "min_replicas",
    },
)
_POSTGRES: Final = _Engine(
    schemes=POSTGRES_SCHEMES,
    make=PostgresStore,
    parameters={
        "timeout_seconds": "timeout",
        "most_connections": "most_connections",
        "listen_url": "listen_dsn",
        "statement_cache_size": "statement_cache_size",
        "min_replicas": "min_replicas",
    },
)
_ENGINES: Final = (_MEMORY, _SQLITE, _VALKEY, _POSTGRES)


def open_store(
    url: str, *, clock: Callable[[], float] = time.time, **options: object
) -> SessionStore:
    """Return the store that `url` names; its ``start`` connects it.

    Args:
        url: ``memory:``; ``sqlite:PATH``; ``valkey://HOST:PORT/0``,
            ``valkey+cluster://HOST:PORT,HOST:PORT`` or
            ``valkey+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME`` (``valkeys`` with TLS; ``redis``
            and ``rediss`` are the same); ``postgresql://USER@HOST/DATABASE`` (several hosts:
            ``USER@H1:5432,H2:5432``; ``postgresql+asyncpg`` and the like are the same).
        clock: As of `MemoryStore` and `SQLiteStore`; a server has its own.
        options: As the keys of ``[store]`` in ``linqi.toml``: ``timeout_seconds`` of all but
            ``memory:``, ``poll_seconds`` of SQLite, ``most_connections`` and ``min_replicas`` of
            Valkey and PostgreSQL, ``prefix`` of Valkey, ``listen_url`` and ``statement_cache_size``
            of PostgreSQL.

    Raises:
        ConfigurationError: `url` has another form, its engine does not have an option, a value is
            out of range, or its driver is not installed.

    """
    engine = _engine_of(url)
    if faults := option_faults(url, options):
        raise ConfigurationError(faults.values())
    arguments: dict[str, Any] = {engine.parameters[name]: options[name] for name in options}
    if engine is _MEMORY:
        return MemoryStore(clock=clock)
    if engine is _SQLITE:
        return SQLiteStore(sqlite_path(url), clock=clock, **arguments)
    return engine.make(url, **arguments)


def option_faults(url: str, options: Mapping[str, object]) -> dict[str, str]:
    """Return a fault, by name, for each of `options` that the store at `url` cannot have.

    Its engine does not have the option, or the option is a URL that cannot be read.

    Raises:
        ConfigurationError: `url` names no engine.

    """
    engine = _engine_of(url)
    faults = {
        name: f"{name} is for {_engines_with(name)} only; remove it"
        for name in options
        if name not in engine.parameters
    }
    if "listen_url" in options and "listen_url" not in faults:
        try:
            read_postgres_url(str(options["listen_url"]))
        except ConfigurationError as error:
            faults["listen_url"] = f"listen_url: {'; '.join(error.faults)}"
    return faults


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


def sqlite_path(url: str) -> str:
    """Return the path in ``sqlite:PATH``, relative to the current folder unless it is absolute.

    Raises:
        ConfigurationError: The path begins with ``//``: ``sqlite:///x`` is ``x`` for SQLAlchemy and
            ``/x`` for a reader of other URLs. Or it names no file.

    """
    path = url.removeprefix("sqlite:")
    if path.startswith("//"):
        name = path.lstrip("/") or "sessions.db"
        raise ConfigurationError(
            [
                f"the store's URL has two meanings; write sqlite:{name} for a file in the current"
                f" folder (of linqi.toml, if it is named there), or sqlite:/{name} for an absolute"
                " path"
            ]
        )
    if path.startswith((":", "file:")):
        raise ConfigurationError(
            ["the store's URL names no file; expected sqlite:PATH, or memory: for tests"]
        )
    return path


def _engine_of(url: str) -> _Engine:
    is_bare = url == "sqlite:" or (url.startswith("memory:") and url != "memory:")
    for engine in _ENGINES:
        if url.startswith(engine.schemes) and not is_bare:
            return engine
    raise ConfigurationError(
        [
            "unsupported store URL; expected one of memory:, sqlite:PATH, valkey://,"
            " valkey+cluster://, valkey+sentinel://, redis://, postgresql://"
        ]
    )


def _engines_with(option: str) -> str:
    """Return how the URLs begin whose engines have `option`."""
    found = [engine.schemes[0] for engine in _ENGINES if option in engine.parameters]
    return " and ".join(found) or "no store"
