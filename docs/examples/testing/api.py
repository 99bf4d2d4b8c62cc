"""An API whose users sign in at an outside issuer."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from linqi import JWTMiddleware, RemoteKeys, Verifier

keys = RemoteKeys("https://login.example", ["RS256"])


async def me(request):
    """Return the caller."""
    return PlainTextResponse(request.user.identity)


app = JWTMiddleware(Starlette(routes=[Route("/me", me)]), Verifier(keys.trust("api")))
