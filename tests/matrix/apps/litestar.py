"""The application with Litestar."""

from __future__ import annotations

import contextlib
from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, head, post, websocket
from litestar.config.cors import CORSConfig
from litestar.exceptions import WebSocketDisconnect
from litestar.response import File, ServerSentEvent, Stream

from matrix import contract


@get("/me")
async def me(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Answer with the user."""
    return contract.user_of(request.scope)


@head("/me")
async def head_me() -> None:
    """Answer with no body."""


@get("/chunks")
async def chunks(key: str) -> Stream:
    """Stream the parts."""
    return Stream(contract.parts(key))


@get("/sse")
async def sse(key: str) -> ServerSentEvent:
    """Stream the events."""
    return ServerSentEvent(contract.texts(key))


@get("/ticks")
async def ticks(key: str) -> Stream:
    """Stream without end."""
    return Stream(contract.ticks(key))


@get("/file/data.bin")
async def file() -> File:
    """Send the file."""
    return File(contract.DATA)


@post("/upload", status_code=200)
async def upload(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Read the body as it comes."""
    return contract.received(b"".join([chunk async for chunk in request.stream()]))


@get("/fail")
async def fail() -> None:
    """Fail."""
    raise RuntimeError("the application fails")


@post("/closed")
async def closed() -> Response[str]:
    """Refuse without reading the body."""
    headers = {"WWW-Authenticate": contract.CHALLENGE}
    return Response("no", status_code=401, headers=headers, media_type=MediaType.TEXT)


@get("/go")
async def go(key: str) -> dict[str, str]:
    """Hand over."""
    return contract.go(key)


@get("/state")
async def state() -> dict[str, Any]:
    """Answer with what was recorded."""
    return contract.state()


@websocket("/ws")
async def ws(socket: WebSocket[Any, Any, Any]) -> None:
    """Say who is there, and repeat texts."""
    await socket.accept()
    await socket.send_text(str(contract.user_of(socket.scope)["user"]))
    with contextlib.suppress(WebSocketDisconnect):
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
        await socket.close(contract.CLOSE_CODE)


@websocket("/ws-closed")
async def ws_closed(socket: WebSocket[Any, Any, Any]) -> None:
    """Refuse."""
    await socket.close(1008)


app = Litestar(
    [me, head_me, chunks, sse, ticks, file, upload, fail, closed, go, state, ws, ws_closed],
    cors_config=CORSConfig(
        allow_origins=[contract.ORIGIN], allow_methods=["POST"], allow_headers=["authorization"]
    ),
    on_startup=[lambda: contract.stage("startup")],
    on_shutdown=[lambda: contract.stage("shutdown")],
    openapi_config=None,
)
