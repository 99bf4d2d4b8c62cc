"""``app``: what a server of the matrix loads.

``MATRIX_APP`` names the framework, ``MATRIX_FOLDER`` the folder of ``linqi.toml``, and with
``MATRIX_WRAPPED`` the application is wrapped. It is also mounted at ``/below``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from linqi.config import wrap
from matrix.contract import FOLDER

BELOW = "/below"


class Mounted:
    """An application at ``/`` and at ``/below``, as Starlette's ``Mount`` calls it there."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application; ``path`` contains ``root_path`` (ASGI HTTP, connection scope)."""
        if scope.get("path", "").startswith(f"{BELOW}/"):
            scope = {**scope, "root_path": scope.get("root_path", "") + BELOW}
        await self._app(scope, receive, send)


_framework = importlib.import_module(f"matrix.apps.{os.environ['MATRIX_APP']}").app
_is_wrapped = bool(os.environ.get("MATRIX_WRAPPED"))
app = Mounted(wrap(_framework, FOLDER / "linqi.toml") if _is_wrapped else _framework)
