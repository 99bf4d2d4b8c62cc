"""The application without a framework."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from matrix import contract

JSON = (b"content-type", b"application/json")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one connection."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await socket(scope, receive, send)
    else:
        await http(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    """Record both stages."""
    for name in ("startup", "shutdown"):
        await receive()
        contract.stage(name)
        await send({"type": f"lifespan.{name}.complete"})


async def http(scope: Any, receive: Any, send: Any) -> None:
    """Answer what the path names."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    key = parse_qs(scope["query_string"].decode()).get("key", [""])[0]
    if scope["method"] == "OPTIONS":
        await preflight(send)
    elif path in STREAMS:
        make, kind = STREAMS[path]
        await stream(send, receive, make(key), kind)
    elif path == "/upload":
        await upload(receive, send)
    elif path == "/closed":
        challenge = (b"www-authenticate", contract.CHALLENGE.encode())
        await answer(send, b"no", 401, [challenge, (b"content-length", b"2")])
    elif path == "/file/data.bin":
        length = (b"content-length", str(contract.DATA.stat().st_size).encode())
        await answer(send, contract.DATA.read_bytes(), 200, [length])
    elif path == "/fail":
        raise RuntimeError("the application fails")
    else:
        await tell(path, key, scope, send)


async def preflight(send: Any) -> None:
    """Allow the origin."""
    origin = (b"access-control-allow-origin", contract.ORIGIN.encode())
    methods = (b"access-control-allow-methods", b"GET, POST")
    await answer(send, b"", 204, [origin, methods])


async def upload(receive: Any, send: Any) -> None:
    """Read the body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    await answer(send, json.dumps(contract.received(body)).encode(), 200, [JSON])


async def tell(path: str, key: str, scope: Any, send: Any) -> None:
    """Answer with JSON, or 404."""
    values = {
        "/me": lambda: contract.user_of(scope),
        "/go": lambda: contract.go(key),
        "/state": contract.state,
    }
    if path not in values:
        await answer(send, b"", 404, [])
        return
    body = json.dumps(values[path]()).encode()
    length = (b"content-length", str(len(body)).encode())
    await answer(send, body if scope["method"] == "GET" else b"", 200, [JSON, length])


STREAMS = {
    "/chunks": (contract.parts, b"text/plain"),
    "/sse": (contract.events, b"text/event-stream"),
    "/ticks": (contract.ticks, b"text/plain"),
}


async def stream(send: Any, receive: Any, parts: Any, kind: bytes) -> None:
    """Send `parts` until they end or the client is gone."""
    await receive()
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def all_parts() -> None:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sending = asyncio.ensure_future(all_parts())
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, gone):
            task.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)
        await parts.aclose()


async def answer(send: Any, body: bytes, status: int, headers: Any) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def socket(scope: Any, receive: Any, send: Any) -> None:
    """Refuse or serve a WebSocket."""
    await receive()
    if scope["path"] == "/ws-closed":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    who = contract.user_of(scope)["user"]
    await send({"type": "websocket.send", "text": str(who)})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": contract.CLOSE_CODE})
            return
        await send({"type": "websocket.send", "text": message["text"]})
