"""Two replicas of this application share sessions and keys: see compose.yaml beside it.

``STORE`` is the URL of the store, ``KEYS`` the folder of the keys that all replicas load.
"""

import os
from pathlib import Path

from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from linqi import JWTMiddleware, KeySet, Person, SessionRoutes, Sessions, Signer, Verifier
from linqi.instrumentation.prometheus import PrometheusHook
from linqi.stores.store_url import open_store

folder, hooks = Path(os.environ["KEYS"]), [PrometheusHook()]


def authenticate(form):
    """Accept any name with the password of the demonstration: check yours here."""
    return Person(subject=form["username"]) if form["password"] == "storm" else None


async def me(request):
    """Answer who called."""
    return JSONResponse({"user": request.scope["user"].identity})


keys = KeySet.load_or_create(folder / "keys.json", "ES256")
secrets = KeySet.load_or_create(folder / "refresh.json", "HS256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")
sessions = Sessions(open_store(os.environ["STORE"]), signer, secrets.keys, hooks=hooks)
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
pages = Starlette(routes=[Route("/me", me), Mount("/metrics", make_asgi_app())])
routes = SessionRoutes(pages, sessions, verifier, authenticate, throttle=None)
app = JWTMiddleware(
    routes, verifier, public=[*routes.public, "/metrics/*"], services=[sessions], hooks=hooks
)
