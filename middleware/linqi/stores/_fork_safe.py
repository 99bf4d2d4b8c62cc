"""A connection to a SQLite file that no ``fork`` inherits.

A child that inherits an open connection acts as if it held its parent's locks. Its writes, even
through connections of its own, are then lost once the parent closes the file
(https://www.sqlite.org/howtocorrupt.html, section 2.6). So every connection is closed before a
fork, and opened again by the next use, in the parent and in the child.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["ForkSafeConnection"]

_T = TypeVar("_T")
_logger = logging.getLogger("linqi")
_REPLACED: Final = (
    "the SQLite file %s was deleted or replaced, and is opened anew: what it lacks is lost; if it"
    " is a restored backup, run `linqi store restored`"
)


class ForkSafeConnection:
    """A connection that is opened at its first use, from any thread.

    After an error it is closed, and opened again for the next use: the disk may work again by then.
    So it is where another file took the place of its own, as one that was restored from a backup:
    workers that started before and after that would not see what each other writes.

    Args:
        open_file: Opens the connection.
        in_child: Called in a child of this process after a fork, while it has one thread.

    """

    def __init__(
        self,
        open_file: Callable[[], sqlite3.Connection],
        in_child: Callable[[], None] | None = None,
    ) -> None:
        self._open = open_file
        self._in_child = in_child
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._path = ""
        self._file: tuple[int, int] | None = None
        _open_here.add(self)

    def use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return the result of `work`; a fork waits until it has ended."""
        with self._lock:
            try:
                if self._connection is not None and _file_at(self._path) != self._file:
                    _logger.warning(_REPLACED, self._path)
                    self._drop()
                if self._connection is None:
                    self._connection = self._open()
                    _, _, self._path = self._connection.execute("PRAGMA database_list").fetchone()
                    self._file = _file_at(self._path)
                return work(self._connection)
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Close the connection if it is open."""
        with self._lock:
            self._drop()

    def before_fork(self) -> None:
        """Wait for the current use, close the connection, and keep it closed."""
        self._lock.acquire()
        self._drop()

    def after_fork(self) -> None:
        """Allow uses in the parent again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Create a lock for the child, because the parent's was held during the fork."""
        self._lock = threading.Lock()
        if self._in_child is not None:
            self._in_child()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what tells the file at `path` from another; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Forks:
    """Closes the connections of this process before it forks."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._closed: list[ForkSafeConnection] = []

    def before(self) -> None:
        self._one_at_a_time.acquire()
        self._closed = list(_open_here)
        for held in self._closed:
            held.before_fork()

    def in_parent(self) -> None:
        for held in self._closed:
            held.after_fork()
        self._closed = []
        self._one_at_a_time.release()

    def in_child(self) -> None:
        self._one_at_a_time = threading.Lock()
        for held in self._closed:
            held.after_fork_in_child()
        self._closed = []


_open_here: Final[weakref.WeakSet[ForkSafeConnection]] = weakref.WeakSet()
_forks: Final = _Forks()
# A comparison of process ids would come too late: the connections must be closed before the fork.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_forks.before,
        after_in_parent=_forks.in_parent,
        after_in_child=_forks.in_child,
    )
