"""One fetch for all the processes of a machine: snapshots in a private folder, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from linqi.errors import ConfigurationError, FetchFailed, InvalidKey
from linqi.jose._atomic_write import PRIVATE, write_atomically
from linqi.jwks.snapshot import Snapshot

__all__ = ["SharedFile"]

_POLL_SECONDS = 0.02
_MOST_BYTES = 8_388_608


class SharedFile:
    """The snapshot of one issuer in `folder`, which only its owner may write to.

    A folder that is not there is made with mode 0700. What others could have written is not
    believed: it decides whose tokens are.
    """

    def __init__(
        self,
        folder: str | Path,
        issuer: str,
        *,
        wait_seconds: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        try:
            import filelock
        except ModuleNotFoundError:
            raise ConfigurationError(
                ["filelock is not installed; pip install 'linqi[remote]', or leave share away"]
            ) from None
        self.issuer = issuer
        self.fault = ""
        """Why sharing did not work the last time; each process then asks for itself."""
        place = Path(folder)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(place.stat()):
            raise ConfigurationError(
                [f"{folder} belongs to or can be written by others; chmod 700, or another folder"]
            )
        name = hashlib.sha256(issuer.encode()).hexdigest()[:16]
        self._path = place / f"{name}.json"
        # Held by the kernel for the process: a killed one lets go.
        self._lock = filelock.FileLock(place / f"{name}.lock", thread_local=False)
        self._busy = filelock.Timeout
        self._tries = max(1, round(wait_seconds / _POLL_SECONDS))
        self._sleep = sleep

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other process asks this issuer; `FetchFailed` when that takes too long.

        It is held while the issuer is asked, which is the point: the others then find the answer.
        """
        for _ in range(self._tries):
            try:
                self._lock.acquire(blocking=False)
            except self._busy:
                await self._sleep(_POLL_SECONDS)
                continue
            except OSError as error:
                self._note("lock", error)
                yield
                return
            try:
                yield
            finally:
                self._lock.release()
            return
        raise FetchFailed("another process of this machine has been asking the issuer for long")

    async def read(self) -> Snapshot | None:
        """Give the shared snapshot; None when there is none to be believed."""
        return await asyncio.to_thread(self._read)

    async def write(self, snapshot: Snapshot) -> None:
        """Put `snapshot` in the place of the shared one, whole, with mode 0600."""
        try:
            data = snapshot.to_json().encode()
            await asyncio.to_thread(write_atomically, self._path, data, PRIVATE)
            self.fault = ""
        except OSError as error:
            self._note("write", error)

    def _read(self) -> Snapshot | None:
        try:
            with self._path.open("rb") as file:
                if not _is_ours(os.fstat(file.fileno())):
                    self.fault = f"{self._path} belongs to or can be written by others"
                    return None
                snapshot = Snapshot.from_json(file.read(_MOST_BYTES))
        except (FileNotFoundError, InvalidKey):  # broken: the next write mends it
            return None
        except OSError as error:
            self._note("read", error)
            return None
        return snapshot if snapshot.issuer == self.issuer else None

    def _note(self, what: str, error: OSError) -> None:
        self.fault = f"cannot {what} {self._path}: {error.strerror or type(error).__name__}"


def _is_ours(status: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return True  # no such notion there
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o022
