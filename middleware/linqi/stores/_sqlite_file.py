"""How a SQLite file is opened: private, with a write-ahead log, by several processes at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["connect"]

_RETRY_SECONDS: Final = 0.01


def connect(
    path: Path,
    timeout: float,
    *,
    synchronous: str,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> sqlite3.Connection:
    """Return a connection to the file `path`, created with mode 0600 if absent.

    Args:
        path: The file.
        timeout: Seconds to wait for other connections.
        synchronous: Whether a commit waits for the disk: ``FULL``, or ``NORMAL`` where it does not.
        monotonic: Returns seconds that never step back.
        sleep: Waits between two attempts to switch to the write-ahead log.

    Raises:
        sqlite3.Error: The file cannot be opened.

    """
    if not path.exists():
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    until = monotonic() + timeout
    try:
        while not _has_log_ahead(connection, is_last=monotonic() >= until):
            sleep(_RETRY_SECONDS)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log_ahead(connection: sqlite3.Connection, *, is_last: bool) -> bool:
    """Switch to the write-ahead log; return False if another connection writes.

    While another one makes the tables of a new file, SQLite answers "database is locked" at once,
    whatever the timeout is: workers that start together would stop the server.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if is_last or (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
