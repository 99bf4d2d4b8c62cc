"""Files that appear whole: in the place of another, or once for all processes."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PRIVATE", "create_atomically", "write_atomically"]

PRIVATE = 0o600


def write_atomically(path: Path, data: bytes, mode: int) -> None:
    """Write through a file of `mode` beside `path`: a reader sees the old or the new, whole.

    A file that is there keeps its owner, so that a service can still read what root has renewed.
    """
    with _written_beside(path, data, mode, keeps_owner=True) as beside:
        beside.replace(path)


def create_atomically(path: Path, data: bytes, mode: int) -> bool:
    """Write a file of `mode` at `path` unless one is there; return whether it was this call.

    Of processes that do so at once exactly one makes the file: it is written beside and then
    linked, which fails where another was quicker. It is on the disk when this returns. The file
    system must know hard links; `OSError` says so where it does not.
    """
    with _written_beside(path, data, mode) as beside:
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError as error:
            error.add_note(f"{path} cannot be made exclusively: make it once, by `linqi keygen`")
            raise
    _sync_folder(path.parent)
    return True


@contextlib.contextmanager
def _written_beside(
    path: Path, data: bytes, mode: int, *, keeps_owner: bool = False
) -> Iterator[Path]:
    """Provide a file of `mode` beside `path` that holds `data`, on the disk; it is gone after."""
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
    """Have the name on the disk too, where a folder can be opened (not on Windows)."""
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
