"""Refresh tokens that are presented to one Valkey server at the same time, in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from linqi.stores._batches import Batches
from linqi.stores._redis import Script, is_cross_slot

__all__ = ["ValkeyRotations"]

_MOST_AT_ONCE: Final = 64
_MOST_UNDER_WAY: Final = 2
"""Round trips."""


class ValkeyRotations:
    """Calls of ``present.lua`` that wait at the same time.

    Args:
        client: Returns the started client.
        gate: Returns what limits the connections in use.
        timeout: Seconds for each round trip.

    """

    def __init__(
        self, client: Callable[[], Any], gate: Callable[[], asyncio.Semaphore], timeout: float
    ) -> None:
        self._client = client
        self._gate = gate
        self._one, self._each = Script("present"), Script("present", is_for_each=True)
        self._is_cluster = False
        self._batches: Batches[tuple[str, str], Any] = Batches(
            self._present_each,
            timeout=timeout,
            most_at_once=_MOST_AT_ONCE,
            most_under_way=_MOST_UNDER_WAY,
        )

    async def present(self, key: str, argument: str) -> Any:
        """Return the answer of the script for the session at `key`."""
        return await self._batches((key, argument))

    async def finish(self) -> None:
        """Wait until nothing waits any more."""
        await self._batches.finish()

    async def _present_each(self, calls: Sequence[tuple[str, str]]) -> list[Any]:
        """Redeem tokens by one call of the script, or by one each where keys may not be mixed."""
        if not self._is_cluster:
            keys, arguments = zip(*calls, strict=True)
            try:
                async with self._gate():  # with the others, or no connection might be left
                    answers: list[Any] = await self._each.run(self._client(), keys, arguments)
            except Exception as error:
                if not is_cross_slot(error):
                    raise
                self._is_cluster = True
            else:
                return answers
        async with self._gate():
            return await self._one.run_each(self._client(), calls)
