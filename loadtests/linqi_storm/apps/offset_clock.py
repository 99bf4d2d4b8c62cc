"""A wall clock that another process sets: the worker's clock of a host that differs."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Final

__all__ = ["OffsetClock", "set_offset"]

_SECONDS: Final = struct.Struct("<d")


class OffsetClock:
    """Returns Unix seconds, ahead of the machine's clock by what `set_offset` wrote.

    Args:
        path: The file, which `set_offset` created. It is mapped, so that a call reads memory.

    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._offset = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)

    def __call__(self) -> float:
        """Return the time."""
        ahead: float = _SECONDS.unpack_from(self._offset)[0]
        return time.time() + ahead


def set_offset(path: Path, ahead: float) -> None:
    """Set the clocks that read `path` to be `ahead` seconds ahead, negative for behind."""
    path.touch()
    with path.open("r+b") as file:
        file.write(_SECONDS.pack(ahead))
