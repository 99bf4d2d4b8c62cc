"""The route that publishes the service's own public keys (RFC 7517; RFC 8414, ``jwks_uri``)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final

from linqi.asgi._http import ASGIApp, Receive, Scope, Send, find_header
from linqi.asgi.responses import encode_json, send_response
from linqi.errors import ConfigurationError, InvalidKey, LinqiError
from linqi.jose.keys import KeySet

__all__ = ["jwks_route"]

_METHODS: Final = ("GET", "HEAD")


def jwks_route(
    keys: KeySet, *, max_age: int = 300, clock: Callable[[], float] = time.time
) -> ASGIApp:
    """Return an ASGI application that answers GET with the current public keys of `keys`.

    Scripts of any origin may read the response, which contains nothing secret.

    Args:
        keys: Asymmetric keys.
        max_age: For how many seconds verifiers may cache the response, 0 to 86,400. A rotation
            must wait at least that long before the new key signs.
        clock: Returns Unix seconds; it decides which keys are published.

    Raises:
        ConfigurationError: `keys` contains a secret, or `max_age` is out of range.

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
            await send_response(send, 405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")])
            return
        keys = self._keys.public_jwks(self._clock())
        body, described = encode_json(keys, b"application/jwk-set+json")
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        headers = [*self._shared, (b"etag", etag)]
        wanted = find_header(scope["headers"], b"if-none-match") or b""
        is_known = wanted == b"*" or etag in {
            tag.strip().removeprefix(b"W/") for tag in wanted.split(b",")
        }
        if is_known:
            await send_response(send, 304, headers)
            return
        is_head = scope["method"] == "HEAD"
        await send_response(send, 200, [*headers, *described], b"" if is_head else body)
