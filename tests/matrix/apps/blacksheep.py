"""The application with BlackSheep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from blacksheep import Application, Content, Request, Response, StreamedContent, WebSocket
from blacksheep.server.responses import file as file_response
from blacksheep.server.responses import json
from blacksheep.server.sse import ServerSentEventsResponse, TextServerSentEvent
from blacksheep.server.websocket import WebSocketDisconnectError

from matrix import contract

app = Application()
app.use_cors(allow_origins=contract.ORIGIN, allow_methods="GET POST", allow_headers="Authorization")


@app.on_start
async def startup(_: Application) -> None:
    """Record the stage."""
    contract.stage("startup")


@app.on_stop
async def shutdown(_: Application) -> None:
    """Record the stage."""
    contract.stage("shutdown")


@app.router.get("/me")
async def me(request: Request) -> Response:
    """Answer with the user."""
    return json(contract.user_of(request.scope))


@app.router.head("/me")
async def head_me(request: Request) -> Response:
    """Answer with no body."""
    return Response(200)


def key_of(request: Request) -> str:
    """Return the key of a stream."""
    return str(request.query["key"][0])


def streamed(parts: AsyncIterator[bytes]) -> Response:
    """Return a response that sends `parts`."""

    async def content() -> AsyncIterator[bytes]:
        async for part in parts:
            yield part

    return Response(200, content=StreamedContent(b"text/plain", content))


@app.router.get("/chunks")
async def chunks(request: Request) -> Response:
    """Stream the parts."""
    return streamed(contract.parts(key_of(request)))


@app.router.get("/sse")
async def sse(request: Request) -> Response:
    """Stream the events."""
    key = key_of(request)

    async def events() -> AsyncIterator[Any]:
        async for text in contract.texts(key):
            yield TextServerSentEvent(text)

    return ServerSentEventsResponse(events)


@app.router.get("/ticks")
async def ticks(request: Request) -> Response:
    """Stream without end."""
    return streamed(contract.ticks(key_of(request)))


@app.router.get("/file/data.bin")
async def file(_: Request) -> Response:
    """Send the file."""
    return file_response(str(contract.DATA), "application/octet-stream")


@app.router.post("/upload")
async def upload(request: Request) -> Response:
    """Read the body as it comes."""
    return json(contract.received(b"".join([chunk async for chunk in request.stream()])))


@app.router.get("/fail")
async def fail(_: Request) -> Response:
    """Fail."""
    raise RuntimeError("the application fails")


@app.router.post("/closed")
async def closed(_: Request) -> Response:
    """Refuse without reading the body."""
    challenge = (b"WWW-Authenticate", contract.CHALLENGE.encode())
    return Response(401, [challenge], Content(b"text/plain", b"no"))


@app.router.get("/go")
async def go(request: Request) -> Response:
    """Hand over."""
    return json(contract.go(key_of(request)))


@app.router.get("/state")
async def state(_: Request) -> Response:
    """Answer with what was recorded."""
    return json(contract.state())


@app.router.ws("/ws")
async def ws(socket: WebSocket) -> None:
    """Say who is there, and repeat texts."""
    await socket.accept()
    await socket.send_text(str(contract.user_of(socket.scope)["user"]))
    try:
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
        await socket.close(contract.CLOSE_CODE)
    except WebSocketDisconnectError:
        pass


@app.router.ws("/ws-closed")
async def ws_closed(socket: WebSocket) -> None:
    """Refuse."""
    await socket.close(1008)
