"""The OpenAPI description of the session routes is what they answer."""

import time
from typing import Any

import httpx2
import jsonschema
import jwt
import pytest

from linqi import (
    Bridge,
    JWTMiddleware,
    Key,
    KeySet,
    LoginThrottle,
    MemoryStore,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
)
from linqi.asgi.openapi_paths import security_scheme, session_paths, session_schemas
from linqi.jose.issuers import own_issuer

FORM = "application/x-www-form-urlencoded"
OPERATIONS = [(m, path) for path, item in session_paths().items() for m in item]


@pytest.fixture
def app() -> JWTMiddleware:
    """Return the session routes behind the middleware, with one sign-in failure allowed."""
    key = Key.from_secret(bytes(range(32)))
    signer = Signer(key, issuer="https://shop.example", audience="shop")
    verifier = Verifier.trusting(signer)
    sessions = Sessions(MemoryStore(), signer, KeySet([key]))
    throttle = LoginThrottle(per_pair="1 per 5 minutes")

    def authenticate(form: Any) -> Person | None:
        return Person(subject="alice") if form["password"] == "right" else None

    routes = SessionRoutes(unreached, sessions, verifier, authenticate, throttle=throttle)
    return JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])


async def test_the_route_that_takes_tokens_of_an_earlier_system_answers_as_described() -> None:
    """It is there with a bridge only, and is described then only."""
    old = bytes(range(1, 33))
    key = Key.from_secret(bytes(range(32)))
    signer = Signer(key, issuer="https://shop.example", audience="shop")
    bridge = Bridge(key=Key.from_secret(old), until=time.time() + 900, lifetime=900)
    verifier = Verifier(own_issuer(signer), bridge=bridge)
    sessions = Sessions(MemoryStore(), signer, KeySet([key]))
    routes = SessionRoutes(unreached, sessions, verifier, lambda _: None)
    guarded = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions], hooks=[])
    now = int(time.time())
    token = jwt.encode({"sub": "alice", "iat": now, "exp": now + 600}, old, "HS256")
    ours = (await sessions.sign_in("alice")).access_token
    seen = []
    async with client_of(guarded) as client:
        for presented in (token, ours, "x"):
            headers = {"Authorization": f"Bearer {presented}"}
            response = await client.post("/move", headers=headers)
            check(("post", "/move"), response)
            seen.append(response.status_code)
    await sessions.close()
    assert seen == [200, 400, 401]
    assert "/move" not in session_paths()


async def unreached(scope: Any, receive: Any, send: Any) -> None:
    """Fail: the session routes answer every request of these tests."""
    raise AssertionError(scope["path"])


def client_of(app: JWTMiddleware) -> httpx2.AsyncClient:
    """Return a client that calls `app` in this process."""
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url="http://shop.test")


def check(operation: tuple[str, str], response: httpx2.Response) -> None:
    """Check that the document has the status of `response`, and its body."""
    method, path = operation
    described = session_paths(moves=True)[path][method]["responses"][str(response.status_code)]
    if "content" not in described:
        assert response.content == b""
        return
    schema = described["content"][response.headers["content-type"]]["schema"]
    whole = {**schema, "components": {"schemas": session_schemas()}}
    jsonschema.validate(response.json(), whole)
    if name := schema.get("$ref", "").rpartition("/")[2]:
        assert response.json().keys() <= session_schemas()[name]["properties"].keys()


async def test_each_operation_answers_as_described(app: JWTMiddleware) -> None:
    """Successes, faults of the request, refusals and the limit of sign-ins."""
    seen = set()
    async with client_of(app) as client:

        async def ask(method: str, path: str, at: str | None = None, **more: Any) -> Any:
            response = await client.request(method.upper(), at or path, **more)
            check((method, path), response)
            seen.add((method, path, response.status_code))
            return response

        login = {"grant_type": "password", "username": "alice", "password": "right", "scope": ""}
        tokens = (await ask("post", "/login", data=login)).json()
        await ask("post", "/login", content=b"x", headers={"content-type": "text/plain"})
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        await ask("get", "/sessions")
        listed = (await ask("get", "/sessions", headers=bearer)).json()["sessions"]
        one = f"/sessions/{listed[0]['session_id']}"
        await ask("delete", "/sessions/{session_id}", "/sessions/none", headers=bearer)
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        await ask("post", "/refresh", data=refresh)
        await ask("post", "/refresh", data={"refresh_token": "wrong"})
        await ask("post", "/revoke", json={"token": "foreign"})
        await ask("post", "/logout", json={"refresh_token": "wrong"})
        await ask("delete", "/sessions/{session_id}", one, headers=bearer)
        tokens = (await ask("post", "/login", json=login)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        await ask("post", "/logout-all")
        await ask("post", "/logout-all", headers=bearer)
        await ask("post", "/login", json=login | {"password": "wrong"})
        await ask("post", "/login", json=login | {"password": "wrong"})
    assert {(method, path) for method, path, _ in seen} == set(OPERATIONS)
    assert {status for *_, status in seen} == {200, 204, 400, 401, 404, 415, 429}


async def test_the_sign_in_takes_exactly_what_swagger_ui_sends(app: JWTMiddleware) -> None:
    """A form with grant_type, username, password and scope, and a Basic header without a client."""
    async with client_of(app) as client:
        response = await client.post(
            "/login",
            content=b"grant_type=password&scope=&username=alice&password=right",
            headers={
                "Content-Type": FORM,
                "Accept": "application/json, text/plain, */*",
                "Authorization": "Basic Og==",  # the client id and secret, both empty
                "X-Requested-With": "XMLHttpRequest",
            },
        )
    assert response.status_code == 200
    assert response.json()["token_type"] == "Bearer"
    assert "set-cookie" not in response.headers


def test_only_the_guarded_session_routes_have_a_security_requirement() -> None:
    """Sign-in, refresh, sign-out and revocation need no access token."""
    paths = session_paths("/auth", scheme="jwt")
    secured = {path for path, item in paths.items() for op in item.values() if "security" in op}
    assert secured == {"/auth/logout-all", "/auth/sessions", "/auth/sessions/{session_id}"}
    for item in paths.values():
        for operation in item.values():
            assert ("401" in operation["responses"]) == ("security" in operation)


def test_the_scheme_is_a_password_flow_or_a_pasted_token() -> None:
    """Without a sign-in there is nothing to sign in with."""
    flow = security_scheme("/login", refresh_url="/refresh", scopes={"read": "See orders"})
    assert flow["flows"]["password"] == {
        "tokenUrl": "/login",
        "refreshUrl": "/refresh",
        "scopes": {"read": "See orders"},
    }
    assert security_scheme() == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
