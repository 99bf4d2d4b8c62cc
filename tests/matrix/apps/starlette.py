"""The application with Starlette."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from matrix import contract


@contextlib.asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Record both stages."""
    contract.stage("startup")
    yield
    contract.stage("shutdown")


async def me(request: Request) -> Response:
    """Answer with the user."""
    return JSONResponse(contract.user_of(request.scope))


async def chunks(request: Request) -> Response:
    """Stream the parts."""
    return StreamingResponse(contract.parts(request.query_params["key"]))


async def sse(request: Request) -> Response:
    """Stream the events; Starlette has no class for them."""
    stream = contract.events(request.query_params["key"])
    return StreamingResponse(stream, media_type="text/event-stream")


async def ticks(request: Request) -> Response:
    """Stream without end."""
    return StreamingResponse(contract.ticks(request.query_params["key"]))


async def file(_: Request) -> Response:
    """Send the file."""
    return FileResponse(contract.DATA)


async def upload(request: Request) -> Response:
    """Read the body as it comes."""
    body = b"".join([chunk async for chunk in request.stream()])
    return JSONResponse(contract.received(body))


async def fail(_: Request) -> Response:
    """Fail."""
    raise RuntimeError("the application fails")


async def closed(_: Request) -> Response:
    """Refuse without reading the body."""
    return Response("no", 401, {"WWW-Authenticate": contract.CHALLENGE})


async def go(request: Request) -> Response:
    """Hand over."""
    return JSONResponse(contract.go(request.query_params["key"]))


async def state(_: Request) -> Response:
    """Answer with what was recorded."""
    return JSONResponse(contract.state())


async def ws(socket: WebSocket) -> None:
    """Say who is there, and repeat texts."""
    await socket.accept()
    await socket.send_text(str(contract.user_of(socket.scope)["user"]))
    with contextlib.suppress(WebSocketDisconnect):
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
        await socket.close(contract.CLOSE_CODE)


async def ws_closed(socket: WebSocket) -> None:
    """Refuse."""
    await socket.close(1008)


app = Starlette(
    routes=[
        Route("/me", me),
        Route("/chunks", chunks),
        Route("/sse", sse),
        Route("/ticks", ticks),
        Route("/file/data.bin", file),
        Route("/upload", upload, methods=["POST"]),
        Route("/fail", fail),
        Route("/closed", closed, methods=["POST"]),
        Route("/go", go),
        Route("/state", state),
        WebSocketRoute("/ws", ws),
        WebSocketRoute("/ws-closed", ws_closed),
    ],
    middleware=[
        Middleware(
            CORSMiddleware,
            allow_origins=[contract.ORIGIN],
            allow_methods=["POST"],
            allow_headers=["authorization"],
        )
    ],
    lifespan=lifespan,
)
