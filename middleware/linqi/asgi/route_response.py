"""The responses of the session routes, which no cache may store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linqi.asgi._http import Scope, Send
from linqi.asgi.forms import BodyFault
from linqi.asgi.refusals import WRITER, Refusal
from linqi.asgi.responses import NO_STORE, encode_json, retry_after, send_response
from linqi.errors import (
    ForeignToken,
    InvalidRequest,
    InvalidSubject,
    LinqiError,
    NotStarted,
    Unavailable,
)

__all__ = ["RouteResponse", "error_body", "outcome", "refusal"]


class RouteResponse(msgspec.Struct, frozen=True):
    """A response that no cache may store (RFC 6749, section 5.1).

    Attributes:
        status: The HTTP status.
        body: Sent as JSON; None for no body.
        headers: Headers besides those of caching and of the body.
        code: The stable code of an error; empty if it is the ``error`` of the body.
        cause: The code in the log; empty if it is `code`.

    """

    status: int
    body: Mapping[str, Any] | None
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""
    cause: str = ""

    def in_format(self, scope: Scope) -> RouteResponse:
        """Return this response with the members of the application's format beside ``error``.

        OAuth clients read ``error`` in ``application/json`` (RFC 6749, section 5.2), so no format
        replaces it.
        """
        writer = scope.get(WRITER)
        if writer is None or self.body is None or "error" not in self.body:
            return self
        error = self.body["error"]
        refusal = Refusal(
            status=self.status,
            headers=(),
            body=b"",
            error=error,
            code=self.code or error,
            cause=self.cause,
            hint=self.body["error_description"],
        )
        members, headers = writer.beside(refusal, scope)
        return RouteResponse(
            self.status, {**members, **self.body}, [*self.headers, *headers], self.code, self.cause
        )

    async def send(self, send: Send, more: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the response with `more` headers."""
        headers = [NO_STORE, (b"pragma", b"no-cache"), *self.headers, *more]
        if self.body is not None:
            body, described = encode_json(self.body)
            await send_response(send, self.status, [*headers, *described], body)
            return
        if self.status != 204:  # must not have the header (RFC 9110, section 8.6)
            headers.append((b"content-length", b"0"))
        await send_response(send, self.status, headers)


def refusal(error: Exception) -> RouteResponse:
    """Return the response to `error`, with details only of faults of the request itself.

    ``Retry-After`` is sent only where another try can succeed.
    """
    cause = error.code if isinstance(error, LinqiError) else "unexpected"
    if isinstance(error, BodyFault):
        return RouteResponse(error.status, error_body("invalid_request", error.detail))
    if isinstance(error, InvalidRequest):
        return RouteResponse(400, error_body("invalid_request", error.detail))
    if isinstance(error, InvalidSubject):
        body = error_body("invalid_grant", "this name cannot sign in")
        return RouteResponse(400, body, code=error.code)
    if isinstance(error, ForeignToken):
        return RouteResponse(403, error_body(error.code, "sessions need a token of this service"))
    if isinstance(error, Unavailable) and not isinstance(error, NotStarted):
        body = error_body("temporarily_unavailable", "try again with the same token")
        return RouteResponse(503, body, [retry_after(error.retry_after)], cause=cause)
    body = error_body("server_error", "the server cannot do this")
    return RouteResponse(500, body, cause=cause)


def error_body(kind: str, description: str) -> dict[str, str]:
    """Return the body of an error (RFC 6749, section 5.2)."""
    return {"error": kind, "error_description": description}


def outcome(kind: str) -> tuple[bytes, bytes]:
    """Return the header that names the outcome of a refresh."""
    return b"x-refresh-outcome", kind.encode()
