"""Notes in this process only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linqi._notes import MOST_NOTES, Note

__all__ = ["MemoryNotes"]


class MemoryNotes:
    """A `NoteStore` in a dict; atomic, as no check is separated from its write by an await."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kinds: dict[str, dict[str, tuple[str, float, float]]] = {}

    async def put(self, kind: str, name: str, text: str, seconds: float) -> None:
        """Write a note; see `NoteStore`."""
        now = self._clock()
        self._live(kind)[name] = text, now, now + seconds

    async def claim(self, kind: str, name: str, text: str, seconds: float) -> bool:
        """Write a note if there is none; see `NoteStore`."""
        if name in self._live(kind):
            return False
        await self.put(kind, name, text, seconds)
        return True

    async def drop(self, kind: str, name: str, text: str) -> None:
        """Delete a note; see `NoteStore`."""
        live = self._live(kind)
        if name in live and live[name][0] == text:
            del live[name]

    async def read(self, kind: str) -> Mapping[str, Note]:
        """Return the notes of a kind; see `NoteStore`."""
        now = self._clock()
        rows = [*self._live(kind).items()][:MOST_NOTES]
        return {name: Note(text, now - at) for name, (text, at, _) in rows}

    def _live(self, kind: str) -> dict[str, tuple[str, float, float]]:
        """Return the notes of `kind`, after deleting those that have ended."""
        now, notes = self._clock(), self._kinds.setdefault(kind, {})
        for name in [name for name, (_, _, until) in notes.items() if until <= now]:
            del notes[name]
        return notes
