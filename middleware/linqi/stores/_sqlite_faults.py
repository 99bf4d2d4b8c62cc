"""What went wrong with a SQLite file, with its path and the rights of its folder."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

__all__ = ["explained"]

_OF_THE_FOLDER: Final = frozenset({"CANTOPEN", "READONLY", "PERM", "IOERR", "AUTH"})
"""Errors that the folder's rights may cause: SQLite makes files beside the one that is named."""


def explained(path: Path, error: sqlite3.Error) -> str:
    """Return what SQLite says, of which file, and what its folder allows where that may be why."""
    said = f"SQLite file {path}: {error}"
    name = getattr(error, "sqlite_errorname", None) or ""  # as SQLITE_CANTOPEN_ISDIR
    if name.removeprefix("SQLITE_").split("_")[0] not in _OF_THE_FOLDER:
        return said
    return f"{said}; {_right_of(path.absolute().parent)}"


def _right_of(folder: Path) -> str:
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
