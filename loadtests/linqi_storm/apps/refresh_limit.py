"""A limit of refreshes per second, as a gateway in front of a service has one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RefreshLimit"]

_BODY: Final = b'{"error": "slow_down"}'
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_BODY)).encode("ascii")),
    (b"cache-control", b"no-store"),
    (b"retry-after", b"1"),
]


class RefreshLimit:
    """Answers 429 with ``Retry-After: 1`` to refreshes above a rate; a second's worth may burst.

    Args:
        app: Serves all other requests.
        path: Of the refresh endpoint.
        per_second: The rate.
        clock: Returns seconds.

    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._path = path
        self._rate = self._left = per_second
        self._clock = clock
        self._at = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or scope["path"] != self._path or self._has_room():
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 429, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})

    def _has_room(self) -> bool:
        now = self._clock()
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
