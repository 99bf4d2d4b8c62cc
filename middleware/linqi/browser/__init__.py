"""The browser client: an ES module to serve with an application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["FOLDER"]

FOLDER: Final = Path(__file__).parent
"""The folder of ``linqi.js``, its types and its ``package.json``; serve it, for example with
``StaticFiles(directory=FOLDER)``, or install it with npm."""
