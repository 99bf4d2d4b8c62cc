"""The files that results are written to, checked before a measurement begins."""

from __future__ import annotations

import os
from pathlib import Path

from linqi.errors import ConfigurationError

__all__ = ["check_writable"]


def check_writable(*paths: Path | None) -> None:
    """Check that results can be written, before the minutes that it takes to measure them.

    Args:
        paths: The files; None for one that is not wanted.

    Raises:
        ConfigurationError: A file or its folder is not writable, or the folder does not exist.

    """
    faults = [fault for path in paths if path is not None and (fault := _fault_of(path))]
    if faults:
        raise ConfigurationError(faults)


def _fault_of(path: Path) -> str:
    if path.is_dir():
        return f"{path} cannot be written: it is a folder"
    if path.exists():
        return "" if os.access(path, os.W_OK) else f"{path} cannot be written: it is read-only"
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"{path} cannot be written: the folder {folder} does not exist"
    if not os.access(folder, os.W_OK):
        return f"{path} cannot be written: the folder {folder} is not writable"
    return ""
