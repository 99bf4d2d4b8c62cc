"""The one module that imports asyncpg."""

from __future__ import annotations

from typing import Any

from linqi.errors import ConfigurationError, Unavailable

__all__ = ["as_unavailable", "driver"]


def as_unavailable(error: Exception, timeout: float) -> Exception:
    """Return `Unavailable` for an error of the driver; others as they are."""
    if isinstance(error, (Unavailable, ConfigurationError)):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"PostgreSQL took more than {timeout:g} s")
    return Unavailable(f"PostgreSQL: {type(error).__name__}: {error}")


def driver() -> Any:
    """Return the module asyncpg; raise `ConfigurationError` if it is not installed."""
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["asyncpg is not installed; pip install 'linqi[postgres]'"]
        ) from None
    return asyncpg
