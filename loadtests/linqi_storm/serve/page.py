"""The demo page of ``linqi serve``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linqi import RenewalSettings
from linqi.browser import FOLDER

__all__ = ["PAGE_PATHS", "page_routes"]

_HERE: Final = Path(str(files("linqi_storm.serve"))) / "page"
_FILES: Final = {
    "/": (_HERE / "index.html", "text/html; charset=utf-8"),
    "/page.css": (_HERE / "page.css", "text/css; charset=utf-8"),
    "/page.js": (_HERE / "page.js", "text/javascript; charset=utf-8"),
    "/ring.js": (_HERE / "ring.js", "text/javascript; charset=utf-8"),
    "/icon.svg": (_HERE / "icon.svg", "image/svg+xml"),
    "/linqi.js": (FOLDER / "linqi.js", "text/javascript; charset=utf-8"),
}
_SETTINGS: Final = "/settings.json"
PAGE_PATHS: Final = (*_FILES, _SETTINGS)
"""Paths that need no token."""
_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page_routes(settings: RenewalSettings) -> list[Route]:
    """Return the routes of the page's files, each with a strict Content-Security-Policy.

    A successor in a header does not say when it is due: the page is told the buffer.
    """

    async def buffer(request: Request) -> Response:
        return JSONResponse({"buffer_seconds": settings.buffer}, headers=_HEADERS)

    files = [Route(path, _file, methods=["GET"]) for path in _FILES]
    return [*files, Route(_SETTINGS, buffer, methods=["GET"])]


async def _file(request: Request) -> Response:
    path, kind = _FILES[request.url.path]
    return Response(path.read_bytes(), media_type=kind, headers=_HEADERS)
