"""A guard that requires claims which fit a type of the application."""

from __future__ import annotations

from typing import Any

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.asgi.refusals import refuse
from linqi.errors import UnfitClaims
from linqi.jose.typed_claims import check_claims_type
from linqi.jose.verified import Verified

__all__ = ["RequireClaims"]


class RequireClaims:
    """Refuses with 401 ``invalid_token`` unless the claims fit a type, see `Verified.read`.

    Behind it ``scope["linqi"].read(kind)`` never raises. A client refreshes on this answer, and a
    token that was made before the application had the claim is replaced by one that has it.

    Args:
        app: The ASGI application behind the guard.
        kind: The type.
        realm: The realm of the challenge (RFC 6750, section 3).

    Raises:
        ConfigurationError: Claims cannot be read as `kind`.

    """

    def __init__(self, app: ASGIApp, kind: type[Any], *, realm: str = "api") -> None:
        check_claims_type(kind)
        self._app = app
        self._kind = kind
        self._realm = realm
        self._drain = Drain()
        self._unauthorized = refuse(None, realm)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the application, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        verified = scope.get("linqi")
        refusal = self._unauthorized
        if isinstance(verified, Verified):
            try:
                verified.read(self._kind)
            except UnfitClaims as error:
                refusal = refuse(error, self._realm)
            else:
                await self._app(scope, receive, send)
                return
        await refusal.send(scope, receive, send, self._drain)
