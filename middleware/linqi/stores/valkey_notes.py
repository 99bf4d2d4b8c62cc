"""Notes in Valkey or Redis, for the workers of several machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from linqi._notes import MOST_NOTES, Note

__all__ = ["ValkeyNotes"]


class ValkeyNotes:
    """A `NoteStore` in the server or cluster of a `ValkeyStore`: one hash for each kind.

    Args:
        run: Runs a script by its name, with keys and arguments, as the store does.
        prefix: The beginning of all keys.

    """

    def __init__(
        self, run: Callable[[str, Sequence[str], Sequence[Any]], Awaitable[Any]], prefix: str
    ) -> None:
        self._run = run
        self._prefix = prefix

    async def put(self, kind: str, name: str, text: str, seconds: float) -> None:
        """Write a note; see `NoteStore`."""
        await self._note(kind, "put", name, text, repr(float(seconds)))

    async def claim(self, kind: str, name: str, text: str, seconds: float) -> bool:
        """Write a note if there is none; see `NoteStore`."""
        return bool(await self._note(kind, "claim", name, text, repr(float(seconds))))

    async def drop(self, kind: str, name: str, text: str) -> None:
        """Delete a note; see `NoteStore`."""
        await self._note(kind, "drop", name, text)

    async def read(self, kind: str) -> Mapping[str, Note]:
        """Return the notes of a kind; see `NoteStore`."""
        found = await self._note(kind, "read", MOST_NOTES)
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        return {
            name.decode(errors="replace"): Note(text.decode(errors="replace"), float(age))
            for name, age, text in rows
        }

    async def _note(self, kind: str, *arguments: Any) -> Any:
        return await self._run("notes", [f"{self._prefix}:notes:{kind}"], arguments)
