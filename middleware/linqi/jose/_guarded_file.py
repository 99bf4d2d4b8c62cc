"""Key files, read only if no other user may write them: they decide which tokens are trusted."""

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
    """A key file that its group or every user of the machine may write."""


def read_guarded(path: str | Path) -> bytes:
    """Return the content of the file at `path`.

    The mode of the opened file counts, not that of links to it: Kubernetes mounts a secret as
    links, which every user may write, to a file that only its owner may. Windows has no such modes.

    Raises:
        WritableByOthers: The group or others may write the file.
        OSError: It cannot be read.

    """
    with Path(path).open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if _HAS_MODES and mode & _OTHERS_WRITE:
            raise WritableByOthers(
                [
                    f"{path} can be written by others (mode {mode:04o}), who would decide whose"
                    f" tokens count; chmod go-w {path}"
                ]
            )
        return file.read()
