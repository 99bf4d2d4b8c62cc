"""What a worker's process uses: files, threads, and time in which it waited for a core."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Final

__all__ = ["CoreWait", "open_files", "waited_by_all_threads"]

_DESCRIPTORS: Final = next(
    (path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), ""
)
_TASKS: Final = Path("/proc/self/task")


class CoreWait:
    """How long the calling thread was ready to run and waited for a core.

    Linux counts it (``/proc/PID/task/TID/schedstat``). Where it is not counted, it is 0: what is
    measured as the worker's own delay then includes that of a busy machine.
    """

    def __init__(self) -> None:
        self._file = -1
        place = _TASKS / str(threading.get_native_id()) / "schedstat"
        if place.exists():
            self._file = os.open(place, os.O_RDONLY | os.O_CLOEXEC)

    def seconds(self) -> float:
        """Return the seconds since the thread was started."""
        return 0.0 if self._file < 0 else _waited(os.pread(self._file, 96, 0))

    def close(self) -> None:
        """Close the file of the kernel."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def waited_by_all_threads() -> float:
    """Return the seconds that all threads of the process waited for a core since their start."""
    total = 0.0
    try:
        tasks = [*_TASKS.iterdir()]
    except OSError:
        return total
    for task in tasks:
        try:
            total += _waited((task / "schedstat").read_bytes())
        except OSError:
            continue  # it has ended, or nothing is counted
    return total


def _waited(line: bytes) -> float:
    fields = line.split()
    return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0


def open_files() -> int:
    """Return the number of open descriptors that are no sockets: those depend on the load."""
    if not _DESCRIPTORS:
        return 0
    count = 0
    for name in os.listdir(_DESCRIPTORS):
        try:
            count += not stat.S_ISSOCK(os.fstat(int(name)).st_mode)
        except OSError:
            continue  # the listing's own, or closed since
    return count
