"""What a refused request is told, and no more (RFC 6750, section 3; RFC 9470)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from linqi.asgi._http import Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.errors import InvalidRequest, LinqiError, NotStarted, TokenError, Unavailable

__all__ = ["Refusal", "refuse", "refuse_credentials", "refuse_login", "refuse_scopes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A complete answer: status, headers and JSON body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    async def send(self, scope: Scope, receive: Receive, send: Send, drain: Drain) -> None:
        """Answer an HTTP request, its body read by `drain`, or a WebSocket before its accept."""
        if scope["type"] == "websocket":
            await self._refuse_socket(scope, send)
            return
        headers = [*self.headers, *await drain(scope, receive)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})

    async def _refuse_socket(self, scope: Scope, send: Send) -> None:
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await send(
                {
                    "type": "websocket.http.response.start",
                    "status": self.status,
                    "headers": list(self.headers),
                }
            )
            await send({"type": "websocket.http.response.body", "body": self.body})
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def refuse(error: LinqiError | None, realm: str) -> Refusal:
    """Give the answer to `error`; None stands for a request without credentials.

    Such a request gets a bare challenge: an error code would tell it nothing (RFC 6750, 3.1).
    """
    if error is None:
        return refuse_credentials(401, realm, {}, "unauthorized")
    if isinstance(error, NotStarted):
        return _answer(503, [], {"error": "temporarily_unavailable"})  # trying again does not help
    if isinstance(error, Unavailable):
        retry = str(max(1, math.ceil(error.retry_after))).encode("ascii")
        return _answer(503, [(b"retry-after", retry)], {"error": "temporarily_unavailable"})
    if isinstance(error, InvalidRequest):
        parameters = {"error": "invalid_request", "error_description": error.hint}
        return refuse_credentials(400, realm, parameters, "invalid_request")
    hint = error.hint if isinstance(error, TokenError) else TokenError.hint
    parameters = {"error": "invalid_token", "error_description": hint}
    return refuse_credentials(401, realm, parameters, "invalid_token")


def refuse_scopes(realm: str, needed: Sequence[str]) -> Refusal:
    """Give 403 insufficient_scope with the scopes that are needed (RFC 6750, section 3.1)."""
    parameters = {"error": "insufficient_scope", "scope": " ".join(needed)}
    return refuse_credentials(403, realm, parameters, "insufficient_scope")


def refuse_login(realm: str, acr_values: Sequence[str], max_age: float | None) -> Refusal:
    """Give 401 insufficient_user_authentication: sign in again, or more strongly (RFC 9470)."""
    parameters = {"error": "insufficient_user_authentication"}
    if acr_values:
        parameters["acr_values"] = " ".join(acr_values)
    if max_age is not None:
        parameters["max_age"] = str(int(max_age))
    return refuse_credentials(401, realm, parameters, "insufficient_user_authentication")


def refuse_credentials(status: int, realm: str, parameters: dict[str, str], error: str) -> Refusal:
    """Give `status` with a Bearer challenge of `parameters`."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items())
    body = {"error": error}
    if "error_description" in parameters:
        body["error_description"] = parameters["error_description"]
    return _answer(status, [(b"www-authenticate", f"Bearer {pairs}".encode("ascii"))], body)


def _answer(status: int, headers: list[tuple[bytes, bytes]], body: dict[str, str]) -> Refusal:
    encoded = json.dumps(body).encode()
    return Refusal(
        status=status,
        headers=(
            (b"content-type", b"application/json"),
            (b"content-length", str(len(encoded)).encode("ascii")),
            (b"cache-control", b"no-store"),
            *headers,
        ),
        body=encoded,
    )
