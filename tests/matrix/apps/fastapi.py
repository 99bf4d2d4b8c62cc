"""The application with FastAPI."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from matrix import contract


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Record both stages."""
    contract.stage("startup")
    yield
    contract.stage("shutdown")


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    CORSMiddleware,
    allow_origins=[contract.ORIGIN],
    allow_methods=["POST"],
    allow_headers=["authorization"],
)


@app.api_route("/me", methods=["GET", "HEAD"])
async def me(request: Request) -> dict[str, Any]:
    """Answer with the user."""
    return contract.user_of(request.scope)


@app.get("/chunks")
async def chunks(key: str) -> Response:
    """Stream the parts."""
    return StreamingResponse(contract.parts(key))


@app.get("/sse", response_class=EventSourceResponse)
async def sse(key: str) -> AsyncIterator[ServerSentEvent]:
    """Stream the events."""
    async for text in contract.texts(key):
        yield ServerSentEvent(raw_data=text)


@app.get("/ticks")
async def ticks(key: str) -> Response:
    """Stream without end."""
    return StreamingResponse(contract.ticks(key))


@app.get("/file/data.bin")
async def file() -> Response:
    """Send the file."""
    return FileResponse(contract.DATA)


@app.post("/upload")
async def upload(request: Request) -> dict[str, Any]:
    """Read the body as it comes."""
    return contract.received(b"".join([chunk async for chunk in request.stream()]))


@app.get("/fail")
async def fail() -> None:
    """Fail."""
    raise RuntimeError("the application fails")


@app.post("/closed")
async def closed() -> Response:
    """Refuse without reading the body."""
    return Response("no", 401, {"WWW-Authenticate": contract.CHALLENGE})


@app.get("/go")
async def go(key: str) -> dict[str, str]:
    """Hand over."""
    return contract.go(key)


@app.get("/state")
async def state() -> dict[str, Any]:
    """Answer with what was recorded."""
    return contract.state()


@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    """Say who is there, and repeat texts."""
    await socket.accept()
    await socket.send_text(str(contract.user_of(socket.scope)["user"]))
    with contextlib.suppress(WebSocketDisconnect):
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
        await socket.close(contract.CLOSE_CODE)


@app.websocket("/ws-closed")
async def ws_closed(socket: WebSocket) -> None:
    """Refuse."""
    await socket.close(1008)
