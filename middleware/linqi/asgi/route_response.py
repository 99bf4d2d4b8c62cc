"""The answers of the session routes, which no cache may keep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linqi.asgi._http import Send
from linqi.asgi.forms import BodyFault
from linqi.errors import ForeignToken, InvalidRequest, InvalidSubject, NotStarted, Unavailable

__all__ = ["RouteResponse", "error_body", "outcome", "refusal", "retry_after"]


@dataclass(frozen=True, slots=True)
class RouteResponse:
    """A response; nothing of it may be kept by a cache (RFC 6749, section 5.1)."""

    status: int
    body: Mapping[str, Any] | None
    headers: Sequence[tuple[bytes, bytes]] = ()

    async def send(self, send: Send, more: Sequence[tuple[bytes, bytes]]) -> None:
        """Send it, with `more` headers."""
        body = b"" if self.body is None else json.dumps(self.body).encode()
        headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
        headers += [*self.headers, *more]
        if self.body is not None:
            headers.append((b"content-type", b"application/json"))
        if self.status != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def refusal(error: Exception) -> RouteResponse:
    """Return the answer to `error`: no detail of what is not the request's own fault.

    ``Retry-After`` stands only where trying again can help.
    """
    if isinstance(error, BodyFault):
        return RouteResponse(error.status, error_body("invalid_request", error.detail))
    if isinstance(error, InvalidRequest):
        return RouteResponse(400, error_body("invalid_request", error.detail))
    if isinstance(error, InvalidSubject):
        return RouteResponse(400, error_body("invalid_grant", "this name cannot sign in"))
    if isinstance(error, ForeignToken):
        return RouteResponse(403, error_body(error.code, "sessions need a token of this service"))
    if isinstance(error, Unavailable) and not isinstance(error, NotStarted):
        body = error_body("temporarily_unavailable", "try again with the same token")
        return RouteResponse(503, body, [retry_after(error.retry_after)])
    return RouteResponse(500, error_body("server_error", "the server cannot do this"))


def error_body(kind: str, description: str) -> dict[str, str]:
    """Return the body of an error (RFC 6749, section 5.2)."""
    return {"error": kind, "error_description": description}


def outcome(kind: str) -> tuple[bytes, bytes]:
    """Return the header that names what a refresh led to."""
    return b"x-refresh-outcome", kind.encode()


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """Return the header, in whole seconds of at least one."""
    return b"retry-after", str(max(1, math.ceil(seconds))).encode()
