"""The door to asyncpg."""

from __future__ import annotations

from typing import Any

from linqi.errors import ConfigurationError, Unavailable

__all__ = ["as_unavailable", "driver"]


def as_unavailable(error: Exception, timeout: float) -> Exception:
    """Return `error`, or `Unavailable` in its place where the driver raised it."""
    if isinstance(error, (Unavailable, ConfigurationError)):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"PostgreSQL took more than {timeout:g} s")
    return Unavailable(f"PostgreSQL: {type(error).__name__}: {error}")


def driver() -> Any:
    """Return asyncpg; `ConfigurationError` where it is not installed."""
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["asyncpg is not installed; pip install 'linqi[postgres]'"]
        ) from None
    return asyncpg
