"""The schema of ``linqi.toml``: all of its tables as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from linqi.config.bridge_table import BridgeTable
from linqi.config.http_tables import CookiesTable, HttpTable, PathsTable, ThrottleTable
from linqi.config.issuer_table import IssuerTable
from linqi.config.lifetime_tables import (
    BudgetTable,
    ClientTable,
    RenewalTable,
    SessionsTable,
    SigningTable,
)
from linqi.config.resource_table import ResourceTable
from linqi.config.setting import Setting, settings_of
from linqi.config.store_table import StoreTable
from linqi.config.storm_table import StormTable
from linqi.config.verification_tables import (
    CacheTable,
    JwksLimitsTable,
    JwksTable,
    KeysTable,
    VerifyTable,
)

__all__ = ["ISSUERS", "MOST_ISSUERS", "SCHEMA_FILE", "TABLES", "Config", "every_setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of ``linqi.toml`` and the environment, one attribute for each table.

    ``Config()`` equals an empty file. Types and ranges are checked when it is read; settings that
    depend on each other, files and keys are checked by `linqi.config.build`.
    """

    verify: VerifyTable = VerifyTable()
    keys: KeysTable = KeysTable()
    cache: CacheTable = CacheTable()
    renewal: RenewalTable = RenewalTable()
    budget: BudgetTable = BudgetTable()
    signing: SigningTable = SigningTable()
    store: StoreTable = StoreTable()
    sessions: SessionsTable = SessionsTable()
    http: HttpTable = HttpTable()
    paths: PathsTable = PathsTable()
    resource: ResourceTable = ResourceTable()
    cookies: CookiesTable = CookiesTable()
    throttle: ThrottleTable = ThrottleTable()
    jwks: JwksTable = JwksTable()
    jwks_limits: JwksLimitsTable = JwksLimitsTable()
    client: ClientTable = ClientTable()
    bridge: BridgeTable = BridgeTable()
    storm: StormTable = StormTable()
    issuers: tuple[IssuerTable, ...] = ()
    source: str = "linqi.toml"
    """The path of the file, for messages."""
    folder: Path = Path()
    """The folder of the file, which relative paths start at."""
    overrides: tuple[tuple[str, str, str], ...] = ()
    """The environment variables used, each with the table and the key that it sets."""

    @property
    def has_keys(self) -> bool:
        """Whether this deployment signs its own tokens."""
        return bool(self.keys.file or self.keys.env)

    @property
    def has_store(self) -> bool:
        """Whether there are sessions with refresh tokens."""
        return bool(self.store.url or self.store.url_env)

    @property
    def slides(self) -> bool:
        """Whether near-expiry requests receive successors."""
        chosen = self.renewal.sliding
        return self.has_keys and (not self.has_store if chosen == "auto" else chosen)


ISSUERS: Final = "issuers"
MOST_ISSUERS: Final = 100
SCHEMA_FILE: Final = "linqi.schema.json"
"""The JSON Schema, as the first line of a new ``linqi.toml`` names it for editors."""
TABLES: Final[Mapping[str, type]] = {
    declared.name: type(declared.default)
    for declared in fields(Config)
    if is_dataclass(declared.default)
}
"""The tables by name, in the order of the reference."""


def every_setting() -> list[tuple[str, Setting]]:
    """Return every key with the name of its table; those of [[issuers]] are last."""
    found: list[tuple[str, Setting]] = []
    tables: dict[str, Any] = {**TABLES, ISSUERS: IssuerTable}
    for name, table in tables.items():
        found.extend((name, setting) for setting in settings_of(table).values())
    return found
