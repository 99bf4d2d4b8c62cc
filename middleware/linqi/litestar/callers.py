"""Dependencies and guards: who calls, and what the token allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, WebSocketException
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from linqi.asgi._http import Scope as PlainScope
from linqi.asgi.caller import LoadUser, caller_of, loaded_user, refusal_of
from linqi.asgi.guards import check_scopes
from linqi.asgi.refusals import Refusal, refusal_for
from linqi.errors import LinqiError, TokenError
from linqi.jose.verified import Verified

__all__ = [
    "Refused",
    "current",
    "current_or_none",
    "requires",
    "respond",
    "scopes_of",
    "user_dependencies",
]

_SOCKET_CODES = {401: 4401, 403: 4403}


class Refused(HTTPException):
    """A request that is refused by a dependency or a guard, with its whole response.

    Attributes:
        refusal: The response: its challenge, body and status.

    """

    def __init__(self, refusal: Refusal) -> None:
        headers = {name.decode(): value.decode() for name, value in refusal.headers}
        super().__init__(detail="refused", status_code=refusal.status, headers=headers)
        self.refusal = refusal


def respond(request: Request[Any, Any, Any], error: Refused | LinqiError) -> Response[bytes]:
    """Return the response to a refused request.

    A handler that reads claims of another form (`Verified.read`) refuses the token, and a
    `load_user` whose database is away answers 503.
    """
    if isinstance(error, Refused):
        refusal = error.refusal
    else:
        refusal = refusal_for(_plain(request.scope), error)
    headers = {name.decode(): value.decode() for name, value in refusal.headers}
    headers.pop("content-length", None)
    media_type = headers.pop("content-type")
    return Response(
        refusal.body, status_code=refusal.status, media_type=media_type, headers=headers
    )


async def current(scope: Scope) -> Verified:
    """Return the verified caller.

    Raises:
        Refused: 401 with a challenge, where the request has no token.
        ConfigurationError: The plugin is not in the application.

    """
    verified = caller_of(_plain(scope))
    if verified is None:
        raise _refused(scope, refusal_for(_plain(scope), None))
    return verified


async def current_or_none(scope: Scope) -> Verified | None:
    """Return the verified caller, None on a public or optional route without a token."""
    return caller_of(_plain(scope))


def user_dependencies(load_user: LoadUser) -> dict[str, Callable[..., Any]]:
    """Return the dependencies ``user`` and ``user_or_none``, which `load_user` provides."""

    async def user_or_none(scope: Scope) -> Any:
        found = await loaded_user(_plain(scope), load_user)
        if found is None and caller_of(_plain(scope)) is not None:
            error = TokenError("load_user knows no such user")
            raise _refused(scope, refusal_for(_plain(scope), error))
        return found

    async def user(scope: Scope) -> Any:
        await current(scope)
        return await user_or_none(scope)

    return {"user": user, "user_or_none": user_or_none}


class _RequiredScopes:
    """A Litestar guard: the token must have all scopes."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes

    async def __call__(  # a plain function would be run in a thread
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        refusal = refusal_of(_plain(connection.scope), *self.scopes)
        if refusal is not None:
            raise _refused(connection.scope, refusal)


def requires(*scopes: str) -> Callable[..., Any]:
    """Return a guard that passes only tokens with all `scopes`.

    Without a token the answer is 401, with too few scopes 403 ``insufficient_scope``; both with
    the challenge of RFC 6750. A WebSocket is refused before it is accepted.

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    check_scopes("requires(...)", scopes)
    return _RequiredScopes(scopes)


def scopes_of(handler: BaseRouteHandler) -> tuple[str, ...]:
    """Return the scopes that the guards of `handler` and of the layers around it require."""
    needed: dict[str, None] = {}
    for layer in handler.ownership_layers:
        for guard in layer.guards or ():
            if isinstance(guard, _RequiredScopes):
                needed.update(dict.fromkeys(guard.scopes))
    return tuple(needed)


def _plain(scope: Any) -> PlainScope:
    """Return the typed scope of Litestar as the mapping that it is."""
    return cast("PlainScope", scope)


def _refused(scope: Scope, refusal: Refusal) -> HTTPException | WebSocketException:
    if scope["type"] == ScopeType.WEBSOCKET:
        return WebSocketException(detail="refused", code=_SOCKET_CODES[refusal.status])
    return Refused(refusal)
