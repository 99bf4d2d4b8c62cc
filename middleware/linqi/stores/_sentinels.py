"""The sentinels of a Valkey or Redis primary, which know its address."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError

from linqi._single_flight import SingleFlight
from linqi.stores._time_limit import TimeLimit

__all__ = ["Sentinels"]

_Address: TypeAlias = tuple[str, int]
_TOGETHER_SECONDS: Final = 0.1
"""How long the first answer waits for those of the other sentinels."""


class Sentinels:
    """Asks all sentinels at once, so that one that is cut off or hangs neither misleads nor delays.

    During a failover they disagree: the highest configuration epoch is the newest. The sentinel
    that leads a failover names the new primary as soon as it is promoted.

    Args:
        hosts: Host and port of each.
        master_name: By which they know the primary.
        seconds: How long an answer may take.
        arguments: Of the driver's connections.

    """

    def __init__(
        self, hosts: Sequence[_Address], master_name: str, seconds: float, **arguments: Any
    ) -> None:
        self.master_name = master_name
        self._seconds = seconds
        self._clients = [Redis(host=host, port=port, **arguments) for host, port in hosts]
        self._flight: SingleFlight[str, _Address] = SingleFlight()

    async def primary(self) -> _Address:
        """Return the primary's host and port; callers at the same time share the answer.

        Raises:
            Disconnected: No sentinel answers, or none knows a primary of this name.

        """
        return await self._flight("primary", self._ask_all)

    async def aclose(self) -> None:
        """Close the connections."""
        self._flight.close()
        await asyncio.gather(*(client.aclose() for client in self._clients))

    async def _ask_all(self) -> _Address:
        tasks = [asyncio.ensure_future(self._ask(client)) for client in self._clients]
        try:
            done, waiting = await asyncio.wait(tasks, timeout=_TOGETHER_SECONDS)
            deadline = asyncio.get_running_loop().time() + self._seconds
            while waiting and not _answers(done):
                left = deadline - asyncio.get_running_loop().time()
                more, waiting = await asyncio.wait(
                    waiting, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED
                )
                if not more:
                    break
                done |= more
        finally:
            for task in tasks:
                task.cancel()
        if answers := _answers(done):
            return max(answers)[1]
        errors = {str(error) for task in done if (error := task.exception())}
        detail = "; ".join(sorted(errors)) or f"none answered within {self._seconds:g} s"
        raise Disconnected(f"no sentinel names a primary {self.master_name!r}: {detail}")

    async def _ask(self, client: Any) -> tuple[int, _Address]:
        """Return the configuration epoch and the address that one sentinel knows."""
        async with TimeLimit.after(self._seconds), client.pipeline(transaction=False) as pipe:
            pipe.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
            pipe.execute_command("SENTINEL", "MASTER", self.master_name)
            address, state = await pipe.execute(raise_on_error=False)
        for answer in (address, state):
            if isinstance(answer, RedisError):
                raise answer
        if not address:
            raise ResponseError(f"no such primary: {self.master_name}")
        facts = dict(zip(state[::2], state[1::2], strict=True))
        return int(facts[b"config-epoch"]), (address[0].decode(), int(address[1]))


def _answers(done: set[asyncio.Task[tuple[int, _Address]]]) -> list[tuple[int, _Address]]:
    return [task.result() for task in done if not task.cancelled() and task.exception() is None]
