"""The route that publishes our own public keys (RFC 7517; RFC 8414, ``jwks_uri``)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Final

from linqi.asgi._http import ASGIApp, Receive, Scope, Send, find_header
from linqi.errors import ConfigurationError, InvalidKey, LinqiError
from linqi.jose.keys import KeySet

__all__ = ["jwks_route"]

_METHODS: Final = ("GET", "HEAD")


def jwks_route(
    keys: KeySet, *, max_age: int = 300, clock: Callable[[], float] = time.time
) -> ASGIApp:
    """Give an ASGI app that answers GET with the public half of `keys` as it is at that time.

    `max_age`: seconds for which verifiers may keep it, 0 to 86,400; a rotation must wait at least
    that long before the new key signs. Any origin may read it: there is nothing secret in it.
    `ConfigurationError` for a set of secrets.
    """
    faults = []
    if not 0 <= max_age <= 86_400:
        faults.append(f"max_age is {max_age} s, expected 0 to 86400")
    try:
        keys.public_jwks()
    except InvalidKey as error:
        faults.append(str(error))
    if faults:
        raise ConfigurationError(faults)
    return _Route(keys, max_age, clock)


class _Route:
    def __init__(self, keys: KeySet, max_age: int, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._shared = [
            (b"cache-control", f"public, max-age={max_age}".encode()),
            (b"access-control-allow-origin", b"*"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a WebSocket is refused before it is accepted."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        if scope["type"] != "http":
            raise LinqiError(f"jwks_route serves no ASGI scope of type {scope['type']!r}")
        if scope["method"] not in _METHODS:
            headers = [(b"allow", b"GET, HEAD"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 405, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = json.dumps(self._keys.public_jwks(self._clock())).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        headers = [*self._shared, (b"etag", etag)]
        wanted = find_header(scope["headers"], b"if-none-match") or b""
        is_known = wanted == b"*" or etag in {
            tag.strip().removeprefix(b"W/") for tag in wanted.split(b",")
        }
        if not is_known:
            headers += [
                (b"content-type", b"application/jwk-set+json"),
                (b"content-length", str(len(body)).encode()),
            ]
        status = 304 if is_known else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        is_empty = is_known or scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_empty else body})
