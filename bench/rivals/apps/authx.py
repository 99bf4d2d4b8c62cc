"""AuthX, as its pages "Configuration", "Refresh Tokens" and "Token Blocklist" set it up."""

from datetime import timedelta
from typing import Annotated, Any

from authx import AuthX, AuthXConfig, RequestToken, TokenPayload
from fastapi import Depends, FastAPI, HTTPException, Request, Response

from rivals.apps import _fastapi
from rivals.apps._one import only_algorithm
from rivals.material import TENANT, USER, Material

bare = _fastapi.bare


def _auth(material: Material, **options: Any) -> AuthX[Any]:
    config = AuthXConfig(
        JWT_ALGORITHM=only_algorithm(material),
        JWT_SECRET_KEY=material.secret or None,
        JWT_PUBLIC_KEY=material.public_pem or None,
        JWT_PRIVATE_KEY=material.private_pem or None,
        JWT_DECODE_ISSUER=material.issuer,
        JWT_DECODE_AUDIENCE=material.audience,
        JWT_ENCODE_ISSUER=material.issuer,
        JWT_ENCODE_AUDIENCE=material.audience,
        **{"JWT_TOKEN_LOCATION": ["headers"], **options},
    )
    return AuthX(config=config)


def decoder(material: Material):
    """Return the function that AuthX calls with the token of a request."""
    auth = _auth(material)

    def decode(token: str) -> TokenPayload:
        return auth.verify_token(RequestToken(token=token, location="headers"))

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    app = FastAPI()
    auth = _auth(material)
    auth.handle_errors(app)

    @app.get("/me")
    async def me(
        payload: Annotated[TokenPayload, Depends(auth.access_token_required)],
    ) -> dict[str, str]:
        return {"sub": payload.sub}

    @app.get("/tenant")
    async def in_tenant(
        payload: Annotated[TokenPayload, Depends(auth.access_token_required)],
    ) -> dict[str, str]:
        if payload.tenant != TENANT:
            raise HTTPException(403)
        return {"sub": payload.sub}

    return app


def renewing(material: Material) -> FastAPI:
    """Return an application with implicit refresh by cookie, refresh tokens and a blocklist.

    Tokens live 200 s, so that the default `JWT_IMPLICIT_REFRESH_DELTATIME` of 10 min renews each.
    """
    auth = _auth(
        material,
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=200),
        JWT_COOKIE_SECURE=False,
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    app = FastAPI()
    app.middleware("http")(auth.implicit_refresh_middleware)
    auth.handle_errors(app)
    revoked: set[str] = set()

    @auth.set_callback_token_blocklist
    def is_revoked(token: str) -> bool:
        return token in revoked

    @app.post("/login")
    async def login(response: Response) -> dict[str, str]:
        token = auth.create_access_token(uid=USER)
        auth.set_access_cookies(token, response)
        return {"access_token": token, "refresh_token": auth.create_refresh_token(uid=USER)}

    @app.get("/me")
    async def me(
        payload: Annotated[TokenPayload, Depends(auth.access_token_required)],
    ) -> dict[str, str]:
        return {"sub": payload.sub}

    @app.post("/refresh")
    async def refresh(
        payload: Annotated[TokenPayload, Depends(auth.refresh_token_required)],
    ) -> dict[str, str]:
        return {"access_token": auth.create_access_token(uid=payload.sub)}

    @app.post("/revoke")
    async def revoke(request: Request) -> dict[str, str]:
        revoked.add((await auth.get_access_token_from_request(request)).token)
        return {}

    return app
