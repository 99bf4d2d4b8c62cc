"""The rest of the body of a refused request, read within bounds."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from linqi.asgi._http import Message, Receive, Scope

__all__ = ["Drain", "RequestBody"]

_BODY_FIELDS: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_CLOSE: Final = ((b"connection", b"close"),)


class RequestBody:
    """The body of one request.

    Attributes:
        is_read: Whether the body was read to its end.

    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_read = False

    async def receive(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self.is_read = message["type"] != "http.request" or not message.get("more_body", False)
        return message


class Drain:
    """Reads the small rest of a refused request, so that the client receives the response.

    A server that gets a complete response while the client still sends closes the connection, and
    the client sees a reset instead of the 401 (hypercorn, granian); on hypercorn's HTTP/2 the
    other requests of that connection are lost with it. A larger declared length and ``Expect:
    100-continue`` are not read at all: these requests are refused at once.

    Args:
        most_bytes: How many bytes of one body are read.
        seconds: For how long one body is read.
        at_once: For how many requests bodies are read at the same time.

    """

    def __init__(
        self, *, most_bytes: int = 65_536, seconds: float = 0.25, at_once: int = 100
    ) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._at_once = at_once
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive) -> tuple[tuple[bytes, bytes], ...]:
        """Read the rest of a request that is about to be refused.

        Returns:
            The headers to add to the response: on HTTP/1.1 ``Connection: close`` if the body was
            not read to its end, otherwise none.

        """
        version: str = scope.get("http_version", "1.1")
        declared = _declared(scope, version)
        if declared == 0:
            return ()
        if declared <= self._most_bytes and self._running < self._at_once:
            self._running += 1
            try:
                if await self._read(receive):
                    return ()
            finally:
                self._running -= 1
        return _CLOSE if version.startswith("1") else ()

    async def _read(self, receive: Receive) -> bool:
        """Return whether the body ended within the bounds."""
        left = self._most_bytes
        try:
            async with asyncio.timeout(self._seconds):
                while left >= 0:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return True
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return False
        return False


def _declared(scope: Scope, version: str) -> float:
    """Return the declared length in bytes: 0 for no body, 1 where no length is declared."""
    declared = 0.0 if version.startswith("1") else 1.0  # on HTTP/2 a body needs no header
    for name, value in scope["headers"]:
        if name in _BODY_FIELDS:
            if name == b"expect":
                return math.inf
            is_length = value.isdigit() and len(value) < 19 and name == b"content-length"
            most = float(value) if is_length else 1.0 if name == b"transfer-encoding" else math.inf
            declared = max(declared, most)
    return declared
