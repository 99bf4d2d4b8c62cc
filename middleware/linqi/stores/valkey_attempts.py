"""Counters of sign-in attempts in Valkey or Redis, for the workers of several machines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from linqi.sessions.attempts import Counter, Full
from linqi.stores._redis import Call, Script, as_unavailable, is_half_moved
from linqi.stores._time_limit import TimeLimit
from linqi.stores._valkey_clients import connect, disconnect
from linqi.stores._valkey_nodes import Nodes
from linqi.stores._valkey_url import read_valkey_url

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["ValkeyAttempts"]

_MOST_COUNTERS: Final = 200_000
"""At most about 40 MB."""


_HALF_MOVED_SECONDS: Final = 0.05
"""Until an attempt is made again while its counters are moved to another node of a cluster."""


class ValkeyAttempts:
    """An `AttemptStore` in a Valkey or Redis server or cluster.

    All counters lie in one hash slot, so that an attempt is one script on one node. A failover may
    lose the last attempts.

    Args:
        url: The server.
        client: A `redis.asyncio` client of the caller's instead of `url`; it is not closed.
        timeout: Seconds for each operation, waiting for a connection included.
        most_connections: How many operations run at once.
        prefix: The beginning of all keys.
        most_counters: How many counters are kept; those used longest ago are deleted beyond that.

    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Redis | Any = None,
        timeout: float = 2.0,
        most_connections: int = 8,
        prefix: str = "linqi",
        most_counters: int = _MOST_COUNTERS,
    ) -> None:
        self._place = None if url is None else read_valkey_url(url)
        self._is_own = client is None
        self._client: Any = client
        self._timeout = timeout
        self._most_connections = most_connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = asyncio.Semaphore(most_connections)
        self._prefix = f"{prefix}:{{attempts}}"
        self._most_counters = most_counters
        self._script = Script("reserve")
        self._nodes = Nodes(self._connected)

    async def reserve(
        self, attempt: str, counters: Sequence[Counter], now: float
    ) -> Sequence[Full]:
        """Count the attempt in all `counters` or in none; see `AttemptStore`."""
        keys = [*(self._key(counter) for counter in counters), self._prefix]
        arguments: list[Any] = [attempt, repr(float(now)), self._most_counters]
        for counter in counters:
            arguments += [counter.limit.most, repr(float(counter.limit.seconds))]
        (answer,) = await self._run([self._script.call(keys, arguments)])
        return [
            _full(counters[int(place) - 1], float(at), now)
            for place, at in zip(answer[::2], answer[1::2], strict=True)
        ]

    async def release(self, attempt: str, counters: Sequence[Counter]) -> None:
        """Remove the entries of `attempt`; see `AttemptStore`."""
        keys = [self._key(counter) for counter in counters]
        await self._run([Call(key, ("ZREM", key, attempt)) for key in keys])

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's client."""
        if self._is_own and self._client is not None:
            client, self._client = self._client, None
            if self._loop is asyncio.get_running_loop():
                await disconnect(client)

    def _connected(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop, self._gate = loop, asyncio.Semaphore(self._most_connections)
            self._client = None if self._is_own else self._client
        if self._client is None and self._place is not None:
            self._client = connect(self._place, self._timeout, self._most_connections)
        return self._client

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        self._connected()
        try:
            async with TimeLimit.after(self._timeout), self._gate:
                while True:
                    try:
                        return await self._nodes.run(calls)
                    except Exception as error:
                        if not is_half_moved(error):
                            raise
                    await asyncio.sleep(_HALF_MOVED_SECONDS)
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    def _key(self, counter: Counter) -> str:
        return f"{self._prefix}:{counter.key}"


def _full(counter: Counter, at: float, now: float) -> Full:
    seconds = counter.limit.seconds
    return Full(counter.key, min(seconds, at + seconds - now))
