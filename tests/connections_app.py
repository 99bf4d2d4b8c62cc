"""An app whose connections live long, served by real servers: a socket, a stream, an upload.

Each server loads ``connections_app:app``; LINQI_SECRET in the environment is the signing key.
``GET /heard`` tells what the application and the hooks heard, ``POST /revoke`` revokes a session.
"""

import asyncio
import contextlib
import json
import os
from typing import Any

from linqi import JWTMiddleware, Key, Verifier
from tokens import signer_of

HEARD: dict[str, list[Any]] = {"ended": [], "events": []}
REVOKED: set[str] = set()


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Serve what the path names."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["path"] == "/events":
        await stream(receive, send)
    elif scope["path"] == "/heard":
        await answer(send, HEARD)
    elif scope["path"] == "/revoke":
        REVOKED.add(scope["query_string"].decode())
        await answer(send, "revoked")
    else:
        size = 0
        while True:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await answer(send, size)


async def lifespan(receive: Any, send: Any) -> None:
    """Confirm both messages."""
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def echo(receive: Any, send: Any) -> None:
    """Send every message back, and return at once when the socket ends."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message.get("text") or "bytes"})
    HEARD["ended"].append(message.get("code"))


async def stream(receive: Any, send: Any) -> None:
    """Send an event every 50 ms until the client is gone."""
    await receive()
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(receive())
    number = 0
    while not gone.done():
        number += 1
        body = f"id: {number}\ndata: tick\n\n".encode()
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.wait([gone], timeout=0.05)
    HEARD["ended"].append(gone.result()["type"])


async def answer(send: Any, value: object) -> None:
    """Answer with JSON."""
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(
    api,
    Verifier.trusting(
        signer_of(Key.from_secret(bytes.fromhex(os.environ["LINQI_SECRET"]), "HS256")),
        is_revoked=lambda verified: (verified.session_id or "") in REVOKED,
    ),
    public=["/heard", "/revoke"],
    check_seconds=0.2,
    stream_grace_seconds=0.5,
    hooks=[lambda event: HEARD["events"].append(f"{event}")],
)
