"""Test clients with a signed-in user: what they send, what they keep, and whose keys sign."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from linqi import (
    CookieTransport,
    HeaderTransport,
    JWTMiddleware,
    Key,
    KeySet,
    MemoryStore,
    NamedHeaderTransport,
    RemoteKeys,
    Revocations,
    Sessions,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verifier,
)
from linqi.testing import CannotTest, FakeIssuer, ProcessClock, SignedIn, signed_in
from linqi.testing.pytest_plugin import SignedInFixture

KEY = Key.generate("ES256")


async def who(request: Request) -> JSONResponse:
    """Answer who called, and what else the request carried."""
    return JSONResponse(
        {
            "user": request.user.identity,
            "scopes": list(request.auth.scopes),
            "extra": request.headers.get("x-extra", ""),
            "role": request.scope["linqi"].claims.get("role", ""),
        }
    )


async def talk(socket: WebSocket) -> None:
    """Send a WebSocket its identity, and keep it open."""
    await socket.accept()
    await socket.send_text(socket.user.identity)
    with contextlib.suppress(WebSocketDisconnect):
        await socket.receive_text()


ROUTES = [Route("/", who, methods=["GET", "POST"]), WebSocketRoute("/talk", talk)]


def sliding_app(**options: Any) -> JWTMiddleware:
    """Return an application with sliding sessions that checks revocations."""
    signer = Signer(KEY, issuer="https://shop.example", audience="shop")
    store = MemoryStore()
    revocations = Revocations(store)
    sessions = Sessions(store, signer, Key.generate("HS256"), revocations=revocations, hooks=[])
    return JWTMiddleware(
        Starlette(routes=ROUTES),
        Verifier.trusting(signer, is_revoked=revocations.is_revoked),
        renewal=SlidingRenewal(signer, is_revoked=revocations.is_revoked),
        services=[sessions],
        hooks=[],
        **options,
    )


APP = sliding_app()
"""Made at import, before any fixture, as most applications are."""


def dual_app() -> Starlette:
    """Return an application with dual tokens, with the middleware inside the framework."""
    signer = Signer(KEY, issuer="https://shop.example", audience="shop")
    store = MemoryStore()
    revocations = Revocations(store)
    sessions = Sessions(store, signer, Key.generate("HS256"), revocations=revocations, hooks=[])
    verifier = Verifier.trusting(signer, is_revoked=revocations.is_revoked)
    guard = Middleware(JWTMiddleware, verifier=verifier, services=[sessions], hooks=[])
    return Starlette(routes=ROUTES, middleware=[guard])


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Return a client of the running application."""
    with TestClient(APP) as started:
        yield started


def test_a_user_is_signed_in_and_a_stranger_is_not(
    client: TestClient, signed_in: SignedInFixture
) -> None:
    """The client itself is not changed, so two users and a stranger can share it."""
    alice = signed_in(client, "alice", scopes=["orders:read"], claims={"role": "buyer"})
    bob = signed_in(client, "bob")
    answer = alice.get("/", headers={"X-Extra": "kept"}).json()
    assert answer == {
        "user": "alice",
        "scopes": ["orders:read"],
        "extra": "kept",
        "role": "buyer",
    }
    assert bob.post("/").json()["user"] == "bob"
    refused = client.get("/")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="api"')
    assert alice.session_id != bob.session_id
    assert repr(alice) == "<SignedIn TestClient, 0 successors>"


def test_a_header_of_the_test_replaces_the_token(
    client: TestClient, signed_in: SignedInFixture
) -> None:
    """A test may send another token by the same client, in whatever form headers have."""
    alice, bob = signed_in(client, "alice"), signed_in(client, "bob")
    assert alice.get("/", headers=bob.headers).json()["user"] == "bob"
    pairs = [("authorization", bob.headers["Authorization"])]
    assert alice.get("/", headers=pairs).json()["user"] == "bob"
    assert alice.get("/", headers=[("x-extra", "1")]).json()["user"] == "alice"


def test_the_client_follows_successors(
    client: TestClient, signed_in: SignedInFixture, linqi_clock: ProcessClock
) -> None:
    """The token is renewed by the response, the next request sends the successor, and it ends."""
    alice = signed_in(client, "alice")
    first, ends = alice.token, alice.expires_at
    assert alice.get("/").status_code == 200
    assert alice.token == first
    linqi_clock.move_to(ends - 60)  # time runs on, and the machine may be busy
    assert "x-refresh-token" in alice.get("/").headers
    assert alice.successors == [alice.token]
    linqi_clock.move_to(ends + 1)
    assert alice.get("/").status_code == 200
    assert client.get("/", headers={"Authorization": f"Bearer {first}"}).status_code == 401
    linqi_clock.move_to(alice.expires_at)
    assert alice.get("/").status_code == 401


def test_the_successor_is_found_in_the_header_of_the_application(
    signed_in: SignedInFixture,
) -> None:
    """The name of the header is the application's own."""
    app = sliding_app(transports=[HeaderTransport("X-Next")])
    alice = signed_in(TestClient(app), near_expiry=True)
    assert alice.token != alice.get("/").headers["x-next"] or alice.successors
    assert len(alice.successors) == 1


def test_the_token_is_sent_in_the_header_of_the_application(signed_in: SignedInFixture) -> None:
    """Also where the application takes another header than Authorization, with a scheme."""
    app = sliding_app(transports=[NamedHeaderTransport("X-Token", scheme="JWT")])
    alice = signed_in(TestClient(app))
    assert alice.headers == {"X-Token": f"JWT {alice.token}"}
    assert alice.get("/").json()["user"] == "alice"


def test_near_expiry_and_expired_without_a_clock(
    client: TestClient, signed_in: SignedInFixture
) -> None:
    """A token may be old from the beginning."""
    assert signed_in(client, near_expiry=True).get("/").headers["x-refresh-token"]
    refused = signed_in(client, expired=True).get("/")
    assert refused.status_code == 401
    assert "expired" in refused.headers["www-authenticate"]


@pytest.mark.parametrize("is_running", [True, False])
def test_a_revoked_session_is_refused_at_once(signed_in: SignedInFixture, is_running: bool) -> None:
    """Also where the test client starts no lifespan, and has an event loop for each request."""
    client = TestClient(sliding_app())
    if is_running:
        client.__enter__()
    alice, bob = signed_in(client, "alice"), signed_in(client, "bob")
    assert alice.get("/").status_code == 200
    alice.revoke()
    assert alice.get("/").status_code == 401
    assert bob.get("/").status_code == 200
    if is_running:
        client.__exit__()


async def test_an_async_client_awaits_the_same(signed_in: SignedInFixture) -> None:
    """Both httpx and httpx2 do, with the application in the same event loop."""
    app: Any = sliding_app()
    for library in (httpx, httpx2):
        transport: Any = library.ASGITransport(app=app)
        async with library.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            alice = signed_in(client, "alice", near_expiry=True)
            assert (await alice.get("/")).json()["user"] == "alice"
            assert len(alice.successors) == 1
            assert (await alice.request("POST", "/")).status_code == 200
            async with alice.stream("GET", "/") as response:
                assert response.status_code == 200
            await alice.revoke()
            assert (await alice.get("/")).status_code == 401
            assert (await client.get("/")).status_code == 401


def test_a_session_of_sessions_where_nothing_slides(
    signed_in: SignedInFixture, linqi_clock: ProcessClock
) -> None:
    """With dual tokens the session is a stored one, with a refresh token."""
    with TestClient(dual_app()) as client:
        alice = signed_in(client, "alice", scopes=["read"])
        assert alice.get("/").json()["scopes"] == ["read"]
        assert alice.refresh_token
        linqi_clock.advance(900)
        assert alice.get("/").status_code == 401
        alice.revoke()


async def test_an_async_client_starts_a_stored_session_with_its_first_request() -> None:
    """The store belongs to the event loop of the requests; `start` signs in earlier."""
    app: Any = dual_app()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        alice = signed_in(client, "alice")
        with pytest.raises(CannotTest, match="has no token yet"):
            _ = alice.token
        assert (await alice.get("/")).status_code == 200
        bob = await signed_in(client, "bob").start()
        assert bob.refresh_token
        assert bob.claims["sub"] == "bob"
        await bob.revoke()
        assert (await bob.get("/")).status_code == 401


def test_a_websocket_is_closed_when_the_clock_passes_exp(
    client: TestClient, signed_in: SignedInFixture, linqi_clock: ProcessClock
) -> None:
    """An open connection checks its token when time is moved, not seconds later."""
    alice = signed_in(client, "alice")
    with alice.websocket_connect("/talk") as socket:
        assert socket.receive_text() == "alice"
        linqi_clock.move_to(alice.expires_at + 1)
        closed = socket.receive()
        assert (closed["type"], closed["code"]) == ("websocket.close", 4401)


def outside_app(*issuers: str) -> Starlette:
    """Return an application that trusts outside issuers only."""
    trusted = [RemoteKeys(issuer, ["ES256"]).trust("shop") for issuer in issuers]
    return Starlette(
        routes=ROUTES, middleware=[Middleware(JWTMiddleware, verifier=Verifier(trusted))]
    )


def test_an_outside_issuer_signs_where_the_application_has_no_keys(
    signed_in: SignedInFixture, linqi_issuer: FakeIssuer
) -> None:
    """The fixture attaches itself, once."""
    client = TestClient(outside_app("https://login.example"))
    for user in ("alice", "bob"):
        assert signed_in(client, user).get("/").json()["user"] == user
    assert linqi_issuer.issuer == "https://login.example"
    assert linqi_issuer.requests == {"discovery": 1, "keys": 1}


def test_of_several_outside_issuers_one_is_named(
    signed_in: SignedInFixture, linqi_issuer: FakeIssuer
) -> None:
    """Which one a test means is not guessed."""
    client = TestClient(outside_app("https://a.example", "https://b.example"))
    with pytest.raises(CannotTest, match=r"2 outside issuers \(https://a.example, https://b"):
        signed_in(client)
    linqi_issuer.attach(client, "https://b.example")
    assert signed_in(client).claims["iss"] == "https://b.example"
    assert signed_in(client).get("/").status_code == 200


def test_keys_that_cannot_sign(signed_in: SignedInFixture) -> None:
    """An application that only has public keys needs an issuer."""
    public = KeySet([KEY.public_half()])
    trusted = TrustedIssuer(issuer="https://a", audience="shop", keys=public, algorithms=["ES256"])
    app = JWTMiddleware(Starlette(routes=ROUTES), Verifier(trusted))
    with pytest.raises(CannotTest, match="no private key"):
        signed_in(TestClient(app))


def test_private_keys_without_sessions_sign(signed_in: SignedInFixture) -> None:
    """A verifier of the application's own secret is enough."""
    signer = Signer(Key.generate("HS256"), issuer="https://shop.example", audience="shop")
    app = JWTMiddleware(Starlette(routes=ROUTES), Verifier.trusting(signer))
    alice = signed_in(TestClient(app), scopes=["a", "b"])
    assert alice.get("/").json()["scopes"] == ["a", "b"]
    with pytest.raises(CannotTest, match="checks no revocation"):
        alice.revoke()


def test_the_application_is_found_or_named() -> None:
    """Without the middleware nothing is signed; with two of them one must be chosen."""
    bare = TestClient(Starlette(routes=ROUTES))
    with pytest.raises(CannotTest, match="no JWTMiddleware in the TestClient: pass app="):
        signed_in(bare)
    first, second = sliding_app(), sliding_app()
    both = TestClient(Starlette(routes=[Mount("/a", first), Mount("/b", second)]))
    with pytest.raises(CannotTest, match="2 verifiers"):
        signed_in(both)
    assert signed_in(both, app=second).get("/b/").status_code == 200
    assert signed_in(both, app=second).get("/a/").status_code == 200  # one key signs for both
    with pytest.raises(CannotTest, match="no method get"):
        SignedIn(object(), "token", parts=None)  # type: ignore[arg-type]


def test_an_application_that_takes_cookies_only(signed_in: SignedInFixture) -> None:
    """A header would not be read, so that every request would be refused without a reason."""
    cookies = CookieTransport(["https://shop.example"])
    with pytest.raises(CannotTest, match="in cookies only"):
        signed_in(TestClient(sliding_app(transports=[cookies])))
    both = sliding_app(transports=[cookies, HeaderTransport()])
    assert signed_in(TestClient(both)).get("/").status_code == 200


def test_the_sessions_of_another_api_do_not_sign() -> None:
    """A renewal that the application refers to, but whose tokens it does not trust, is passed."""
    mine, other = (
        Signer(KeySet([Key.generate("HS256")]), issuer=f"https://{name}", audience="a")
        for name in ("mine", "other")
    )
    inner = Starlette(routes=ROUTES)
    inner.state.partner = SlidingRenewal(other)
    for options in ({}, {"renewal": SlidingRenewal(mine)}):
        app = JWTMiddleware(inner, Verifier.trusting(mine), **options)
        with TestClient(app) as client:
            assert signed_in(client, "alice").get("/").json()["user"] == "alice"
