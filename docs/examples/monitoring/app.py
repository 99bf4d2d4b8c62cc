"""An application whose metrics Prometheus reads at /metrics/."""

from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from linqi import JWTMiddleware, KeySet, LoggingHook, Signer, SlidingRenewal, Verifier
from linqi.instrumentation.prometheus import PrometheusHook

keys = KeySet.load_or_create("keys.json", "ES256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")


async def me(request):
    """Return who calls."""
    return JSONResponse({"user": request.user.identity})


api = Starlette(routes=[Route("/me", me), Mount("/metrics", make_asgi_app())])
app = JWTMiddleware(
    api,
    Verifier.trusting(signer),
    renewal=SlidingRenewal(signer),
    hooks=[LoggingHook(), PrometheusHook()],  # a list replaces the default, which is the log alone
    public=["/metrics", "/metrics/*"],  # to all who reach the port: close it in your network
)
