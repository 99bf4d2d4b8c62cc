"""The browser's half of near expiry: an ES module to serve beside an application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["FOLDER"]

FOLDER: Final = Path(__file__).parent
"""Holds ``linqi.js``, its types and its ``package.json``; serve the module as it is, say with
``StaticFiles(directory=FOLDER)``, or install the folder with npm."""
