"""The service that locustfiles of the tests load: sliding sessions or dual tokens, or a faulty one.

``uvicorn locust_target:app`` with MODE (``sliding`` or ``dual``), LIFETIME in seconds, FOLDER and
perhaps FAULT: ``forgetful`` refuses each 20th token, ``storable`` lets caches store successors,
``expired`` accepts expired tokens.
"""

import itertools
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from linqi import (
    JWTMiddleware,
    Key,
    KeySet,
    Person,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    SQLiteStore,
    Verifier,
)

FAULT, LIFETIME = os.environ.get("FAULT", ""), float(os.environ["LIFETIME"])
SETTINGS = RenewalSettings(lifetime=LIFETIME, buffer=LIFETIME / 3, whole_seconds=False)
signer = Signer(KeySet([Key.generate("ES256")]), issuer="https://shop.example", audience="shop")
verifier = Verifier.trusting(signer, leeway=50 if FAULT == "expired" else 0)
counted = itertools.count(1)


async def me(request):
    """Answer who called."""
    return JSONResponse({"sub": request.scope["user"].identity})


async def seen(request):
    """Answer which credentials a request to a public path had."""
    return JSONResponse({"authorization": request.headers.get("authorization")})


async def away(request):
    """Redirect to where the query says."""
    return RedirectResponse(request.query_params["to"])


async def login(request):
    """Start a sliding session."""
    form = await request.json()
    token = renewal.start(form["username"]).token
    return JSONResponse({"access_token": token}, headers={"Cache-Control": "no-store"})


def authenticate(form):
    """Accept any name."""
    return Person(subject=form["username"])


ROUTES = [Route("/me", me), Route("/orders", me, methods=["POST"])]
ROUTES += [Route("/public/seen", seen), Route("/away", away)]
if os.environ["MODE"] == "sliding":
    renewal = SlidingRenewal(signer, SETTINGS)
    pages = Starlette(routes=[*ROUTES, Route("/login", login, methods=["POST"])])
    guarded = JWTMiddleware(
        pages, verifier, renewal=renewal, public=["/login", "/public/*", "/healthz"]
    )
else:
    store = SQLiteStore(str(Path(os.environ["FOLDER"]) / "sessions.db"))
    sessions = Sessions(store, signer, KeySet([Key.generate("HS256")]).keys, access=SETTINGS)
    pages = Starlette(routes=ROUTES)
    routes = SessionRoutes(
        Starlette(routes=ROUTES), sessions, verifier, authenticate, throttle=None
    )
    guarded = JWTMiddleware(
        routes, verifier, public=[*routes.public, "/public/*", "/healthz"], services=[sessions]
    )


async def app(scope, receive, send):
    """Pass a request to the service, or break a rule."""

    async def careless(message):
        if message["type"] == "http.response.start":
            kept = [one for one in message["headers"] if one[0] != b"cache-control"]
            message = {**message, "headers": kept}
        await send(message)

    path = scope.get("path")
    if FAULT == "forgetful" and path == "/me" and next(counted) % 20 == 0:
        challenge = [(b"www-authenticate", b'Bearer error="invalid_token"')]
        challenge.append((b"cache-control", b"no-store"))
        await send({"type": "http.response.start", "status": 401, "headers": challenge})
        await send({"type": "http.response.body", "body": b""})
    else:
        await guarded(scope, receive, careless if FAULT == "storable" else send)
