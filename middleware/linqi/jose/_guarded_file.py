"""Files that decide whose tokens count: read only where no one else may write them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from linqi.errors import ConfigurationError

__all__ = ["WritableByOthers", "read_guarded"]

_HAS_MODES: Final = os.name == "posix"
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class WritableByOthers(ConfigurationError):
    """A key file that the group or every user of the machine may write."""


def read_guarded(path: Path) -> bytes:
    """Return what the file holds; `WritableByOthers` where others could have written it.

    Through links the file itself is looked at, as it was opened: the links of a secret that
    Kubernetes mounts are writable by their nature, and the file behind them is not. Windows has no
    such modes. `OSError` as the file system gives it.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if _HAS_MODES and mode & _OTHERS_WRITE:
            raise WritableByOthers(
                [
                    f"{path} can be written by others (mode {mode:04o}), who would decide whose"
                    f" tokens count; chmod go-w {path}"
                ]
            )
        return file.read()
