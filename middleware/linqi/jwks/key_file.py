"""The keys of a JWKS file that is read again when it changes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias

from linqi._background import BackgroundTask
from linqi._ranges import Range, Ranges, range_faults
from linqi._reference_count import ReferenceCount
from linqi.errors import ConfigurationError, InvalidKey, LinqiError
from linqi.events import Dispatcher, Event, Hook, KeyFileNotRead, KeyFileRead
from linqi.jose.key import ALGORITHMS
from linqi.jose.keys import KeySet

__all__ = ["KeyFile"]

_Stamp: TypeAlias = tuple[int, int, int, int]


class KeyFile:
    """Keys that follow a JWKS file while this runs as one of a middleware's ``services``.

    The file is read again, in a thread, after it was replaced or written. If it cannot be used, the
    keys stay as they are.

    Args:
        path: The file.
        algorithms: The algorithms whose keys are used.
        check_seconds: How often the file is checked for changes; 0.1 to 3,600, default 5.
        hooks: Receive `KeyFileRead` and `KeyFileNotRead`.
        sleep: Waits between two checks.

    Raises:
        OSError: The file cannot be read at construction.
        ConfigurationError: Its content or `check_seconds` is invalid.

    """

    RANGES: ClassVar[Ranges] = {"check_seconds": Range(0.1, 3600, "seconds")}

    def __init__(
        self,
        path: str | Path,
        algorithms: Sequence[str] = ALGORITHMS,
        *,
        check_seconds: float = 5.0,
        hooks: Sequence[Hook] = (),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if faults := range_faults(self.RANGES, {"check_seconds": check_seconds}):
            raise ConfigurationError(faults)
        self._path = Path(path)
        self._algorithms = tuple(algorithms)
        self._check_seconds = check_seconds
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._sleep = sleep
        self._stamp = _stamp(self._path)
        self.keys = KeySet.load(self._path, self._algorithms)
        """The key set to sign and verify with; always the same object."""
        self._last_fault = ""
        self._starts = ReferenceCount()
        self._follower = BackgroundTask(
            f"follower of {self._path}", self._follow, events=self._events, sleep=sleep
        )

    async def start(self) -> None:
        """Start the checks on the running event loop; further calls only count."""
        self._starts.acquire()
        self._follower.start()

    async def close(self) -> None:
        """Stop the checks after as many calls as of `start`; the keys stay."""
        if self._starts.release():
            await self._follower.close()

    def listen(self, *hooks: Hook) -> None:
        """Add `hooks`; a hook that is added twice is called once."""
        self._events.add(*hooks)

    async def read(self) -> None:
        """Read the file if it has changed since the last check."""
        try:
            stamp = await asyncio.to_thread(_stamp, self._path)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            read = await asyncio.to_thread(KeySet.load, self._path, self._algorithms)
            self._take(read)
            self._last_fault = ""
        except (LinqiError, OSError) as error:
            if str(error) != self._last_fault:  # a lasting fault is reported once
                self._last_fault = str(error)
                self._events(KeyFileNotRead(path=str(self._path), detail=str(error)))

    async def _follow(self) -> None:
        while True:
            await self._sleep(self._check_seconds)
            await self.read()

    def _take(self, read: KeySet) -> None:
        if any(key.can_sign for key in self.keys.keys):
            read.signing_key()  # raises for a public set, with which every sign-in would fail
        if (read.keys[0].kty == "oct") != (self.keys.keys[0].kty == "oct"):
            raise InvalidKey("the file holds secrets in place of asymmetric keys, or the reverse")
        before = {key.kid for key in self.keys.keys}
        after = {key.kid for key in read.keys}
        self.keys.replace(read.keys)
        self._events(
            KeyFileRead(
                path=str(self._path),
                keys=len(after),
                added=tuple(sorted(after - before)),
                removed=tuple(sorted(before - after)),
            )
        )


def _stamp(path: Path) -> _Stamp:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
