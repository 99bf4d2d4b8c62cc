"""Signed-in users in the test clients of the frameworks, each with the guard in its usual place."""

from typing import Any

import falcon
import falcon.asgi
import falcon.testing
import litestar
import litestar.testing
import pytest
import quart
from litestar.middleware import DefineMiddleware

from linqi import (
    JWTMiddleware,
    Key,
    MemoryStore,
    Revocations,
    Sessions,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.testing.pytest_plugin import SignedInFixture


def arguments() -> dict[str, Any]:
    """Return the arguments of the middleware of an application with sliding sessions."""
    signer = Signer(Key.generate("ES256"), issuer="https://shop.example", audience="shop")
    store = MemoryStore()
    revocations = Revocations(store)
    sessions = Sessions(store, signer, Key.generate("HS256"), revocations=revocations, hooks=[])
    return {
        "verifier": Verifier.trusting(signer, is_revoked=revocations.is_revoked),
        "renewal": SlidingRenewal(signer, is_revoked=revocations.is_revoked),
        "services": [sessions],
        "hooks": [],
    }


@litestar.get("/me")
async def litestar_me(request: litestar.Request[Any, Any, Any]) -> str:
    """Answer who called."""
    return str(request.scope["user"].identity)


@pytest.mark.parametrize("place", ["list", "outside"])
def test_litestar(signed_in: SignedInFixture, place: str) -> None:
    """In the list of middleware, and around the application."""
    guards = [DefineMiddleware(JWTMiddleware, **arguments())] if place == "list" else []
    app: Any = litestar.Litestar([litestar_me], middleware=guards)
    if place == "outside":
        app.asgi_handler = JWTMiddleware(app.asgi_handler, **arguments())
    with litestar.testing.TestClient(app) as client:
        alice = signed_in(client, "alice", near_expiry=True)
        assert alice.get("/me").text == "alice"
        assert len(alice.successors) == 1
        assert client.get("/me").status_code == 401
        alice.revoke()
        assert alice.get("/me").status_code == 401


async def test_litestars_async_client(signed_in: SignedInFixture) -> None:
    """The same, awaited."""
    guard = DefineMiddleware(JWTMiddleware, **arguments())
    app = litestar.Litestar([litestar_me], middleware=[guard])
    async with litestar.testing.AsyncTestClient(app) as client:
        alice = signed_in(client, "alice")
        assert (await alice.get("/me")).text == "alice"


async def test_quart(signed_in: SignedInFixture) -> None:
    """Around ``asgi_app``, as Quart documents it."""
    app = quart.Quart("shop")

    @app.get("/me")
    async def me() -> str:
        return str(quart.request.scope["linqi"].subject)

    app.asgi_app = JWTMiddleware(app.asgi_app, **arguments())  # type: ignore[method-assign, assignment]
    client = app.test_client()
    alice = signed_in(client, "alice", near_expiry=True)
    answer = await alice.get("/me")
    assert await answer.get_data(as_text=True) == "alice"
    assert len(alice.successors) == 1
    assert (await client.get("/me")).status_code == 401
    await alice.revoke()
    assert (await alice.get("/me")).status_code == 401


class _Me:
    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Answer who called."""
        response.text = str(request.scope["linqi"].subject)


def falcon_app() -> Any:
    """Return a Falcon application inside the middleware."""
    inner = falcon.asgi.App()
    inner.add_route("/me", _Me())
    return JWTMiddleware(inner, **arguments())


def test_falcon(signed_in: SignedInFixture) -> None:
    """The client makes an event loop for each request."""
    client = falcon.testing.TestClient(falcon_app())
    alice = signed_in(client, "alice", near_expiry=True)
    assert alice.simulate_get("/me").text == "alice"
    assert alice.get("/me").text == "alice"
    assert len(alice.successors) == 1
    assert client.simulate_get("/me").status_code == 401
    alice.revoke()
    assert alice.get("/me").status_code == 401


async def test_falcons_conductor(signed_in: SignedInFixture) -> None:
    """The same, awaited, with the lifespan of the application."""
    async with falcon.testing.ASGIConductor(falcon_app()) as client:
        alice = signed_in(client, "alice")
        assert (await alice.simulate_get("/me")).text == "alice"
        assert (await alice.get("/me")).text == "alice"
        await alice.revoke()
        assert (await alice.get("/me")).status_code == 401
