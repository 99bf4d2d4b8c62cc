"""The route that publishes the metadata of a protected resource (RFC 9728, section 3)."""

from __future__ import annotations

from typing import Final

from linqi.asgi._http import ASGIApp, Receive, Scope, Send, is_preflight, route_path
from linqi.asgi.resource_metadata import ResourceMetadata
from linqi.asgi.responses import encode_json, send_response
from linqi.errors import LinqiError

__all__ = ["metadata_before", "metadata_route"]

_ALLOW: Final = (b"allow", b"GET, HEAD, OPTIONS")
_EMPTY: Final = (b"content-length", b"0")
_ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"3600"),
)


def metadata_route(metadata: ResourceMetadata) -> ASGIApp:
    """Return an ASGI application that answers GET with the document of `metadata`.

    For programs that serve the root of the origin while the resource is mounted below it;
    `JWTMiddleware` serves the document by itself at ``metadata.path``. Scripts of any origin may
    read the response, which contains nothing secret: a client in a browser begins with it.

    Args:
        metadata: What is published.

    """
    body, described = encode_json(metadata.document())
    headers = [_ANY_ORIGIN, (b"cache-control", b"public, max-age=3600"), *described]

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        if scope["type"] != "http":
            raise LinqiError(f"metadata_route serves no ASGI scope of type {scope['type']!r}")
        method = scope["method"]
        if method == "OPTIONS":
            more = _PREFLIGHT if is_preflight(scope["headers"]) else ()
            await send_response(send, 204, [_ALLOW, _ANY_ORIGIN, *more])
        elif method not in ("GET", "HEAD"):
            await send_response(send, 405, [_ALLOW, _EMPTY])
        else:
            await send_response(send, 200, headers, b"" if method == "HEAD" else body)

    return serve


def metadata_before(app: ASGIApp, metadata: ResourceMetadata) -> ASGIApp:
    """Return `app` with the document of `metadata` in front, at its path below ``root_path``."""
    route, path = metadata_route(metadata), metadata.path

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_document = scope["type"] != "lifespan" and route_path(scope) == path
        await (route if is_document else app)(scope, receive, send)

    return serve
