"""An HTTP/1.1 connection by the byte, whose writes may fail as those of any client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Self

__all__ = ["Raw"]


class Raw:
    """One connection to a server.

    Not a stream of asyncio: that drops the response when a write fails. Curl reads it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Self]:
        """Open a connection, and hang up after the block."""
        with socket.socket() as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
            yield cls(connection)

    async def send(self, pieces: Sequence[bytes]) -> None:
        """Send `pieces`; that the server has closed is no error."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await self._loop.sock_sendall(self._socket, piece)

    async def response(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Return the status, the headers and the body of the next response.

        Raises:
            EOFError: The server closed instead.

        """
        head = await self.until(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        body = await self._body(headers) if has_body else b""
        return int(line.split()[1]), headers, body

    async def until(self, text: bytes) -> bytes:
        """Return what arrives, up to the end of `text`."""
        while text not in self._buffer:
            await self._more()
        return self._take(self._buffer.index(text) + len(text))

    async def rest(self) -> bytes:
        """Return what arrives until the server closes."""
        with contextlib.suppress(EOFError):
            while True:
                await self._more()
        return self._take(len(self._buffer))

    async def _more(self) -> None:
        try:
            data = await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionError as error:
            raise EOFError(type(error).__name__) from None
        if not data:
            raise EOFError("the server closed")
        self._buffer += data

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]))
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.until(b"\r\n"), 16):
                body += await self._exactly(size)
                await self.until(b"\r\n")
            await self.until(b"\r\n")
        return body
