"""Error messages about a SQLite file: its path, and the cause or the remedy where one is known."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, TypeVar

from linqi.errors import Unavailable

__all__ = ["explained", "in_time", "unavailable"]

_T = TypeVar("_T")
_OF_THE_FOLDER: Final = frozenset({"CANTOPEN", "READONLY", "PERM", "IOERR", "AUTH"})
"""Errors that the folder's permissions may cause: SQLite creates files beside the named one."""
_OF_THE_CONTENT: Final = frozenset({"NOTADB", "CORRUPT"})


async def in_time(waited: Awaitable[_T], path: Path, seconds: float) -> _T:
    """Return what `waited` gives within `seconds`.

    Raises:
        Unavailable: It took longer, or SQLite raised; the message names the file `path`.

    """
    try:
        async with asyncio.timeout(seconds):
            return await waited
    except (TimeoutError, sqlite3.Error) as error:
        raise unavailable(path, seconds, error) from error


def unavailable(path: Path, seconds: float, error: TimeoutError | sqlite3.Error) -> Unavailable:
    """Return the error of an operation on the file `path` that failed, or took `seconds`."""
    if isinstance(error, sqlite3.Error):
        return Unavailable(explained(path, error))
    return Unavailable(f"SQLite file {path} took more than {seconds:g} s")


def explained(path: Path, error: sqlite3.Error) -> str:
    """Return SQLite's message with the file, and the cause or the remedy where one is known."""
    said = f"SQLite file {path}: {error}"
    name = getattr(error, "sqlite_errorname", None) or ""  # as SQLITE_CANTOPEN_ISDIR
    kind = name.removeprefix("SQLITE_").split("_")[0]
    if kind in _OF_THE_FOLDER:
        return f"{said}; {_mode_of(path.absolute().parent)}"
    if kind in _OF_THE_CONTENT:
        return f"{said}; restore a backup of it, or name another file, which is then made"
    return said


def _mode_of(folder: Path) -> str:
    try:
        found = folder.stat()
    except OSError as error:
        return f"the folder {folder} cannot be used: {error.strerror}"
    return (
        f"the folder {folder} has mode {stat.S_IMODE(found.st_mode):04o} and belongs to user"
        f" {found.st_uid}, this process runs as user {_user()}; SQLite must be able to make files"
        " in it"
    )


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else "unknown"
