"""Import what users name as ``module:member``: their application, their scenario."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

__all__ = ["import_here"]


def import_here(module: str) -> ModuleType:
    """Import a module, which may be a file of the current folder; `ImportError` if that fails.

    The command ``linqi``, unlike ``python -m linqi``, has that folder not in its path.
    """
    if sys.path[:1] != [os.getcwd()]:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(module)
