"""A reader of revocations that tests look into."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from linqi.sessions.record import Revocation
from linqi.sessions.store import SessionStore


class Reading:
    """Holds what a store passes on."""

    def __init__(self) -> None:
        self.position: object = None
        self.known: set[Revocation] = set()
        self.pages: list[int] = []
        self.caught_up_with: list[int] = []
        """How many revocations were known at each `caught_up`."""
        self.changed = asyncio.Event()

    def begin_read(self) -> None:
        """Do nothing."""

    def add(self, revocations: Sequence[Revocation]) -> None:
        """Keep them, and the number of each call."""
        self.known.update(revocations)
        self.pages.append(len(revocations))
        self.changed.set()

    def caught_up(self) -> None:
        """Count it."""
        self.caught_up_with.append(len(self.known))
        self.changed.set()

    async def until_known(self, wanted: set[Revocation], seconds: float = 30) -> set[Revocation]:
        """Wait until all of `wanted` came; return everything that did."""
        async with asyncio.timeout(seconds):
            while not wanted <= self.known:
                self.changed.clear()
                await self.changed.wait()
        return self.known

    async def until_caught_up(self, times: int = 1, seconds: float = 30) -> None:
        """Wait until the store was read to its end `times` more."""
        times += len(self.caught_up_with)
        async with asyncio.timeout(seconds):
            while len(self.caught_up_with) < times:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def reading(
    store: SessionStore, since: float, reader: Reading | None = None
) -> AsyncIterator[Reading]:
    """Follow `store`, with a new reader unless one is given."""
    reader = reader or Reading()
    task = asyncio.create_task(store.follow(since, reader))
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def followed(
    store: SessionStore, since: float, wanted: set[Revocation], seconds: float = 30
) -> set[Revocation]:
    """Follow until all of `wanted` came; return everything that did."""
    async with reading(store, since) as reader:
        return await reader.until_known(wanted, seconds)
