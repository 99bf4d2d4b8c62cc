"""The application with Quart."""

from __future__ import annotations

from typing import Any

from quart import Quart, Response, request, send_file, websocket

from matrix import contract

app = Quart(__name__)


@app.before_serving
async def startup() -> None:
    """Record the stage."""
    contract.stage("startup")


@app.after_serving
async def shutdown() -> None:
    """Record the stage."""
    contract.stage("shutdown")


@app.route("/me")
async def me() -> dict[str, Any]:
    """Answer with the user."""
    return contract.user_of(request.scope)


@app.route("/chunks")
async def chunks() -> Any:
    """Stream the parts."""
    return contract.parts(request.args["key"]), 200, {"Content-Type": "text/plain"}


@app.route("/sse")
async def sse() -> Any:
    """Stream the events; Quart has no class for them."""
    return contract.events(request.args["key"]), 200, {"Content-Type": "text/event-stream"}


@app.route("/ticks")
async def ticks() -> Any:
    """Stream without end."""
    return contract.ticks(request.args["key"]), 200, {"Content-Type": "text/plain"}


@app.route("/file/data.bin")
async def file() -> Response:
    """Send the file."""
    return await send_file(contract.DATA)


@app.route("/upload", methods=["POST"], provide_automatic_options=False)
async def upload() -> dict[str, Any]:
    """Read the body as it comes."""
    return contract.received(b"".join([chunk async for chunk in request.body]))


@app.route("/upload", methods=["OPTIONS"])
async def preflight() -> Any:
    """Answer a preflight; Quart leaves that to an extension."""
    headers = {
        "Access-Control-Allow-Origin": contract.ORIGIN,
        "Access-Control-Allow-Methods": "POST",
    }
    return "", 204, headers


@app.route("/fail")
async def fail() -> str:
    """Fail."""
    raise RuntimeError("the application fails")


@app.route("/closed", methods=["POST"])
async def closed() -> Any:
    """Refuse without reading the body."""
    return "no", 401, {"WWW-Authenticate": contract.CHALLENGE}


@app.route("/go")
async def go() -> dict[str, str]:
    """Hand over."""
    return contract.go(request.args["key"])


@app.route("/state")
async def state() -> dict[str, Any]:
    """Answer with what was recorded."""
    return contract.state()


@app.websocket("/ws")
async def ws() -> None:
    """Say who is there, and repeat texts."""
    await websocket.accept()
    await websocket.send(str(contract.user_of(websocket.scope)["user"]))
    while (text := await websocket.receive()) != "close":
        await websocket.send(text)
    await websocket.close(contract.CLOSE_CODE)


@app.websocket("/ws-closed")
async def ws_closed() -> Any:
    """Refuse."""
    return "no", 403
