"""linqi around a Starlette application, which reads ``request.user``."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linqi import JWTMiddleware
from rivals.apps.linqi_asgi import decoder, verifier
from rivals.apps.starlette_pyjwt import bare
from rivals.material import TENANT, Material

__all__ = ["bare", "decoder", "guarded"]


async def _me(request: Request) -> Response:
    return JSONResponse({"sub": request.user.display_name})


async def _in_tenant(request: Request) -> Response:
    if request.user.claims["tenant"] != TENANT:
        raise HTTPException(403)
    return JSONResponse({"sub": request.user.display_name})


def guarded(material: Material) -> Starlette:
    """Return the guarded application."""
    guard = Middleware(JWTMiddleware, verifier=verifier(material))
    return Starlette(routes=[Route("/me", _me), Route("/tenant", _in_tenant)], middleware=[guard])
