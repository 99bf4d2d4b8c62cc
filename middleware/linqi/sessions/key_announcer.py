"""The keys that each worker of a deployment has, as the workers tell each other by their store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from linqi._background import BackgroundTask
from linqi._notes import KeepsNotes, Note
from linqi._ranges import Range, Ranges, range_faults
from linqi._reference_count import ReferenceCount
from linqi.errors import ConfigurationError, Unavailable
from linqi.events import Dispatcher, Event, Hook, KeysMissing, KeysNotAnnounced
from linqi.jose.keys import KeySet
from linqi.sessions.dual import Sessions

__all__ = ["KEYS_NOTE", "AnnouncedKeys", "KeyAnnouncer", "read_announced"]

KEYS_NOTE: Final = "keys"
"""The kind of the notes."""
_LASTS_BEATS: Final = 4
_MOST_KEYS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedKeys:
    """What one worker has announced."""

    worker: str
    """Its host, process id and a random suffix."""
    issuer: str
    """The issuer of its tokens; empty if the note cannot be read."""
    kids: frozenset[str]
    """The ids of its keys; empty if the note cannot be read."""
    age: float
    """Seconds since then, by the store's clock."""


class KeyAnnouncer:
    """Announces the keys of this worker to the others, and finds out which keys it lacks.

    It is one of a middleware's ``services``. Every `beat_seconds` it writes the key ids of the
    signer, of `secrets` and of `verify_keys` into the store, where they stay for four beats: who
    has written none for so long does not count as running. ``linqi keygen --rotate --store`` waits
    for all of them before a new key signs.

    A key id that another worker of the issuer has and this one never had is awaited
    (`KeySet.awaited`): a token with it gets 503, which is tried again elsewhere, and not 401, which
    signs out.

    Args:
        sessions: The service whose store is used; it is started and closed with this one.
        secrets: The secrets of its refresh tokens, where they follow a file.
        verify_keys: Keys of the other kind that verify own tokens, if there are any.
        beat_seconds: 0.2 to 60, default 5.
        hooks: Receive `KeysMissing` and `KeysNotAnnounced`.
        clock: Returns Unix seconds; which keys are still in use depends on it.
        sleep: Waits between two beats.

    Raises:
        ConfigurationError: The store keeps no notes, or `beat_seconds` is out of range.

    """

    RANGES: ClassVar[Ranges] = {"beat_seconds": Range(0.2, 60, "seconds")}

    def __init__(
        self,
        sessions: Sessions,
        secrets: KeySet | None = None,
        *,
        verify_keys: KeySet | None = None,
        beat_seconds: float = 5.0,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        faults = range_faults(self.RANGES, {"beat_seconds": beat_seconds})
        if not isinstance(sessions.store, KeepsNotes):
            faults.append("the store keeps no notes (see KeepsNotes); leave KeyAnnouncer out")
        if faults or not isinstance(sessions.store, KeepsNotes):
            raise ConfigurationError(faults)
        self._sessions = sessions
        self._notes = sessions.store.notes()
        self._issuer = sessions.signer.issuer
        sets = (sessions.signer.keys, secrets, verify_keys)
        self._sets = [keys for keys in sets if keys is not None]
        self._beat_seconds = beat_seconds
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._clock = clock
        self._sleep = sleep
        self._worker = self._text = ""
        self._had: set[str] = set()
        self._starts = ReferenceCount()
        self._last_fault = ""
        self._beats = BackgroundTask("keys", self._beat, events=self._events, sleep=sleep)

    async def start(self) -> None:
        """Announce the keys, and learn which others there are, before the first request."""
        await self._sessions.start()
        self._starts.acquire()
        self._worker = self._worker or _worker_name()
        await self.announce()
        self._beats.start()

    async def close(self) -> None:
        """Stop, and delete the note: this worker does not count any more.

        After as many calls as of `start`, as several middlewares may start one object.
        """
        if not self._worker:
            return
        if self._starts.release():
            await self._beats.close()
            with contextlib.suppress(Unavailable):  # it ends by itself
                await self._notes.drop(KEYS_NOTE, self._worker, self._text)
            self._worker = ""
        await self._sessions.close()

    def listen(self, *hooks: Hook) -> None:
        """Add `hooks`; a hook that is added twice is called once."""
        self._events.add(*hooks)

    async def announce(self) -> None:
        """Write the note once, and read those of the others."""
        kids = self._kids()
        self._had |= kids
        self._text = json.dumps({"issuer": self._issuer, "kids": sorted(kids)[:_MOST_KEYS]})
        seconds = _LASTS_BEATS * self._beat_seconds
        try:
            await self._notes.put(KEYS_NOTE, self._worker, self._text, seconds)
            others = read_announced(await self._notes.read(KEYS_NOTE))
        except Unavailable as error:
            if error.detail != self._last_fault:  # a lasting fault is reported once
                self._last_fault = error.detail
                self._events(KeysNotAnnounced(detail=error.detail))
            return
        self._last_fault = ""
        self._await(others)

    def _kids(self) -> set[str]:
        """Return the ids of the keys that may have signed a token that is still valid, or will."""
        now = self._clock()
        return {
            key.kid
            for keys in self._sets
            for key in keys.keys
            if key.published_until is None or now < key.published_until
        }

    def _await(self, others: Iterable[AnnouncedKeys]) -> None:
        """Answer 503, not 401, for keys that others have and this worker never had."""
        holders = {
            kid: other.worker
            for other in others
            for kid in other.kids
            if other.issuer == self._issuer and kid not in self._had
        }
        awaited = frozenset(sorted(holders)[:_MOST_KEYS])
        before = self._sets[0].awaited
        for keys in self._sets:
            keys.awaited = awaited
        if awaited != before and awaited:
            workers = {holders[kid] for kid in awaited}
            self._events(KeysMissing(keys=tuple(sorted(awaited)), workers=tuple(sorted(workers))))

    async def _beat(self) -> None:
        while True:
            await self._sleep(self._beat_seconds)
            await self.announce()


def read_announced(notes: Mapping[str, Note]) -> list[AnnouncedKeys]:
    """Return what the workers announced, in the order of their names.

    A note with another content, which no worker has written, counts as a worker without keys.
    """
    return [_announced(name, note) for name, note in sorted(notes.items())]


def _announced(name: str, note: Note) -> AnnouncedKeys:
    issuer, kids = "", frozenset[str]()
    with contextlib.suppress(ValueError, RecursionError):
        match json.loads(note.text):
            case {"issuer": str(issuer), "kids": list(found)} if len(found) <= _MOST_KEYS:
                kids = frozenset(kid for kid in found if isinstance(kid, str))
    shown = name if name.isprintable() else ascii(name)  # it is printed on terminals
    return AnnouncedKeys(worker=shown, issuer=issuer, kids=kids, age=note.age)


def _worker_name() -> str:
    host = "".join(c for c in socket.gethostname() if c.isascii() and c.isprintable())[:64]
    return f"{host or 'host'}:{os.getpid()}:{secrets.token_hex(3)}"
