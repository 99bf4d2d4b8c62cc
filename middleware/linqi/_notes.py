"""Short texts that the workers of a deployment share, and that end by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

__all__ = ["MOST_NOTES", "KeepsNotes", "Note", "NoteStore"]

MOST_NOTES: Final = 1_000
"""Notes of one kind that are read; more than a deployment has workers."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text, and how long ago it was written, in seconds of the store's clock."""

    text: str
    age: float


@runtime_checkable
class NoteStore(Protocol):
    """Keeps short texts by kind and name, for all workers that share a store.

    Each operation is one atomic step; the end of a note is judged by the store's clock. All of them
    raise `Unavailable` when the store does not answer in time, or was not started; the operation
    may then have taken place. Notes may be lost with the store's memory: nothing that must last
    belongs here.

    Callers give a kind and a name of 1 to 120 printable ASCII characters, and a text of at most
    512 KiB; stores need not check that.
    """

    async def put(self, kind: str, name: str, text: str, seconds: float) -> None:
        """Write a note that ends after `seconds`, in place of one with this name."""
        ...

    async def claim(self, kind: str, name: str, text: str, seconds: float) -> bool:
        """Write the note only if there is none with this name; return whether it was written."""
        ...

    async def drop(self, kind: str, name: str, text: str) -> None:
        """Delete the note if its text is `text`."""
        ...

    async def read(self, kind: str) -> Mapping[str, Note]:
        """Return the notes of a kind by name, at most 1,000 that have not ended."""
        ...


@runtime_checkable
class KeepsNotes(Protocol):
    """A session store that keeps notes on its own engine, as all stores of linqi do."""

    def notes(self) -> NoteStore:
        """Return the notes, which use the store's connections."""
        ...
