"""A clock that is given to the signer and the store is the clock of all that is built on them."""

from collections.abc import Mapping

import httpx2

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    JWTMiddleware,
    Key,
    MemoryStore,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.testing import make_token

KEY = Key.generate("ES256")


def signer_at(clock: FakeClock) -> Signer:
    """Return a signer that has a clock."""
    return Signer(KEY, issuer="https://issuer.test", audience="api", clock=clock)


async def test_a_token_is_near_expiry_by_the_clock_of_its_signer() -> None:
    """It is renewed then, and refused when it has expired."""
    clock = FakeClock()
    signer = signer_at(clock)
    renewal = SlidingRenewal(signer)
    app = JWTMiddleware(App(), Verifier.trusting(signer), renewal=renewal)
    first = renewal.start("alice")
    assert (await call(app, http(token=first.token))).successor is None
    clock.move(first.refresh_in + 1)
    answer = await call(app, http(token=first.token))
    assert answer.status == 200
    assert answer.successor is not None
    clock.move(3600)
    assert (await call(app, http(token=first.token))).status == 401


async def authenticate(form: Mapping[str, str]) -> Person:
    """Know every user."""
    return Person(subject=form["username"])


async def test_sign_in_and_refresh_have_the_clock_of_the_signer() -> None:
    """An access token lives for as long as its response says, and then a refresh replaces it."""
    clock = FakeClock()
    signer = signer_at(clock)
    sessions = Sessions(MemoryStore(clock=clock), signer, Key.generate("HS256"))
    verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
    routes = SessionRoutes(App(), sessions, verifier, authenticate)
    app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
    in_body = {"x-token-delivery": "body"}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://api.test") as client:

        async def ask(token: str) -> int:
            bearer = {"authorization": f"Bearer {token}"}
            return (await client.get("/me", headers=bearer)).status_code

        form = {"username": "alice", "password": "x"}
        held = (await client.post("/login", json=form, headers=in_body)).json()
        assert 0 < held["expires_in"] <= 900
        assert await ask(held["access_token"]) == 200
        clock.move(held["expires_in"] + 1)
        assert await ask(held["access_token"]) == 401
        spent = {"refresh_token": held["refresh_token"]}
        pair = (await client.post("/refresh", json=spent, headers=in_body)).json()
        assert 0 < pair["expires_in"] <= 900
        assert await ask(pair["access_token"]) == 200
    await sessions.close()


async def test_a_token_for_a_test_has_the_clock_of_its_maker() -> None:
    """Of a signer or an application, so that `near_expiry` is near the end by its clock."""
    clock = FakeClock()
    signer = signer_at(clock)
    app = JWTMiddleware(App(), Verifier.trusting(signer), renewal=SlidingRenewal(signer))
    for maker in (signer, app):
        assert (await call(app, http(token=make_token(maker)))).successor is None
        answer = await call(app, http(token=make_token(maker, near_expiry=True)))
        assert answer.status == 200
        assert answer.successor is not None
        assert (await call(app, http(token=make_token(maker, expired=True)))).status == 401
