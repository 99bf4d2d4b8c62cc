"""Commands that wait at the same time, sent to a server together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

from linqi.stores._time_limit import TimeLimit

__all__ = ["Batches"]

_C = TypeVar("_C")
_A = TypeVar("_A")
_Waiting: TypeAlias = tuple[_C, asyncio.Future[_A]]


class Batches(Generic[_C, _A]):
    """Sends commands that arrive while others are under way in one round trip.

    A command that comes alone is sent at once. A caller that is cancelled takes nothing from the
    others; its command is left out if it was not sent yet. On another event loop it begins anew.

    Args:
        send: Sends commands and returns their answers in the same order. An exception among the
            answers reaches the caller of that command; one that is raised reaches all.
        timeout: Seconds for each command, waiting included; then the caller gets `TimeoutError`.
        most_at_once: How many commands may share a round trip.
        most_under_way: How many round trips may be under way.

    """

    def __init__(
        self,
        send: Callable[[Sequence[_C]], Awaitable[Sequence[_A | Exception]]],
        *,
        timeout: float,
        most_at_once: int,
        most_under_way: int,
    ) -> None:
        self._send = send
        self._timeout = timeout
        self._most_at_once = most_at_once
        self._most_under_way = most_under_way
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[_Waiting[_C, _A]] = deque()
        self._senders: set[asyncio.Task[None] | None] = set()

    async def __call__(self, command: _C) -> _A:
        """Return the answer to `command`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._waiting, self._senders = loop, deque(), set()
        answer: asyncio.Future[_A] = loop.create_future()
        self._waiting.append((command, answer))
        if len(self._senders) < self._most_under_way:
            # It begins when the requests that this turn of the loop has read are here, too.
            sender = loop.create_task(self._send_waiting())
            self._senders.add(sender)
        timer = loop.call_later(self._timeout, _expire, answer)
        try:
            return await answer
        finally:
            timer.cancel()

    async def finish(self) -> None:
        """Wait until nothing waits any more, as before what `send` needs is closed."""
        senders = [sender for sender in self._senders if sender is not None]
        if senders and self._loop is asyncio.get_running_loop():
            await asyncio.wait(senders, timeout=self._timeout)

    async def _send_waiting(self) -> None:
        """Send what waits until nothing does."""
        waiting, senders, sender = self._waiting, self._senders, asyncio.current_task()
        try:
            await self._send_all(waiting)
        finally:
            # Here, not when the task is done: a command that comes in between must find it gone.
            senders.discard(sender)

    async def _send_all(self, waiting: deque[_Waiting[_C, _A]]) -> None:
        while batch := self._taken(waiting):
            try:
                async with TimeLimit.after(self._timeout):
                    found = await self._send([command for command, _ in batch])
            except Exception as error:  # noqa: BLE001 - the waiting callers must get it
                found = [error] * len(batch)
            except asyncio.CancelledError:  # the event loop ends
                for _, answer in (*batch, *waiting):
                    answer.cancel()
                raise
            for (_, answer), one in zip(batch, found, strict=True):
                if answer.done():
                    continue
                if isinstance(one, Exception):
                    answer.set_exception(one)
                else:
                    answer.set_result(one)

    def _taken(self, waiting: deque[_Waiting[_C, _A]]) -> list[_Waiting[_C, _A]]:
        batch: list[_Waiting[_C, _A]] = []
        while waiting and len(batch) < self._most_at_once:
            first = waiting.popleft()
            if not first[1].done():
                batch.append(first)
        return batch


def _expire(answer: asyncio.Future[_A]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
