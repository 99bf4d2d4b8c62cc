"""The one module that imports redis-py, the driver of Valkey and Redis."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from linqi.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Script", "as_unavailable", "connect"]


def connect(url: str, timeout: float, most_connections: int) -> Redis:
    """Return a client of the server at `url`; raise `ConfigurationError` without redis-py."""
    try:
        from redis.asyncio import ConnectionPool, Redis
    except ModuleNotFoundError:
        raise ConfigurationError(["redis is not installed; pip install 'linqi[valkey]'"]) from None
    # One more for `follow`, and one for a second that begins before the first has ended.
    pool = ConnectionPool.from_url(
        url, max_connections=most_connections + 2, socket_connect_timeout=timeout
    )
    return Redis(connection_pool=pool)


class Script:
    """A Lua script beside this module, called by its digest."""

    def __init__(self, name: str) -> None:
        self._text = files("linqi.stores").joinpath(f"{name}.lua").read_text()
        self._digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run the script; its text is sent only if the server does not have it."""
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *arguments)
        except Exception as error:
            if type(error).__name__ != "NoScriptError":
                raise
        return await client.eval(self._text, len(keys), *keys, *arguments)


def as_unavailable(error: Exception, timeout: float) -> Exception:
    """Return `Unavailable` for an error of the driver; others as they are."""
    if isinstance(error, (Unavailable, ConfigurationError)):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"Valkey took more than {timeout:g} s")
    return Unavailable(f"Valkey: {type(error).__name__}: {error}")
