"""An application whose metrics a real Prometheus scrapes: sliding tokens, sessions, an issuer.

``uvicorn monitored_app:app`` with ``STORE`` (the URL of a store) and ``ISSUER`` (the URL of an
outside issuer). Its lifetimes are seconds, so that an outage of minutes fits into a few.
"""

import os

from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from linqi import (
    JWTMiddleware,
    Key,
    KeySet,
    Person,
    RefreshSettings,
    RemoteKeys,
    RenewalBudget,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.instrumentation.prometheus import PrometheusHook
from linqi.jose.issuers import own_issuer
from linqi.sessions.renewal import Threshold
from linqi.stores.store_url import open_store
from linqi_storm.outside.issuer import AUDIENCE

LIFETIME, BUFFER = 9.0, 4.0

signer = Signer(KeySet([Key.generate("ES256")]), issuer="https://i", audience="a")
renewal = SlidingRenewal(
    signer,
    RenewalSettings(lifetime=LIFETIME, buffer=BUFFER, policy=Threshold()),
    budget=RenewalBudget(rate=2, burst=1),
)
sessions = Sessions(open_store(os.environ["STORE"]), signer, KeySet([Key.generate("HS256")]))
keys = RemoteKeys(
    os.environ["ISSUER"],
    ["ES256"],
    refresh=RefreshSettings(
        lifetime=2, least_lifetime=1, most_lifetime=2, stale=6, cooldown=1, longest_backoff=1
    ),
)


def authenticate(form: dict[str, str]) -> Person:
    """Return any user."""
    return Person(subject=form["username"])


async def start(request: Request) -> Response:
    """Start a sliding session."""
    return JSONResponse({"token": renewal.start(request.path_params["name"]).token})


async def work(request: Request) -> Response:
    """Answer a guarded request."""
    return JSONResponse({"user": request.user.identity})


verifier = Verifier(
    [own_issuer(signer), keys.trust(AUDIENCE)], is_revoked=sessions.revocations.is_revoked
)
app = JWTMiddleware(
    SessionRoutes(
        Starlette(
            routes=[
                Route("/start/{name}", start),
                Route("/work", work),
                Mount("/metrics", make_asgi_app()),
            ]
        ),
        sessions,
        verifier,
        authenticate,
        prefix="/auth",
    ),
    verifier,
    renewal=renewal,
    public=["/start/*", "/auth/*", "/metrics/*"],
    services=[sessions],
    hooks=[PrometheusHook()],
)
