"""The one module that imports asyncpg."""

from __future__ import annotations

from typing import Any, Final

from linqi.errors import ConfigurationError, Unavailable

__all__ = ["as_unavailable", "driver", "is_read_only"]


_LOST_STATEMENTS: Final = ("DuplicatePreparedStatementError", "InvalidSQLStatementNameError")
"""A statement that another connection of a pooler has, or this one has not."""


def as_unavailable(error: Exception, timeout: float) -> Exception:
    """Return `Unavailable` for an error of the driver; others as they are."""
    if isinstance(error, (Unavailable, ConfigurationError)):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"PostgreSQL took more than {timeout:g} s")
    if type(error).__name__ in _LOST_STATEMENTS:
        return Unavailable(
            "PostgreSQL lost a prepared statement: the connection goes through a pooler in"
            " transaction mode; set statement_cache_size to 0"
        )
    if type(error).__name__ == "TargetServerAttributeNotMatched":
        return Unavailable(
            "PostgreSQL cannot be written: the server is a standby, or"
            " default_transaction_read_only is on"
        )
    # The first line alone: others quote rows, so claims.
    text = str(error).partition("\n")[0]
    if "unsupported startup parameter" in text:
        text += "; a pooler refuses it in the URL: run ALTER ROLE ... SET instead"
    return Unavailable(f"PostgreSQL: {type(error).__name__}: {text}")


def is_read_only(error: Exception) -> bool:
    """Return whether the server refused a write because it is a standby, or set to read only."""
    return type(error).__name__ == "ReadOnlySQLTransactionError"


def driver() -> Any:
    """Return the module asyncpg; raise `ConfigurationError` if it is not installed."""
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["asyncpg is not installed; pip install 'linqi[postgres]'"]
        ) from None
    return asyncpg
