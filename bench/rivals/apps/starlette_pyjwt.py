"""Starlette's AuthenticationMiddleware with a backend that calls PyJWT.

As Starlette's page "Authentication" sets it up.
"""

from collections.abc import Mapping
from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
    requires,
)
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rivals.apps.pyjwt import decoder
from rivals.material import TENANT, USER, Material

__all__ = ["bare", "decoder", "guarded"]


class _User(SimpleUser):
    def __init__(self, claims: Mapping[str, Any]) -> None:
        super().__init__(str(claims["sub"]))
        self.claims = claims


class _Backend(AuthenticationBackend):
    def __init__(self, material: Material) -> None:
        self._decode = decoder(material)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, _User] | None:
        header = conn.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self._decode(token)
        except jwt.InvalidTokenError as error:
            raise AuthenticationError("invalid token") from error
        return AuthCredentials(["authenticated"]), _User(claims)


def _refuse(conn: HTTPConnection, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 401)


@requires("authenticated")
async def _me(request: Request) -> Response:
    return JSONResponse({"sub": request.user.display_name})


@requires("authenticated")
async def _in_tenant(request: Request) -> Response:
    if request.user.claims["tenant"] != TENANT:
        raise HTTPException(403)
    return JSONResponse({"sub": request.user.display_name})


async def _anyone(request: Request) -> Response:
    return JSONResponse({"sub": USER})


def bare() -> Starlette:
    """Return the application without a guard."""
    return Starlette(routes=[Route("/me", _anyone)])


def guarded(material: Material) -> Starlette:
    """Return the guarded application."""
    guard = Middleware(AuthenticationMiddleware, backend=_Backend(material), on_error=_refuse)
    return Starlette(routes=[Route("/me", _me), Route("/tenant", _in_tenant)], middleware=[guard])
