"""FastAPI behind linqi: dependencies for the caller, users, scopes and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Security, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.testclient import WebSocketDenialResponse

from fastapi_shop import bearer, check_password, client_of, components
from linqi import ConfigurationError, JWTMiddleware, Verified
from linqi.config import Components, wrap
from linqi.errors import Unavailable
from linqi.fastapi import (
    CurrentUser,
    OptionalUser,
    RefusedRequest,
    current,
    document,
    load_user,
    marked_routes,
    optional,
    protect,
    public,
    requires,
)

T = TypeVar("T")


class Database:
    """The accounts of the service, which count how often they are asked."""

    def __init__(self) -> None:
        self.names = {"alice", "root"}
        self.asked = 0


DATABASE = Database()


def database() -> Iterator[Database]:
    """Return the database as a dependency that is closed."""
    yield DATABASE


@dataclass
class Account:
    """The application's own user."""

    name: str


async def load(verified: Verified, db: Annotated[Database, Depends(database)]) -> Account | None:
    """Load an account; trouble has names."""
    db.asked += 1
    if verified.identity == "outage":
        raise Unavailable("the database is down", retry_after=7)
    if verified.identity == "fault":
        raise ZeroDivisionError
    return Account(verified.identity) if verified.identity in db.names else None


def load_in_a_thread(verified: Verified) -> Account:
    """Load an account without awaiting."""
    return Account(f"thread:{verified.identity}")


ACCOUNT = load_user(load)
THREAD_ACCOUNT = load_user(load_in_a_thread)
Me = Annotated[Account, Depends(ACCOUNT)]


def greeting(me: Me) -> str:
    """Return a text by a dependency on the user."""
    return f"hello {me.name}"


class Page(BaseModel, Generic[T]):
    """A generic response."""

    items: list[T]
    owner: str


def shop(**more: Any) -> FastAPI:
    """Return a protected application."""
    app = FastAPI()
    protect(app, components(), authenticate=check_password, **more)

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.identity

    @app.get("/news")
    @optional
    async def news(user: OptionalUser) -> str:
        return "stranger" if user is None else user.identity

    @app.get("/orders")
    async def orders(user: Annotated[Verified, Depends(requires("orders:read"))]) -> Page[str]:
        return Page(items=["tea"], owner=user.identity)

    @app.delete("/orders", dependencies=[Depends(requires("orders:read", "orders:write"))])
    def delete_orders() -> None: ...

    @app.put("/orders")
    def put_orders(user: Annotated[Verified, Security(current, scopes=["orders:write"])]) -> str:
        return user.identity

    @app.get("/account")
    async def account(me: Me, again: Me, text: Annotated[str, Depends(greeting)]) -> list[str]:
        assert me is again
        return [me.name, text]

    @app.get("/thread")
    def thread(me: Annotated[Account, Depends(THREAD_ACCOUNT)]) -> str:
        return me.name

    @app.post("/mail")
    async def mail(user: CurrentUser, tasks: BackgroundTasks) -> None:
        tasks.add_task(app.state.sent.append, user.identity)

    app.state.sent = []
    add_sockets(app)
    return app


def add_sockets(app: FastAPI) -> None:
    """Add WebSockets for callers, for a scope and for a user."""

    @app.websocket("/feed")
    async def feed(socket: WebSocket, user: CurrentUser) -> None:
        await socket.accept()
        await socket.send_text(user.identity)
        await socket.close()

    @app.websocket("/admin")
    async def admin(
        socket: WebSocket, user: Annotated[Verified, Depends(requires("admin"))]
    ) -> None:
        await socket.accept()

    @app.websocket("/account")
    async def account_feed(socket: WebSocket, me: Me) -> None:
        await socket.accept()
        await socket.send_text(me.name)
        await socket.close()


APP = shop()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of the application without a token."""
    async with client_of(APP) as found:
        yield found


async def test_a_dependency_gives_the_verified_caller(client: httpx2.AsyncClient) -> None:
    """`CurrentUser` is the value that the middleware verified."""
    answer = await client.get("/me", headers=await bearer(APP))
    assert (answer.status_code, answer.json()) == (200, "alice")
    assert (await client.get("/me")).status_code == 401


async def test_an_optional_route_serves_strangers_and_refuses_bad_tokens(
    client: httpx2.AsyncClient,
) -> None:
    """A token that is presented is verified."""
    assert (await client.get("/news")).json() == "stranger"
    assert (await client.get("/news", headers=await bearer(APP))).json() == "alice"
    refused = await client.get("/news", headers={"Authorization": "Bearer x.y.z"})
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("method", "name", "status", "challenge"),
    [
        ("GET", "alice", 200, None),
        ("GET", "bob", 403, 'error="insufficient_scope", scope="orders:read"'),
        ("DELETE", "root", 200, None),
        ("DELETE", "alice", 403, 'error="insufficient_scope", scope="orders:read orders:write"'),
        ("PUT", "root", 200, None),
        ("PUT", "alice", 403, 'error="insufficient_scope", scope="orders:write"'),
        ("PUT", None, 401, 'Bearer realm="api"'),
    ],
)
async def test_scopes_are_required_with_the_challenge_of_rfc_6750(
    client: httpx2.AsyncClient, method: str, name: str | None, status: int, challenge: str | None
) -> None:
    """By `requires` and by FastAPI's own ``Security(current, scopes=...)``."""
    headers = {} if name is None else await bearer(APP, name)
    answer = await client.request(method, "/orders", headers=headers)
    assert answer.status_code == status
    assert challenge is None or challenge in answer.headers["WWW-Authenticate"]
    if status == 403:
        assert answer.json() == {"error": "insufficient_scope"}
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_generic_response_comes_with_postponed_annotations(
    client: httpx2.AsyncClient,
) -> None:
    """Strings are resolved: the module has ``from __future__ import annotations``."""
    answer = await client.get("/orders", headers=await bearer(APP))
    assert answer.json() == {"items": ["tea"], "owner": "alice"}


async def test_the_applications_own_user_is_loaded_once_per_request(
    client: httpx2.AsyncClient,
) -> None:
    """However many dependencies ask for it; plain functions run in a thread."""
    headers = await bearer(APP)
    before = DATABASE.asked
    answer = await client.get("/account", headers=headers)
    assert answer.json() == ["alice", "hello alice"]
    assert DATABASE.asked == before + 1
    assert (await client.get("/thread", headers=headers)).json() == "thread:alice"


async def test_a_user_who_is_no_longer_there_is_refused(client: httpx2.AsyncClient) -> None:
    """The token is good, but its user is gone: 401, so that the client asks for a sign-in."""
    answer = await client.get("/account", headers=await bearer(APP, "gone"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.json()["error"] == "invalid_token"


async def test_an_outage_behind_the_user_is_503_and_a_fault_is_the_applications() -> None:
    """`Unavailable` has a Retry-After; other exceptions are not hidden."""
    async with client_of(APP, raise_app_exceptions=False) as client:
        down = await client.get("/account", headers=await bearer(APP, "outage"))
        assert (down.status_code, down.headers["Retry-After"]) == (503, "7")
        fault = await client.get("/account", headers=await bearer(APP, "fault"))
        assert fault.status_code == 500


async def test_a_background_task_knows_the_caller(client: httpx2.AsyncClient) -> None:
    """The value lives as long as the task needs it."""
    assert (await client.post("/mail", headers=await bearer(APP))).status_code == 200
    assert APP.state.sent == ["alice"]


async def test_a_websocket_knows_its_caller() -> None:
    """Dependencies refuse before the accept: by a response, or by 1008 without the extension."""
    alice, gone = await bearer(APP), await bearer(APP, "gone")
    with TestClient(APP) as client:
        for path in ("/feed", "/account"):
            with client.websocket_connect(path, headers=alice) as socket:
                assert socket.receive_text() == "alice"
        for path, headers, status in (
            ("/feed", {}, 401),
            ("/admin", alice, 403),
            ("/account", gone, 401),
        ):
            with (
                pytest.raises(WebSocketDenialResponse) as denied,
                client.websocket_connect(path, headers=headers),
            ):
                pass
            assert denied.value.status_code == status
            assert "Bearer" in denied.value.headers["WWW-Authenticate"]


async def test_a_websocket_is_closed_where_the_server_sends_no_response() -> None:
    """The close code is that of a violated policy."""
    sent: list[Any] = []
    headers = [(k.lower().encode(), v.encode()) for k, v in (await bearer(APP)).items()]
    scope = {"type": "websocket", "path": "/admin", "headers": headers, "query_string": b""}

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await APP(scope | {"subprotocols": []}, receive, send)
    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)]


def test_a_dependency_without_the_middleware_raises() -> None:
    """It is no anonymous request: the message says what is missing."""
    app = FastAPI()

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.identity

    @app.get("/news")
    async def news(user: OptionalUser) -> str:
        return "stranger"

    for path in ("/me", "/news"):
        with pytest.raises(ConfigurationError, match="JWTMiddleware"):
            TestClient(app).get(path)


async def test_tests_may_override_every_dependency() -> None:
    """FastAPI's own way of replacing what a route receives."""
    app = shop()
    (guard,) = [each for each in app.user_middleware if each.cls is JWTMiddleware]
    verifier: Any = guard.kwargs["verifier"]
    verified = verifier.verify((await bearer(app, "root"))["Authorization"][7:])
    app.dependency_overrides[current] = lambda: verified
    app.dependency_overrides[requires("orders:read")] = lambda: verified
    app.dependency_overrides[ACCOUNT] = lambda: Account("fake")
    headers = await bearer(app, "bob")
    async with client_of(app) as client:
        assert (await client.get("/me", headers=headers)).json() == "root"
        assert (await client.get("/orders", headers=headers)).json()["owner"] == "root"
        assert (await client.get("/account", headers=headers)).json() == ["fake", "hello fake"]
        assert (await client.get("/me")).status_code == 401, "the guard is no dependency"


async def test_an_own_handler_decides_the_body_of_refusals() -> None:
    """As for every exception of FastAPI; the challenge comes from the exception."""
    app = shop()

    @app.exception_handler(RefusedRequest)
    async def answer(request: Any, error: RefusedRequest) -> Any:
        return JSONResponse({"mine": error.status_code}, error.status_code, error.headers)

    async with client_of(app) as client:
        refused = await client.get("/orders", headers=await bearer(app, "bob"))
    assert refused.json() == {"mine": 403}
    assert 'scope="orders:read"' in refused.headers["WWW-Authenticate"]


async def test_the_middleware_may_be_put_in_by_hand() -> None:
    """``add_middleware`` with the routes, and the document."""
    parts, app = components(), FastAPI()

    @app.get("/open/{name}")
    @public
    async def opened(name: str) -> str:
        return name

    @app.get("/orders", dependencies=[Depends(requires("orders:write"))])
    async def orders() -> None: ...

    routes = marked_routes(app)
    app.add_middleware(JWTMiddleware, **parts.options() | {"marked": routes})
    document(app, routes, token_url="/login")
    assert parts.sessions is not None
    pair = await parts.sessions.sign_in("alice")
    await check_hand_made(app, pair.access_token)
    assert "/login" not in app.openapi()["paths"]
    assert app.openapi()["paths"]["/orders"]["get"]["security"] == [{"linqi": ["orders:write"]}]
    await parts.sessions.close()


async def test_the_middleware_may_be_wrapped_around() -> None:
    """``linqi.config.wrap`` with the routes; without it marks open nothing."""
    parts, api = components(), FastAPI()

    @api.get("/open/{name}")
    @public
    async def opened(name: str) -> str:
        return name

    @api.get("/orders", dependencies=[Depends(requires("orders:write"))])
    async def orders() -> None: ...

    wrapped = wrap(api, parts, authenticate=check_password, marked=marked_routes(api))
    async with client_of(wrapped) as client:
        form = {"username": "alice", "password": "right"}
        token = (await client.post("/login", data=form)).json()["access_token"]
    await check_hand_made(wrapped, token)
    async with client_of(wrap(api, parts, authenticate=check_password)) as client:
        assert (await client.get("/open/x")).status_code == 401


async def check_hand_made(app: Any, token: str) -> None:
    """Check an open route, a stranger and a scope."""
    headers = {"Authorization": f"Bearer {token}"}
    async with client_of(app) as client:
        assert (await client.get("/open/x")).json() == "x"
        assert (await client.get("/orders")).status_code == 401
        refused = await client.get("/orders", headers=headers)
        assert refused.status_code == 403
        assert 'scope="orders:write"' in refused.headers["WWW-Authenticate"]


async def test_the_realm_of_the_file_is_that_of_every_challenge() -> None:
    """The guard's and the dependencies'."""
    app = FastAPI()
    parts = components({"http": {"realm": "shop"}})
    protect(app, parts, authenticate=check_password)

    @app.get("/orders", dependencies=[Depends(requires("orders:write"))])
    async def orders() -> None: ...

    async with client_of(app) as client:
        for headers in ({}, await bearer(app)):
            answer = await client.get("/orders", headers=headers)
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="shop"')


def yielding(verified: Verified) -> Iterator[Account]:
    """Yield, which a loader may not."""
    yield Account("x")


def without_verified(name: str) -> Account:
    """Take no verified token."""
    return Account(name)


@pytest.mark.parametrize("loader", [yielding, without_verified])
def test_a_loader_of_another_form_is_an_error_at_once(loader: Any) -> None:
    """When the dependency is made, not at the first request."""
    with pytest.raises(ConfigurationError, match=loader.__name__):
        load_user(loader)


def test_scopes_are_checked_when_the_dependency_is_made() -> None:
    """No scope, or a text that is none."""
    for scopes in ((), ("two words",), ("",)):
        with pytest.raises(ConfigurationError, match="requires"):
            requires(*scopes)


def test_protect_returns_the_parts_and_refuses_a_second_call() -> None:
    """The parts have the session service; two guards would verify twice."""
    app = FastAPI()
    parts = protect(app, components(), authenticate=check_password)
    assert isinstance(parts, Components)
    with pytest.raises(ConfigurationError, match="already"):
        protect(app, components())
    served = FastAPI()
    TestClient(served).get("/")
    with pytest.raises(ConfigurationError, match="serves already"):
        protect(served, components())
