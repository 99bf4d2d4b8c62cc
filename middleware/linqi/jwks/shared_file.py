"""A snapshot file and lock through which the processes of a machine share one fetch."""

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
    """The snapshot of one issuer in a private folder.

    A file that other users could write is not trusted: it would let them forge tokens.

    Args:
        folder: The folder; it is created with mode 0700 if missing.
        issuer: The issuer whose snapshot it is.
        source: Tells its key sets apart, where it has several.
        wait_seconds: How long `turn` waits for other processes.
        sleep: Waits between two attempts to lock.

    Raises:
        ConfigurationError: filelock is not installed, or other users may write to the folder.

    """

    def __init__(
        self,
        folder: str | Path,
        issuer: str,
        source: str = "",
        *,
        wait_seconds: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        try:
            import filelock
        except ModuleNotFoundError:
            raise ConfigurationError(
                ["filelock is not installed; pip install 'linqi[remote]', or remove share"]
            ) from None
        self.issuer = issuer
        self.fault = ""
        """Why sharing failed the last time; each process then sends its own requests."""
        place = Path(folder)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(place.stat()):
            raise ConfigurationError(
                [
                    f"{folder} belongs to another user or others may write to it; set its mode to"
                    " 0700 or use another folder"
                ]
            )
        name = hashlib.sha256(f"{issuer}\n{source}".encode()).hexdigest()[:16]
        self._path = place / f"{name}.json"
        # The kernel releases the lock of a process that is killed.
        self._lock = filelock.FileLock(place / f"{name}.lock", thread_local=False)
        self._busy = filelock.Timeout
        self._tries = max(1, round(wait_seconds / _POLL_SECONDS))
        self._sleep = sleep

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the lock while this process sends requests; the others then find its snapshot.

        Raises:
            FetchFailed: Another process holds the lock for longer than `wait_seconds`.

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
        raise FetchFailed("another process of this machine has been fetching the keys for too long")

    async def read(self) -> Snapshot | None:
        """Return the shared snapshot; None if it is missing, damaged or not private."""
        return await asyncio.to_thread(self._read)

    async def write(self, snapshot: Snapshot) -> None:
        """Replace the shared snapshot atomically; the file has mode 0600."""
        try:
            data = snapshot.to_json().encode()
            await asyncio.to_thread(write_atomically, self._path, data, PRIVATE)
            self.fault = ""
        except OSError as error:
            self._note("write", error)

    def _read(self) -> Snapshot | None:
        try:
            with self._path.open("rb") as file:
                if not _is_private(os.fstat(file.fileno())):
                    self.fault = f"{self._path} belongs to another user or others may write to it"
                    return None
                snapshot = Snapshot.from_json(file.read(_MOST_BYTES))
        except (FileNotFoundError, InvalidKey):  # a damaged file is replaced by the next write
            return None
        except OSError as error:
            self._note("read", error)
            return None
        return snapshot if snapshot.issuer == self.issuer else None

    def _note(self, what: str, error: OSError) -> None:
        self.fault = f"cannot {what} {self._path}: {error.strerror or type(error).__name__}"


def _is_private(status: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return True  # not a POSIX system
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o022
