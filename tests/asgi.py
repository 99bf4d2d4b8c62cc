"""ASGI by hand: scopes to send, applications to wrap, and what came back."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import uvicorn

from linqi import JWTMiddleware

Headers = list[tuple[bytes, bytes]]


def http(
    path: str = "/me",
    *,
    token: str | None = None,
    method: str = "GET",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return an HTTP scope, with a bearer token if there is one."""
    bearer = [(b"authorization", b"Bearer " + token.encode())] if token is not None else []
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"api.test"), *bearer, *headers],
    } | more


class Answer:
    """What an application sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def send(self, message: Any) -> None:
        """Take a message."""
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status of the one response start."""
        (start,) = [m for m in self.messages if m["type"] == "http.response.start"]
        return int(start["status"])

    @property
    def headers(self) -> Headers:
        """The headers of the response, names in lower case."""
        return [(name.lower(), value) for name, value in self.messages[0]["headers"]]

    def header(self, name: str) -> str | None:
        """Return the value of a header that the response has at most once."""
        values = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def successor(self) -> str | None:
        """The token in X-Refresh-Token."""
        return self.header("x-refresh-token")


class App:
    """An application that sends a fixed response and records the scopes it received."""

    def __init__(self, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status = status
        self.headers = [*headers]
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with the status and headers."""
        self.scopes.append(scope)
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": b"done"})


async def subject_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the subject; the lifespan has nothing to do."""
    if scope["type"] == "lifespan":
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["linqi"].subject.encode()})


async def nothing() -> dict[str, Any]:
    """Receive an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def call(app: JWTMiddleware | Any, scope: dict[str, Any]) -> Answer:
    """Run `app` on one scope."""
    answer = Answer()
    await app(scope, nothing, answer.send)
    return answer


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve `app` on real uvicorn on a free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="error", ws="websockets-sansio")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task
