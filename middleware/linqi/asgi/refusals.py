"""The responses to refused requests (RFC 6750, section 3; RFC 9470)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Protocol

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.asgi.responses import NO_STORE, encode_json, retry_after, send_response
from linqi.errors import (
    InvalidRequest,
    LinqiError,
    NotStarted,
    TokenError,
    Unavailable,
)

__all__ = [
    "WRITER",
    "BodyWriter",
    "Refusal",
    "as_request_fault",
    "refusal_for",
    "refuse",
    "refuse_credentials",
    "refuse_login",
    "refuse_scopes",
    "with_writer",
]

WRITER: Final = "linqi.refusals"
"""The key of a scope whose application chose how refusals are written: its `BodyWriter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A complete response to a refused request.

    Attributes:
        status: The HTTP status.
        headers: All headers; names in lower case.
        body: The JSON body, of RFC 6750 unless it was written in a format (`in_format`).
        error: The ``error`` of RFC 6750, or ``unauthorized`` without a token.
        code: The stable code that a client may see.
        cause: The code in the log; empty if it is `code`.
        hint: The ``error_description``; empty if there is none.
        scopes: The scopes that the request needs.

    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    error: str
    code: str
    cause: str = ""
    hint: str = ""
    scopes: tuple[str, ...] = ()

    def in_format(self, scope: Scope) -> Refusal:
        """Return this refusal in the format that the application of `scope` chose."""
        writer: BodyWriter | None = scope.get(WRITER)
        if writer is None:
            return self
        headers, body = writer.write(self, scope)
        return replace(self, headers=headers, body=body)

    async def send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        drain: Drain,
        writer: BodyWriter | None = None,
    ) -> None:
        """Refuse an HTTP request, whose body `drain` reads, or a WebSocket before its accept.

        The body is written by `writer`, or by that of the scope if there is one.
        """
        is_socket = scope["type"] == "websocket"
        if is_socket and "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        headers, body = self.headers, self.body
        if (writer := writer or scope.get(WRITER)) is not None:
            headers, body = writer.write(self, scope)
        if is_socket:
            await _send_denial(send, self.status, headers, body)
            return
        more = await drain(scope, receive)
        if scope["method"] == "HEAD":
            body = b""
        await send_response(send, self.status, [*headers, *more], body)


class BodyWriter(Protocol):
    """Writes refusals as an application chose: their bodies, their challenges, or both."""

    def write(
        self, refusal: Refusal, scope: Scope
    ) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
        """Return the headers and the body of `refusal`."""
        ...


def with_writer(app: ASGIApp, writer: BodyWriter) -> ASGIApp:
    """Return `app` with `writer` in its scopes, where the guards inside find it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope = {**scope, WRITER: writer}
        await app(scope, receive, send)

    return serve


async def _send_denial(
    send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes
) -> None:
    """Send the response to a WebSocket's handshake (the ASGI extension for denials)."""
    start = {"type": "websocket.http.response.start", "status": status, "headers": [*headers]}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


def as_request_fault(error: LinqiError, token: bytes | None) -> LinqiError:
    """Return `InvalidRequest` for two credentials in one header, otherwise `error` (H2)."""
    if isinstance(error, TokenError) and token and (b"," in token or b" " in token):
        return InvalidRequest("the header of the token holds more than one credential")
    return error


def refuse(error: LinqiError | None, realm: str) -> Refusal:
    """Return the refusal for `error`; None stands for a request without credentials.

    Such a request gets a challenge without an error code (RFC 6750, section 3.1).
    """
    if isinstance(error, Unavailable):
        # No Retry-After where another try does not help.
        headers = [] if isinstance(error, NotStarted) else [retry_after(error.retry_after)]
        code = "temporarily_unavailable"
        return _refusal(503, headers, {"error": code}, code=code, cause=error.code)
    kind: type = type(error)
    return _refuse_kind(kind, realm)


@lru_cache(maxsize=256)
def _refuse_kind(kind: type, realm: str) -> Refusal:
    """Return the refusal for every error of a class, made once: a flood of them costs less.

    The class of None stands for a request without credentials.
    """
    if not issubclass(kind, LinqiError):
        return refuse_credentials(401, realm, {}, "unauthorized", "no_token")
    if issubclass(kind, InvalidRequest):
        parameters = {"error": "invalid_request", "error_description": kind.hint}
        return refuse_credentials(400, realm, parameters, "invalid_request")
    known = kind if issubclass(kind, TokenError) else TokenError
    parameters = {"error": "invalid_token", "error_description": known.hint}
    return refuse_credentials(
        401, realm, parameters, "invalid_token", known.public_code, cause=kind.code
    )


def refusal_for(scope: Scope, error: LinqiError | None, realm: str = "api") -> Refusal:
    """Return the refusal for `error`, as `refuse` does, in the format that `scope` has."""
    return refuse(error, realm).in_format(scope)


def refuse_scopes(realm: str, needed: Sequence[str]) -> Refusal:
    """Return 403 insufficient_scope with the needed scopes (RFC 6750, section 3.1)."""
    parameters = {"error": "insufficient_scope", "scope": " ".join(needed)}
    return refuse_credentials(403, realm, parameters, "insufficient_scope", scopes=tuple(needed))


def refuse_login(realm: str, acr_values: Sequence[str], max_age: float | None) -> Refusal:
    """Return 401 insufficient_user_authentication, which asks for another login (RFC 9470).

    Args:
        realm: The realm of the challenge.
        acr_values: The accepted authentication context classes; empty for any.
        max_age: The longest time since the login, in seconds; None for no limit.

    """
    parameters = {"error": "insufficient_user_authentication"}
    if acr_values:
        parameters["acr_values"] = " ".join(acr_values)
    if max_age is not None:
        parameters["max_age"] = str(int(max_age))
    return refuse_credentials(401, realm, parameters, "insufficient_user_authentication")


def refuse_credentials(
    status: int,
    realm: str,
    parameters: dict[str, str],
    error: str,
    code: str = "",
    *,
    cause: str = "",
    scopes: tuple[str, ...] = (),
) -> Refusal:
    """Return a response of `status` whose Bearer challenge has `parameters` (RFC 6750, 3)."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items())
    body = {"error": error}
    if "error_description" in parameters:
        body["error_description"] = parameters["error_description"]
    challenge = (b"www-authenticate", f"Bearer {pairs}".encode("ascii"))
    return _refusal(status, [challenge], body, code=code or error, cause=cause, scopes=scopes)


def _refusal(
    status: int,
    headers: list[tuple[bytes, bytes]],
    content: dict[str, str],
    *,
    code: str,
    cause: str,
    scopes: tuple[str, ...] = (),
) -> Refusal:
    body, described = encode_json(content)
    return Refusal(
        status=status,
        headers=(*described, NO_STORE, *headers),
        body=body,
        error=content["error"],
        code=code,
        cause=cause,
        hint=content.get("error_description", ""),
        scopes=scopes,
    )
