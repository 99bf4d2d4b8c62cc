"""The application with Sanic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import Forbidden
from sanic.response import empty, file, json, text

from matrix import contract

app = Sanic("matrix")


@app.after_server_start
async def startup(*_: Any) -> None:
    """Record the stage."""
    contract.stage("startup")


@app.before_server_stop
async def shutdown(*_: Any) -> None:
    """Record the stage."""
    contract.stage("shutdown")


@app.route("/me", methods=["GET", "HEAD"])
async def me(request: Request) -> HTTPResponse:
    """Answer with the user."""
    return json(contract.user_of(request.scope))


async def streamed(request: Request, parts: AsyncIterator[bytes], kind: str) -> None:
    """Send `parts` as a response."""
    response = await request.respond(content_type=kind)
    async for part in parts:
        await response.send(part)
    await response.eof()


@app.get("/chunks")
async def chunks(request: Request) -> None:
    """Stream the parts."""
    await streamed(request, contract.parts(request.args["key"][0]), "text/plain")


@app.get("/sse")
async def sse(request: Request) -> None:
    """Stream the events; Sanic has no class for them."""
    await streamed(request, contract.events(request.args["key"][0]), "text/event-stream")


@app.get("/ticks")
async def ticks(request: Request) -> None:
    """Stream without end."""
    await streamed(request, contract.ticks(request.args["key"][0]), "text/plain")


@app.get("/file/data.bin")
async def data(_: Request) -> HTTPResponse:
    """Send the file."""
    return await file(contract.DATA)


@app.post("/upload", stream=True)
async def upload(request: Request) -> HTTPResponse:
    """Read the body as it comes."""
    body = b"".join([part async for part in request.stream])
    return json(contract.received(body))


@app.options("/upload")
async def preflight(_: Request) -> HTTPResponse:
    """Answer a preflight; Sanic leaves that to an extension."""
    headers = {
        "Access-Control-Allow-Origin": contract.ORIGIN,
        "Access-Control-Allow-Methods": "POST",
    }
    return empty(headers=headers)


@app.get("/fail")
async def fail(_: Request) -> HTTPResponse:
    """Fail."""
    raise RuntimeError("the application fails")


@app.post("/closed", stream=True)
async def closed(_: Request) -> HTTPResponse:
    """Refuse without reading the body."""
    return text("no", 401, {"WWW-Authenticate": contract.CHALLENGE})


@app.get("/go")
async def go(request: Request) -> HTTPResponse:
    """Hand over."""
    return json(contract.go(request.args["key"][0]))


@app.get("/state")
async def state(_: Request) -> HTTPResponse:
    """Answer with what was recorded."""
    return json(contract.state())


@app.websocket("/ws")
async def ws(request: Request, socket: Any) -> None:
    """Say who is there, and repeat texts."""
    await socket.send(str(contract.user_of(request.scope)["user"]))
    while (said := await socket.recv()) is not None:
        if said == "close":
            await socket.close(contract.CLOSE_CODE)
            return
        await socket.send(said)


@app.websocket("/ws-closed")
async def ws_closed(_: Request, socket: Any) -> None:
    """Serve none: `refuse` comes before."""


@app.on_request
async def refuse(request: Request) -> None:
    """Refuse a WebSocket: a handler gets it only when it is accepted."""
    if request.path == "/ws-closed":
        raise Forbidden("no")
