"""Litestar's JWTAuth, as its page "JWT Security Backends" sets it up."""

from datetime import timedelta
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.security.jwt import JWTAuth, Token

from rivals.apps._one import only_algorithm
from rivals.material import TENANT, USER, Material


@get("/me")
async def _anyone() -> dict[str, str]:
    return {"sub": USER}


@get("/me")
async def _me(request: Request[str, Token, Any]) -> dict[str, str]:
    return {"sub": request.user}


@get("/tenant")
async def _in_tenant(request: Request[str, Token, Any]) -> dict[str, str]:
    if request.auth.extras["tenant"] != TENANT:
        raise PermissionDeniedException
    return {"sub": request.user}


async def _user(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return token.sub


def _auth(material: Material, **options: Any) -> JWTAuth[str]:
    return JWTAuth[str](
        retrieve_user_handler=_user,
        token_secret=material.verifies_with,
        algorithm=only_algorithm(material),
        accepted_issuers=[material.issuer],
        accepted_audiences=[material.audience],
        require_claims=["exp", "iss", "aud", "sub"],
        **options,
    )


def decoder(material: Material):
    """Return `Token.decode`, which the middleware calls."""
    algorithm = only_algorithm(material)

    def decode(token: str) -> Token:
        return Token.decode(
            token,
            material.verifies_with,
            algorithm,
            audience=[material.audience],
            issuer=[material.issuer],
            require_claims=["exp", "iss", "aud", "sub"],
        )

    return decode


def bare() -> Litestar:
    """Return the application without a guard."""
    return Litestar([_anyone])


def guarded(material: Material) -> Litestar:
    """Return the guarded application."""
    return Litestar([_me, _in_tenant], on_app_init=[_auth(material).on_app_init])


def renewing(material: Material) -> Litestar:
    """Return one with sign-in, and sign-out by `revoked_token_handler`; JWTAuth renews nothing."""
    revoked: set[str] = set()

    async def is_revoked(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
        return token.jti in revoked

    auth = _auth(material, exclude=["/login"], revoked_token_handler=is_revoked)

    @post("/login")
    async def login() -> Response[Any]:
        return auth.login(
            identifier=USER,
            token_expiration=timedelta(seconds=200),
            token_issuer=material.issuer,
            token_audience=material.audience,
            token_unique_jwt_id="one",
        )

    @post("/revoke")
    async def revoke(request: Request[str, Token, Any]) -> dict[str, str]:
        revoked.add(str(request.auth.jti))
        return {}

    return Litestar([_me, login, revoke], on_app_init=[auth.on_app_init])
