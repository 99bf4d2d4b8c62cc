"""What a store's tables are, and what ``linqi store init`` would change in them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, runtime_checkable

__all__ = ["HasSchema", "SchemaState", "newer_schema", "this_release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """The schema of a store, and the steps to the one that this release makes."""

    version: int
    """0 if there are no tables."""
    steps: tuple[str, ...]
    """What is to be done, in words, with the locks that it takes; empty if nothing is."""


@runtime_checkable
class HasSchema(Protocol):
    """A store whose tables ``linqi store init`` makes."""

    async def schema_state(self) -> SchemaState:
        """Return the state of the tables; nothing is changed.

        Raises:
            ConfigurationError: A later release made them.

        """
        ...


def this_release() -> str:
    """Return the version of the installed distribution; empty if it was not installed."""
    try:
        return version("linqi")
    except PackageNotFoundError:
        return ""


def newer_schema(found: int, known: int, maker: str) -> str:
    """Return why tables of a later release are not used, and what to install.

    Args:
        found: The schema of the tables.
        known: The schema of this release.
        maker: The release that made it, as the store tells; it may be empty.

    """
    release = f" {this_release()}".rstrip()
    wanted = f"linqi {maker} or newer" if maker else "the release that made it, or a newer one"
    return (
        f"the store has schema {found}, and linqi{release} knows {known}: install {wanted};"
        " nothing was changed"
    )
