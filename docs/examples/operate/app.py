"""The application of the runbooks: dual tokens by linqi.toml, metrics at /metrics/, log lines."""

from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from linqi import LoggingHook, Person
from linqi.config import wrap
from linqi.instrumentation.prometheus import PrometheusHook


def authenticate(form):
    """Accept any name with the password of the demonstration: check yours here."""
    return Person(subject=form["username"]) if form["password"] == "storm" else None


async def me(request):
    """Answer who calls."""
    return JSONResponse({"user": request.user.identity})


app = wrap(
    Starlette(routes=[Route("/me", me), Mount("/metrics", make_asgi_app())]),
    "linqi.toml",
    authenticate=authenticate,
    hooks=[LoggingHook(), PrometheusHook()],
)
