"""Public and optional routes of FastAPI applications: what is marked is open, and nothing else."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from fastapi_shop import bearer, check_password, client_of, components
from linqi import ConfigurationError, JWTMiddleware, Verified
from linqi.asgi._http import Access
from linqi.asgi.route_marks import access_of
from linqi.config import wrap
from linqi.errors import Unavailable
from linqi.fastapi import (
    CurrentUser,
    OptionalUser,
    load_user,
    marked_routes,
    optional,
    protect,
    public,
    requires,
)
from linqi.fastapi.routes import _flatten


async def text(request: Request) -> PlainTextResponse:
    """Answer with the path."""
    return PlainTextResponse(request.url.path)


def route(methods: str = "GET") -> Callable[..., Any]:
    """Return an endpoint of its own, so that a mark opens no other route."""

    async def endpoint() -> str:
        return methods

    return endpoint


class Home(HTTPEndpoint):
    """A public class, whose subclass is another matter."""

    async def get(self, request: Request) -> PlainTextResponse:
        """Answer."""
        return PlainTextResponse("home")


class Admin(Home):
    """Not marked."""


def every_kind_of_route() -> FastAPI:
    """Return an application with routers, mounts, parameters, classes and WebSockets."""
    app = FastAPI()
    inner = APIRouter(prefix="/inner")
    inner.add_api_route("/open", public(route()))
    inner.add_api_route("/closed", route())
    router = APIRouter(prefix="/items")
    router.add_api_route("/me", route())
    router.add_api_route("/{id}", public(route()))
    router.add_api_route("/{id}", route(), methods=["DELETE"])
    router.include_router(inner, prefix="/deep")
    app.include_router(router, prefix="/v1")
    app.add_api_route("/number/{id:int}", public(route()))
    app.add_api_route("/number/{id}", route())
    app.add_api_route("/files/{p:path}", public(route()))
    app.add_api_route("/extra", route(), openapi_extra={"security": []})
    app.add_api_route("/news", optional(route()))
    app.add_api_route("/slash/", public(route()))

    child = FastAPI()
    child.add_api_route("/open/{name}", public(route()))
    child.add_api_route("/closed", route())
    app.mount("/child/{tenant}", child)
    app.add_api_route("/child/a/late", public(route()))
    app.mount("/static", public(StaticFiles(directory=".")))
    app.mount("/private", StaticFiles(directory="."))
    app.routes.append(Mount("/plain", routes=[Route("/open", public(PlainTextResponse("x")))]))
    app.routes.append(Route("/home", public(Home)))
    app.routes.append(Route("/admin", Admin))

    @app.websocket("/ws/{room}")
    @public
    async def socket(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    return app


OPEN = [
    ("GET", "/v1/items/7"),
    ("GET", "/v1/items/deep/inner/open"),
    ("GET", "/number/7"),
    ("GET", "/files/a/b.txt"),
    ("GET", "/extra"),
    ("GET", "/news"),
    ("GET", "/slash/"),
    ("GET", "/slash"),
    ("GET", "/child/acme/open/x"),
    ("GET", "/static/pyproject.toml"),
    ("GET", "/plain/open"),
    ("GET", "/home"),
    ("POST", "/home"),
]
GUARDED = [
    ("GET", "/v1/items/me"),
    ("DELETE", "/v1/items/7"),
    ("POST", "/v1/items/7"),
    ("GET", "/v1/items/deep/inner/closed"),
    ("GET", "/number/seven"),
    ("POST", "/files/a"),
    ("GET", "/child/acme/closed"),
    ("GET", "/child/a/late"),
    ("GET", "/private/pyproject.toml"),
    ("GET", "/plain/closed"),
    ("GET", "/admin"),
    ("GET", "/ws/7"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/items/%2e%2e"),
    ("GET", "/unknown"),
]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """Return the application, protected."""
    found = every_kind_of_route()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(__file__.rpartition("/")[0] + "/..")
        protect(found, components(), authenticate=check_password)
    return found


async def test_a_marked_route_is_open_and_every_other_is_guarded(app: FastAPI) -> None:
    """Below routers and mounts, with parameters of every kind, whatever template would fit."""
    async with client_of(app) as client:
        for method, path in OPEN:
            answer = await client.request(method, path)
            assert answer.status_code in (200, 307, 405), path
        for method, path in GUARDED:
            assert (await client.request(method, path)).status_code == 401, path


def test_a_public_websocket_is_open_and_others_are_not(app: FastAPI) -> None:
    """Marks are read on WebSocket routes too."""
    with TestClient(app) as client, client.websocket_connect("/ws/7") as socket:
        assert socket.receive_text() == "7"


def test_what_is_open_is_what_the_router_gives_to_a_marked_route(app: FastAPI) -> None:
    """The guard and the framework's own dispatch agree on every path and method."""
    table = app.user_middleware[0].kwargs["marked"]
    table.access(scope_of("GET", "/"))  # as after the first request
    seen = set()
    for method in ("GET", "POST", "DELETE", "PURGE"):
        for path in {path for _, path in OPEN + GUARDED} | {"/", "/v1/items/", "/static"}:
            scope = scope_of(method, path)
            is_open = table.access(scope) is not Access.GUARDED
            endpoint = dispatched(app.routes, scope)
            if "%" not in path and path != "/slash":  # guarded as odd; redirected
                assert is_open == is_marked(endpoint), (method, path)
            seen.add(is_open)
    assert seen == {True, False}


def scope_of(method: str, path: str) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    raw = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    return raw | {"headers": [], "query_string": b"", "root_path": ""}


def dispatched(routes: Sequence[BaseRoute], scope: dict[str, Any]) -> Any:
    """Return the endpoint to which the framework itself dispatches, as its routers do."""
    for each in _flatten(routes):
        found, child = each[1].matches(dict(scope))
        if found is Match.FULL:
            if isinstance(each[0], Mount) and not is_marked(each[0].app):
                return dispatched(each[0].routes, scope | child)
            return each[0].app if isinstance(each[0], Mount) else each[0]
    return None


def is_marked(endpoint: Any) -> bool:
    """Return whether an application, or the endpoint of a route, is marked."""
    extra = getattr(endpoint, "openapi_extra", None) or {}
    target = getattr(endpoint, "endpoint", endpoint)
    return access_of(target)[0] is not Access.GUARDED or extra.get("security") == []


def test_protect_may_stand_before_the_routes() -> None:
    """They are collected when the server starts, and at the first request."""
    app = FastAPI()
    protect(app, components(), authenticate=check_password)
    app.add_api_route("/a", public(route()))
    with TestClient(app) as client:
        assert client.get("/a").status_code == 200
        assert client.get("/b").status_code == 401


def test_a_route_that_the_lifespan_adds_counts() -> None:
    """The application is complete after its start-up."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.add_api_route("/a", public(route()))
        yield

    app = FastAPI(lifespan=lifespan)
    protect(app, components(), authenticate=check_password)
    with TestClient(app) as client:
        assert client.get("/a").status_code == 200


def test_a_route_that_is_added_while_serving_stays_guarded_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In an included router too."""
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/a", public(route()))
    app.include_router(router)
    protect(app, components(), authenticate=check_password)
    with TestClient(app) as client, caplog.at_level(logging.ERROR, "linqi"):
        assert client.get("/a").status_code == 200
        app.add_api_route("/late/{id}", public(route()))
        router.add_api_route("/later", public(route()))
        assert client.get("/late/7").status_code == 401
        assert client.get("/later").status_code in (401, 404)
        assert client.get("/a").status_code == 200
    assert "GET /late/{id} is marked public, but was added after the first request" in caplog.text


async def one(verified: CurrentUser) -> str:
    """Depend on the caller."""
    return verified.identity


def loaded(verified: Annotated[Any, Depends(one)]) -> str:
    """Depend on the caller by another dependency."""
    return str(verified)


def account(verified: Verified) -> str:
    """Return the application's own user."""
    return verified.identity


@pytest.mark.parametrize(
    ("dependency", "named"),
    [
        (Depends(one), "current"),
        (Depends(loaded), "current"),
        (Depends(requires("read")), "requires"),
        (Depends(load_user(account)), "current"),
    ],
)
def test_a_public_route_that_needs_its_caller_is_an_error(dependency: Any, named: str) -> None:
    """No token is looked at there, so the dependency could only refuse."""
    app = FastAPI()
    app.add_api_route("/a", public(route()), dependencies=[dependency])
    with pytest.raises(ConfigurationError) as caught:
        marked_routes(app)
    assert "GET /a is marked public" in str(caught.value)
    assert named in str(caught.value)
    assert "mark it optional" in str(caught.value)


def test_a_public_route_with_an_optional_user_is_an_error() -> None:
    """It would always be None, also for a caller with a token."""
    app = FastAPI()

    @app.get("/a")
    @public
    async def a(user: OptionalUser) -> None: ...

    with pytest.raises(ConfigurationError, match="current_or_none"):
        marked_routes(app)


async def test_faults_of_routes_that_come_later_keep_the_server_from_starting() -> None:
    """The message is that of construction."""
    app = FastAPI()
    protect(app, components(), authenticate=check_password)
    app.add_api_route("/a", public(optional(route())))
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with contextlib.suppress(Unavailable):
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    failed = sent[0]
    assert failed["type"] == "lifespan.startup.failed"
    assert "GET /a is marked public and optional" in failed["message"]


class AnyRoute(BaseRoute):
    """A route of a class of the application's own."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Match everything."""
        return Match.FULL, {}


class Versioned(Route):
    """A route that looks at a header too."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Match requests of one version."""
        found = any(name == b"x-version" for name, _ in scope["headers"])
        return super().matches(scope) if found else (Match.NONE, {})


@pytest.mark.parametrize(
    ("hiding", "fault"),
    [
        (AnyRoute(), "after AnyRoute"),
        (Versioned("/b", public(text)), "GET HEAD /b is marked public after Versioned"),
        (
            Mount("/{p:path}", routes=[Route("/a/b", public(text)), Route("/b", text)]),
            r"/a/b is marked public below mount /\{p:path\}",
        ),
        (Host("api.example", PlainTextResponse("x")), r"after Host\('api.example'\)"),
        (
            Host("api.example", Router([Route("/in", public(text))])),
            r"GET HEAD /in is marked public below",
        ),
    ],
)
def test_what_a_path_does_not_tell_opens_nothing(hiding: BaseRoute, fault: str) -> None:
    """Routes by host name and of unknown kinds: a mark that they could hide is an error."""
    app = FastAPI()
    app.router.routes.append(hiding)
    app.add_api_route("/a", public(route()))
    with pytest.raises(ConfigurationError, match=fault):
        marked_routes(app)


@pytest.mark.parametrize("is_first", [True, False])
async def test_cors_stays_outside(is_first: bool) -> None:
    """So that scripts of other origins can read refusals, whichever call comes first."""
    app = FastAPI()
    if is_first:
        app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    protect(app, components(), authenticate=check_password)
    if not is_first:
        app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    async with client_of(app) as client:
        refused = await client.get("/a", headers={"Origin": "https://app.example"})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"


async def test_a_root_path_of_fastapi_itself_opens_no_other_route() -> None:
    """The middleware around it sees the path before FastAPI takes its root path off."""
    app = FastAPI()
    app.root_path = "/api"  # as the deprecated argument sets it
    app.add_api_route("/admin", route())
    app.add_api_route("/{a}/{b}", public(route()))
    guarded = wrap(app, components(), marked=marked_routes(app))
    async with client_of(guarded) as client:
        assert (await client.get("/api/admin")).status_code == 401
        assert (await client.get("/api/x/y")).status_code == 200


async def test_an_application_below_a_root_path_opens_the_same_routes() -> None:
    """As by ``--root-path``, behind a proxy."""
    app = FastAPI()
    app.add_api_route("/a/{x}", public(route()))
    protect(app, components(), authenticate=check_password)
    async with client_of(app, root_path="/api") as client:
        assert (await client.get("/api/a/1")).status_code == 200
        assert (await client.get("/api/b")).status_code == 401


async def test_a_protected_application_may_be_mounted() -> None:
    """Its guard sees paths below the mount, and its services start with the first request."""
    app, outer = FastAPI(), FastAPI()
    app.add_api_route("/a/{x}", public(route()))
    app.add_api_route("/me", route())
    protect(app, components(), authenticate=check_password)
    outer.mount("/shop", app)
    async with client_of(outer) as client:
        assert (await client.get("/shop/a/1")).status_code == 200
        assert (await client.get("/shop/me")).status_code == 401
        form = {"username": "alice", "password": "right"}
        token = (await client.post("/shop/login", data=form)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/shop/me", headers=headers)).status_code == 200


def test_the_guard_is_the_middleware() -> None:
    """`protect` adds it once, outside the session routes."""
    app = FastAPI()
    protect(app, components(), authenticate=check_password)
    assert [each.cls is JWTMiddleware for each in app.user_middleware] == [True, False]


async def test_security_of_fastapi_is_no_mark() -> None:
    """A scheme of the application's own stays beside the guard."""
    app = FastAPI()
    app.add_api_route("/a", route(), dependencies=[Security(one)])
    protect(app, components(), authenticate=check_password)
    async with client_of(app) as client:
        assert (await client.get("/a")).status_code == 401
        assert (await client.get("/a", headers=await bearer(app))).status_code == 200
