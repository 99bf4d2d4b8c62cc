"""Files that are replaced whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["PRIVATE", "write_whole"]

PRIVATE = 0o600


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Write through a file of `mode` beside `path`: a reader sees the old or the new, whole.

    A file that is there keeps its owner, so that a service can still read what root has renewed.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            _keep_owner(path, handle)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _keep_owner(path: Path, handle: int) -> None:
    if not hasattr(os, "fchown"):
        return
    with contextlib.suppress(FileNotFoundError):
        before, after = path.stat(), os.fstat(handle)
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            os.fchown(handle, before.st_uid, before.st_gid)
