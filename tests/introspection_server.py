"""An introspection endpoint on a loopback port that answers, lies or hangs as it is told."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from linqi import Introspection

Respond = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the endpoint received."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


def response(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return an HTTP response with `body`."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def answered(claims: Mapping[str, Any]) -> bytes:
    """Return the response with an introspection answer."""
    return response(json.dumps(claims).encode(), headers="content-type: application/json\r\n")


@dataclass
class IntrospectionServer:
    """A server with answers by token; `respond` may be replaced to misbehave."""

    url: str = ""
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    respond: Respond | None = None
    sources: list[Introspection] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def tokens(self) -> list[str]:
        """Return the tokens that it was asked about, in order."""
        return [one.form["token"] for one in self.asked]

    async def answer(self, token: str) -> bytes:
        """Return what an honest server says."""
        return answered(self.answers.get(token, {"active": False}))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        # A cancellation that left a task of a connection would be logged as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                method, path, _ = first.split(" ")
                headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                form = {k: v[0] for k, v in parse_qs(body.decode(), strict_parsing=True).items()}
                self.asked.append(Asked(method, path, headers, form))
                self.running += 1
                self.most_running = max(self.most_running, self.running)
                try:
                    writer.write(await (self.respond or self.answer)(form["token"]))
                finally:
                    self.running -= 1
                await writer.drain()


def basic(user: str, password: str) -> str:
    """Return the header of the basic scheme for values without characters to encode."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.asynccontextmanager
async def introspecting() -> AsyncIterator[IntrospectionServer]:
    """Run an `IntrospectionServer` on the running event loop."""
    made = IntrospectionServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{port}/introspect"
    try:
        yield made
    finally:
        for source in made.sources:
            await source.close()
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
