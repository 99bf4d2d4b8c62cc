"""Refusals by dependencies: exceptions with the response that the middleware would send."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI, HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from linqi.asgi.refusals import Refusal, refusal_for, refuse_scopes
from linqi.errors import LinqiError, TokenError, Unavailable

__all__ = ["RefusedRequest", "answer_refusals", "realm_of", "refused"]

_REALM = "linqi_realm"
"""The attribute of ``app.state`` with the realm of challenges."""


class RefusedRequest(HTTPException):
    """A request that a dependency refused, with the whole response.

    Where the application has no handler for it (`answer_refusals`), FastAPI sends its status and
    its challenge with a body of its own.

    Attributes:
        refusal: The response.

    """

    def __init__(self, refusal: Refusal) -> None:
        headers = {
            name.decode("ascii"): value.decode("ascii")
            for name, value in refusal.headers
            if name not in (b"content-type", b"content-length")
        }
        super().__init__(refusal.status, detail=_DETAILS[refusal.status], headers=headers)
        self.refusal = refusal


_DETAILS = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not enough permissions",
    503: "Temporarily unavailable",
}


def refused(
    connection: HTTPConnection, error: LinqiError | None = None, needed: Sequence[str] = ()
) -> HTTPException | WebSocketException:
    """Return the exception that refuses `connection`, in the format of the middleware.

    A WebSocket is refused before its accept: by a response where the server can send one, otherwise
    by 1008.

    Args:
        connection: The request.
        error: What is wrong with the token; None where there is none.
        needed: The scopes that it lacks.

    """
    scope = connection.scope
    is_socket = scope["type"] == "websocket"
    if is_socket and "websocket.http.response" not in (scope.get("extensions") or {}):
        return WebSocketException(1008)
    realm = realm_of(scope)
    if needed:
        return RefusedRequest(refuse_scopes(realm, needed).in_format(scope))
    return RefusedRequest(refusal_for(scope, error, realm))


def realm_of(scope: Scope) -> str:
    """Return the realm of challenges of the application that serves `scope`."""
    realm: str = getattr(scope["app"].state, _REALM, "api")
    return realm


def answer_refusals(app: FastAPI, realm: str) -> None:
    """Let `app` answer `RefusedRequest`, `TokenError` and `Unavailable` as the middleware does."""
    setattr(app.state, _REALM, realm)
    app.add_exception_handler(RefusedRequest, _answer)
    app.add_exception_handler(TokenError, _answer_error)
    app.add_exception_handler(Unavailable, _answer_error)


async def _answer(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, RefusedRequest)  # noqa: S101 - registered for it alone
    return _response(error.refusal)


async def _answer_error(connection: HTTPConnection, error: Exception) -> Response:
    known = error if isinstance(error, LinqiError) else None
    return _response(refusal_for(connection.scope, known, realm_of(connection.scope)))


def _response(refusal: Refusal) -> Response:
    response = Response(refusal.body, refusal.status)
    response.raw_headers = list(refusal.headers)
    return response
