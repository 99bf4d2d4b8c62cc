"""linqi around a FastAPI application, which reads ``request.user``."""

from fastapi import FastAPI, HTTPException, Request

from linqi import JWTMiddleware
from rivals.apps import _fastapi
from rivals.apps.linqi_asgi import decoder, verifier
from rivals.material import TENANT, Material

__all__ = ["bare", "decoder", "guarded"]

bare = _fastapi.bare


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    app = FastAPI()
    app.add_middleware(JWTMiddleware, verifier=verifier(material))

    @app.get("/me")
    async def me(request: Request) -> dict[str, str]:
        return {"sub": request.user.identity}

    @app.get("/tenant")
    async def in_tenant(request: Request) -> dict[str, str]:
        if request.user.claims["tenant"] != TENANT:
            raise HTTPException(403)
        return {"sub": request.user.identity}

    return app
