"""The table of ``linqi.toml`` about the store of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linqi.config.setting import PATH, VARIABLE, number, setting
from linqi.config.value_types import String
from linqi.sessions.dual import Sessions
from linqi.sessions.revocation import Revocations
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore

__all__ = ["StoreTable"]

_OPTIONS: Final = (
    "listen_url",
    "min_replicas",
    "most_connections",
    "poll_seconds",
    "prefix",
    "statement_cache_size",
    "timeout_seconds",
)
"""Keys that `linqi.stores.store_url.open_store` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTable:
    """The store of sessions with refresh tokens; there are none without url or url_env."""

    url: str | None = setting(
        String("a store's URL"),
        "memory:, sqlite:PATH, valkey://HOST:PORT/0, valkey+cluster://HOST:PORT,HOST:PORT,"
        " valkey+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME or postgresql://USER@HOST/DATABASE.",
        is_hidden=True,
        example="sqlite:sessions.db",
    )
    url_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds the URL instead, for a URL with a password.",
        is_hidden=True,
        example="SHOP_STORE_URL",
    )
    listen_url: str | None = setting(
        String("a PostgreSQL URL"),
        "The PostgreSQL database itself, for notifications, where url goes through a pooler in"
        " transaction mode, which passes on none.",
        is_hidden=True,
        example="postgresql://app@db.internal/shop",
    )
    listen_url_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds listen_url instead.",
        is_hidden=True,
        example="SHOP_LISTEN_URL",
    )
    statement_cache_size: int | None = number(
        "How many prepared statements a PostgreSQL connection keeps, 100 by default; 0 where url"
        " goes through a pooler in transaction mode.",
        of=(PostgresStore, "statement_cache_size"),
        default=None,
        example=0,
    )
    timeout_seconds: float | None = number(
        "How long one call may take, waiting for a connection included; by default 2 for Valkey, 3"
        " for PostgreSQL, 5 for SQLite.",
        of=(ValkeyStore, "timeout"),
        default=None,
        example=1.5,
    )
    most_connections: int | None = number(
        "How many connections a worker opens for sessions, by default 50 to Valkey (to each node"
        " of a cluster) and 10 to PostgreSQL; the feed of revocations and the counters of sign-ins"
        " have their own.",
        of=(ValkeyStore, "most_connections"),
        default=None,
        example=20,
    )
    prefix: str | None = setting(
        String("ASCII letters, digits and hyphens", "[A-Za-z0-9-]*[A-Za-z0-9][A-Za-z0-9-]*"),
        "The beginning of all keys in Valkey, linqi by default.",
        of=(ValkeyStore, "prefix"),
        default=None,
        example="shop",
    )
    min_replicas: int | None = number(
        "How many replicas of Valkey must have a revocation before it is acknowledged, 0 by"
        " default; for how many standbys PostgreSQL must be set to let each commit wait.",
        of=(ValkeyStore, "min_replicas"),
        default=None,
        example=1,
    )
    poll_seconds: float | None = number(
        "How often a SQLite file is read for revocations of other processes, by default 0.05.",
        of=(SQLiteStore, "poll_seconds"),
        default=None,
        example=0.1,
    )
    secrets_file: str | None = setting(
        PATH,
        "A key set of HMAC secrets for refresh tokens, kept apart from the signing keys;"
        " `linqi keygen --alg HS256 --out refresh.json` makes one.",
        example="refresh.json",
    )
    secrets_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds the secret instead, as a JWKS or as text.",
        is_hidden=True,
        example="SHOP_REFRESH_SECRET",
    )
    stale_after_seconds: float = number(
        "If the store is unreachable for this long, revocations are unknown and on_revocation_error"
        " decides; inf accepts tokens all the same.",
        of=(Revocations, "stale_after"),
    )

    purge_per_second: float = number(
        "The most ended sessions and revocations that a worker deletes in a second.",
        of=(Sessions, "purge_per_second"),
    )

    def options(self) -> dict[str, object]:
        """Return the options of the engine that are set, for `open_store`."""
        values = {name: getattr(self, name) for name in _OPTIONS}
        return {name: value for name, value in values.items() if value is not None}
