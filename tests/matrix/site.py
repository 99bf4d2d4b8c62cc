"""One served application, as its clients see it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import websockets

from linqi.config import build, load
from matrix.http2 import Connection, Socket
from matrix.servers import Server

__all__ = [
    "HandshakeRefused",
    "Site",
    "Tokens",
    "WrongAnswer",
    "client_of",
    "expect",
    "expect_in",
    "new_key",
]

SECONDS = 20.0
"""What a check may wait for any one thing."""
_QUIET_SECONDS = 120.0


class WrongAnswer(Exception):
    """What a check saw, and what it should have seen."""


def expect(seen: object, wanted: object, what: str) -> None:
    """Raise `WrongAnswer` unless `seen` is `wanted`."""
    if seen != wanted:
        raise WrongAnswer(f"{what}: {seen!r} instead of {wanted!r}")


def expect_in(seen: object, allowed: tuple[object, ...], what: str) -> None:
    """Raise `WrongAnswer` unless `seen` is one of `allowed`."""
    if seen not in allowed:
        raise WrongAnswer(f"{what}: {seen!r} is none of {allowed!r}")


class Tokens:
    """Tokens of the service whose settings are in `file`."""

    def __init__(self, file: Path) -> None:
        self._age = 0.0
        components = build(load(file), clock=lambda: time.time() - self._age)
        assert components.renewal is not None
        self._renewal = components.renewal
        self._verifier = components.verifier
        self._verifier.schedule(self._renewal.settings)

    def fresh(self, user: str = "alice") -> str:
        """Return a token that was just issued."""
        return self._aged(0, user)

    def near_expiry(self) -> str:
        """Return a token that the next response replaces."""
        return self._aged(self._renewal.settings.lifetime - 200)

    def ending(self, seconds: float) -> str:
        """Return a token that expires in `seconds`; in the past if that is negative."""
        return self._aged(self._renewal.settings.lifetime - seconds)

    def _aged(self, seconds: float, user: str = "alice") -> str:
        """Return the first token of a session that began before `seconds`.

        No point of the session's grid is near: it would renew a token in the middle of a check.
        """
        self._age = seconds
        period = self._renewal.settings.lifetime - self._renewal.settings.buffer
        while True:
            token = self._renewal.start(user).token
            due_in = self._verifier.verify(token).due_at - time.time()
            if due_in % period > _QUIET_SECONDS:
                return token


@dataclass(frozen=True, kw_only=True)
class Site:
    """The application of one framework on one server, wrapped or not.

    Attributes:
        server: The server, and the protocol.
        port: Of the server.
        is_wrapped: Whether linqi is in front of the application.
        lifespan: The file in which the application records its start and its shutdown.
        tokens: Tokens that it accepts.
        http: A client with connections that it keeps.
        patience: For how many seconds a stream may go on after its client.

    """

    server: Server
    port: int
    is_wrapped: bool
    lifespan: Path
    tokens: Tokens
    http: httpx.AsyncClient
    patience: float = SECONDS / 2

    def new_client(self) -> httpx.AsyncClient:
        """Return a client with no connection yet."""
        return client_of(self.server, self.port)

    @property
    def user(self) -> str | None:
        """Who the application sees behind `caller`."""
        return "alice" if self.is_wrapped else None

    def caller(self, token: str | None = None) -> dict[str, str]:
        """Return the headers of a request with `token`, a fresh one by default."""
        if not self.is_wrapped:
            return {}
        return {"authorization": f"Bearer {self.tokens.fresh() if token is None else token}"}

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        """Send a GET request."""
        return await self.http.get(path, headers=self.caller(token))

    async def state(self) -> dict[str, Any]:
        """Return what the application recorded."""
        answer = await self.http.get("/state")
        expect(answer.status_code, 200, "status of /state")
        recorded: dict[str, Any] = answer.json()
        return recorded

    async def ends(self, key: str) -> None:
        """Wait until the application has stopped the stream `key`."""
        try:
            async with asyncio.timeout(self.patience):
                while key in (await self.state())["running"]:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise WrongAnswer("the application still sends to a client that is gone") from None

    @contextlib.asynccontextmanager
    async def socket(self, path: str, token: str | None) -> AsyncIterator[_Socket]:
        """Open a WebSocket: on a stream of HTTP/2 if the server has that, as browsers do.

        Raises:
            HandshakeRefused: The server answered with another status.

        """
        headers = {} if token is None else self.caller(token)
        if self.server.is_http2:
            async with Connection.open(self.port) as connection:
                if connection.has_sockets:
                    version = [("sec-websocket-version", "13"), *headers.items()]
                    stream = await connection.request("CONNECT", path, version, has_body=True)
                    await connection.until(lambda: stream.status or stream.reset is not None)
                    if stream.status != 200:
                        raise HandshakeRefused(stream.status, stream.headers)
                    yield Socket(connection, stream)
                    return
        try:
            async with websockets.connect(
                f"ws://127.0.0.1:{self.port}{path}",
                additional_headers=headers,
                open_timeout=SECONDS,
                close_timeout=2,
                proxy=None,
            ) as socket:
                yield _Http1Socket(socket)
        except websockets.InvalidStatus as error:
            answer = error.response
            given = {name.lower(): value for name, value in answer.headers.raw_items()}
            raise HandshakeRefused(answer.status_code, given) from None


class HandshakeRefused(WrongAnswer):
    """The response to a WebSocket handshake that was not accepted."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(f"the handshake was answered with {status}")
        self.status = status
        self.headers = headers


class _Http1Socket:
    """A WebSocket on a connection of its own."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send a text."""
        await self._socket.send(text)

    async def next(self) -> str | int:
        """Return the next text, or the code of the close: 1006 if there is none."""
        try:
            return str(await self._socket.recv())
        except websockets.ConnectionClosed as closed:
            return 1006 if closed.rcvd is None else closed.rcvd.code


_Socket = Socket | _Http1Socket


def client_of(server: Server, port: int) -> httpx.AsyncClient:
    """Return a client that speaks the protocol of `server`."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        http1=not server.is_http2,
        http2=server.is_http2,
        timeout=30,
        trust_env=False,
        limits=httpx.Limits(keepalive_expiry=0.5),  # well before any server closes it
    )


def new_key() -> str:
    """Return a name for a stream."""
    return uuid.uuid4().hex
