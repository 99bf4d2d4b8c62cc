"""The responses to refused requests (RFC 6750, section 3; RFC 9470)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linqi.asgi._http import Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.asgi.responses import NO_STORE, encode_json, retry_after, send_response
from linqi.errors import InvalidRequest, LinqiError, NotStarted, TokenError, Unavailable

__all__ = [
    "Refusal",
    "as_request_fault",
    "refuse",
    "refuse_credentials",
    "refuse_login",
    "refuse_scopes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A complete response: status, headers and JSON body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    async def send(self, scope: Scope, receive: Receive, send: Send, drain: Drain) -> None:
        """Refuse an HTTP request, whose body `drain` reads, or a WebSocket before its accept."""
        if scope["type"] == "websocket":
            await self._refuse_socket(scope, send)
            return
        headers = [*self.headers, *await drain(scope, receive)]
        body = b"" if scope["method"] == "HEAD" else self.body
        await send_response(send, self.status, headers, body)

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


def as_request_fault(error: LinqiError, token: bytes | None) -> LinqiError:
    """Return `InvalidRequest` for two credentials in one header, otherwise `error` (H2)."""
    if isinstance(error, TokenError) and token and (b"," in token or b" " in token):
        return InvalidRequest("the Authorization header holds more than one credential")
    return error


def refuse(error: LinqiError | None, realm: str) -> Refusal:
    """Return the refusal for `error`; None stands for a request without credentials.

    Such a request gets a challenge without an error code (RFC 6750, section 3.1).
    """
    if error is None:
        return refuse_credentials(401, realm, {}, "unauthorized")
    if isinstance(error, NotStarted):
        # No Retry-After: another try does not help.
        return _refusal(503, [], {"error": "temporarily_unavailable"})
    if isinstance(error, Unavailable):
        headers = [retry_after(error.retry_after)]
        return _refusal(503, headers, {"error": "temporarily_unavailable"})
    if isinstance(error, InvalidRequest):
        parameters = {"error": "invalid_request", "error_description": error.hint}
        return refuse_credentials(400, realm, parameters, "invalid_request")
    hint = error.hint if isinstance(error, TokenError) else TokenError.hint
    parameters = {"error": "invalid_token", "error_description": hint}
    return refuse_credentials(401, realm, parameters, "invalid_token")


def refuse_scopes(realm: str, needed: Sequence[str]) -> Refusal:
    """Return 403 insufficient_scope with the needed scopes (RFC 6750, section 3.1)."""
    parameters = {"error": "insufficient_scope", "scope": " ".join(needed)}
    return refuse_credentials(403, realm, parameters, "insufficient_scope")


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


def refuse_credentials(status: int, realm: str, parameters: dict[str, str], error: str) -> Refusal:
    """Return a response of `status` whose Bearer challenge has `parameters` (RFC 6750, 3)."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items())
    body = {"error": error}
    if "error_description" in parameters:
        body["error_description"] = parameters["error_description"]
    return _refusal(status, [(b"www-authenticate", f"Bearer {pairs}".encode("ascii"))], body)


def _refusal(status: int, headers: list[tuple[bytes, bytes]], content: dict[str, str]) -> Refusal:
    body, described = encode_json(content)
    return Refusal(status=status, headers=(*described, NO_STORE, *headers), body=body)
