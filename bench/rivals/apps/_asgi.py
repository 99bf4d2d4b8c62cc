"""Bare ASGI applications that differ only in what decodes the token."""

import json
from collections.abc import Callable
from operator import getitem
from typing import Any

from rivals.material import TENANT, USER

_HEADERS = [(b"content-type", b"application/json")]


async def answer(send, body: Any, status: int = 200) -> None:
    """Send `body` as JSON."""
    data = json.dumps(body).encode()
    length = (b"content-length", str(len(data)).encode())
    headers = [*_HEADERS, length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


async def _anyone(scope, receive, send):
    if scope["type"] == "http":
        await answer(send, {"sub": USER})


def bare():
    """Return the application without a guard."""
    return _anyone


def guarded(
    decode: Callable[[str], Any],
    *refusals: type[Exception],
    read: Callable[[Any, str], Any] = getitem,
):
    """Return the application that calls `decode` itself: the least that a guard needs.

    `read` returns a claim of what `decode` returned, by its name.
    """

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        try:
            claims = decode(_bearer(scope["headers"]))
        except refusals:
            await answer(send, {}, 401)
            return
        if scope["path"] == "/tenant" and read(claims, "tenant") != TENANT:
            await answer(send, {}, 403)
            return
        await answer(send, {"sub": read(claims, "sub")})

    return app


def _bearer(headers) -> str:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.decode("latin-1") if scheme.lower() == b"bearer" else ""
    return ""
