"""The workers of a deployment that have a key, as they announced it in their store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final

from linqi._notes import KeepsNotes, NoteStore
from linqi.commands.named_store import open_named
from linqi.errors import ConfigurationError, InvalidKey
from linqi.sessions.key_announcer import KEYS_NOTE, AnnouncedKeys, read_announced

__all__ = ["announced", "describe", "of_file", "wait_for_holders"]

_POLL_SECONDS: Final = 0.5
_SHOWN: Final = 20


def announced(url: str, prefix: str | None) -> list[AnnouncedKeys]:
    """Return what the running workers have announced in the store at `url`.

    Args:
        url: The store of the workers.
        prefix: Of Valkey's keys; None for the usual one.

    Raises:
        ConfigurationError: `url` names no store that keeps notes.
        Unavailable: The store does not answer.

    """

    async def read() -> list[AnnouncedKeys]:
        async with _notes(url, prefix) as notes:
            return read_announced(await notes.read(KEYS_NOTE))

    return asyncio.run(read())


def wait_for_holders(
    url: str,
    prefix: str | None,
    kid: str,
    others: Collection[str],
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Return when every running worker has announced the key `kid`.

    Another deployment may use the same store: the workers that count are those of the issuers
    whose workers have one of the keys of the file.

    Args:
        url: The store of the workers.
        prefix: Of Valkey's keys; None for the usual one.
        kid: The key id.
        others: The ids of the other keys of the file.
        seconds: How long to wait; 0 looks once.
        say: Receives a line when the number of workers that have the key changes.

    Raises:
        InvalidKey: Some have not by then; the message names them. Or no worker runs at all.
        ConfigurationError: As of `announced`.
        Unavailable: As of `announced`.

    """

    async def wait() -> list[AnnouncedKeys]:
        loop = asyncio.get_running_loop()
        ends_at, told = loop.time() + seconds, ""
        async with _notes(url, prefix) as notes:
            while True:
                workers = of_file(read_announced(await notes.read(KEYS_NOTE)), {kid, *others})
                lacking = [worker for worker in workers if kid not in worker.kids]
                line = f"{len(workers) - len(lacking)} of {len(workers)} workers have {kid}"
                if line != told:
                    told = line
                    say(line)
                if (workers and not lacking) or loop.time() >= ends_at:
                    return lacking if workers else []
                await asyncio.sleep(_POLL_SECONDS)

    if not of_file(announced(url, prefix), {kid, *others}):
        raise InvalidKey(
            "no worker has announced a key of this file in this store: name the store of the"
            " running workers, or use --force if none runs"
        )
    if lacking := asyncio.run(wait()):
        raise InvalidKey(
            f"{kid} does not sign yet: {len(lacking)} workers have not read it:"
            f" {describe(lacking)}. Bring the key file to them and run linqi keygen --activate"
            " again, or add --force: they then answer 503 to its tokens until they have it"
        )


def of_file(workers: Sequence[AnnouncedKeys], kids: Collection[str]) -> list[AnnouncedKeys]:
    """Return the workers of the issuers of which one has a key of `kids`, unreadable ones too."""
    issuers = {worker.issuer for worker in workers if not worker.kids.isdisjoint(kids)}
    return [worker for worker in workers if issuers and worker.issuer in {*issuers, ""}]


def describe(workers: Sequence[AnnouncedKeys]) -> str:
    """Return the names of `workers` as one text."""
    names = [worker.worker for worker in workers[:_SHOWN]]
    rest = len(workers) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


@contextlib.asynccontextmanager
async def _notes(url: str, prefix: str | None) -> AsyncIterator[NoteStore]:
    store = open_named(url, prefix)
    if url.startswith("memory:") or not isinstance(store, KeepsNotes):
        raise ConfigurationError(["the store is of one process only; name that of the workers"])
    await store.start()
    try:
        yield store.notes()
    finally:
        await store.close()
