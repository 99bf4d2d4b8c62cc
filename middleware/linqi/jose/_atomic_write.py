"""Atomic writes: a file replaces another, or is created once by all processes."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PRIVATE", "create_atomically", "write_atomically"]

PRIVATE = 0o600


def write_atomically(path: str | Path, data: bytes, mode: int) -> None:
    """Replace the file at `path` by one with `data` and `mode`; readers see the old or the new.

    The owner of an existing file is kept, so that a service can read a file that root replaced.
    """
    with _written_beside(Path(path), data, mode, keeps_owner=True) as beside:
        beside.replace(path)


def create_atomically(path: str | Path, data: bytes, mode: int) -> bool:
    """Create a file at `path` with `data` and `mode` if there is none; return whether it did.

    If several processes do so at once, exactly one creates the file: a temporary file is linked to
    `path`, which fails if `path` exists. The file is on the disk when this returns.

    Raises:
        OSError: The file cannot be written, or the file system has no hard links.

    """
    with _written_beside(Path(path), data, mode) as beside:
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError as error:
            error.add_note(
                f"{path} cannot be created exclusively: create it once, with `linqi keygen`"
            )
            raise
    _sync_folder(Path(path).parent)
    return True


@contextlib.contextmanager
def _written_beside(
    path: Path, data: bytes, mode: int, *, keeps_owner: bool = False
) -> Iterator[Path]:
    """Provide a temporary file beside `path` with `data`, on the disk; it is removed afterwards."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if keeps_owner:
                _keep_owner(path, handle)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _sync_folder(folder: Path) -> None:
    """Write the folder's entry to the disk too, where a folder can be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _keep_owner(path: Path, handle: int) -> None:
    if not hasattr(os, "fchown"):
        return
    with contextlib.suppress(FileNotFoundError):
        before, after = path.stat(), os.fstat(handle)
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            os.fchown(handle, before.st_uid, before.st_gid)
