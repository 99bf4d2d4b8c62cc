"""The issuer for tests: what the production code finds right and wrong about it."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from linqi import JWTMiddleware, Key, RemoteKeys, RemoteLimits, Verifier
from linqi.config import build, read, wrap
from linqi.errors import InvalidSignature, Unavailable, UnknownKey
from linqi.testing import CannotTest, FakeIssuer, ProcessClock, make_token

LOGIN = "https://login.example"


async def who(request: Request) -> PlainTextResponse:
    """Answer who called."""
    return PlainTextResponse(request.user.identity)


def app_of(keys: RemoteKeys, **options: Any) -> Starlette:
    """Return an application that trusts `keys`, with the middleware inside the framework."""
    guard = Middleware(JWTMiddleware, verifier=Verifier(keys.trust("shop", **options)), hooks=[])
    return Starlette(routes=[Route("/", who)], middleware=[guard])


KEYS = RemoteKeys(LOGIN, ["ES256"])
APP = app_of(KEYS)
"""Made at import; several tests share it."""


@pytest.fixture
def client(linqi_issuer: FakeIssuer) -> Iterator[TestClient]:
    """Return a client of the application, whose issuer is in this process."""
    linqi_issuer.attach(APP)
    with TestClient(APP) as started:
        yield started


def status(client: TestClient, token: str) -> int:
    """Return the status of a request with `token`."""
    return int(client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code)


@pytest.mark.parametrize("again", [1, 2])
def test_each_test_begins_without_keys(
    client: TestClient, linqi_issuer: FakeIssuer, again: int
) -> None:
    """The keys and the cooldown of an earlier test do not decide."""
    assert linqi_issuer.requests == {"discovery": 1, "keys": 1}
    assert status(client, linqi_issuer.token("alice")) == 200
    assert linqi_issuer.rotate().kid not in KEYS.state().kids
    assert status(client, linqi_issuer.token("alice")) == 200
    assert linqi_issuer.requests == {"discovery": 1, "keys": 2}


def test_afterwards_the_application_has_its_own_connections_and_keys() -> None:
    """Nothing of the issuer is left, and its tokens are refused."""
    keys = RemoteKeys(LOGIN, ["ES256"])
    http, before = keys._http, keys.state()
    verifier = Verifier(keys.trust("shop"))
    with FakeIssuer().attach(JWTMiddleware(Starlette(), verifier)) as issuer:
        asyncio.run(keys.start())
        token = issuer.token()
        verifier.verify(token)
        assert issuer.stands_in_for(JWTMiddleware(Starlette(), verifier))
    assert keys._http is http
    assert keys.state() == before
    with pytest.raises(Unavailable):
        verifier.verify(token)


def test_known_keys_serve_while_the_issuer_is_down(
    client: TestClient, linqi_issuer: FakeIssuer, linqi_clock: ProcessClock
) -> None:
    """Stale keys serve for an hour, an unknown key is refused, then nothing is known (503)."""
    assert status(client, linqi_issuer.token("alice")) == 200
    old = linqi_issuer.key
    linqi_issuer.down()
    linqi_issuer.rotate()
    assert status(client, linqi_issuer.token("alice")) == 401
    linqi_clock.advance(3_000)
    assert status(client, linqi_issuer.token("alice", key=old)) == 200
    linqi_clock.advance(3_000)
    assert status(client, linqi_issuer.token("alice", key=old)) == 503
    linqi_issuer.up()
    linqi_clock.advance(600)
    assert status(client, linqi_issuer.token("alice")) == 200


@pytest.mark.parametrize("code", [500, 404, 302, 429])
def test_an_issuer_that_fails_with_a_status(linqi_issuer: FakeIssuer, code: int) -> None:
    """Without keys nothing can be verified, and the client is asked to come back."""
    linqi_issuer.attach(APP).down(code)
    client = TestClient(APP)
    answer = client.get("/", headers={"Authorization": f"Bearer {linqi_issuer.token()}"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_a_withdrawn_key_is_refused_once_the_set_is_fetched_again(
    client: TestClient, linqi_issuer: FakeIssuer, linqi_clock: ProcessClock
) -> None:
    """Also a token that was verified before."""
    old = linqi_issuer.key
    token = linqi_issuer.token("alice")
    assert status(client, token) == 200
    linqi_issuer.rotate()
    linqi_issuer.withdraw(old.kid)
    assert status(client, token) == 200
    assert status(client, linqi_issuer.token("bob")) == 200  # fetches the new set
    assert status(client, token) == 401


def test_a_key_that_is_not_published_yet(client: TestClient, linqi_issuer: FakeIssuer) -> None:
    """A replica of the issuer that lags: the token is refused, and the next ones cause no fetch."""
    linqi_issuer.rotate(publish=False)
    assert [status(client, linqi_issuer.token(user)) for user in "abc"] == [401] * 3
    assert linqi_issuer.requests["keys"] == 2


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://other.example"},
        {"issuer": LOGIN + "/"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"jwks_uri": None},
    ],
)
def test_a_wrong_discovery_document_gives_no_keys(
    linqi_issuer: FakeIssuer, discovery: dict[str, Any]
) -> None:
    """The comparison of the issuer and the rule for addresses are those of production."""
    linqi_issuer.attach(APP).discovery.update(discovery)
    assert status(TestClient(APP), linqi_issuer.token()) == 503
    assert linqi_issuer.requests["keys"] == 0


def test_slow_answers_end_at_the_limit(linqi_issuer: FakeIssuer) -> None:
    """The time limit is that of the application, in real seconds."""
    app = app_of(RemoteKeys(LOGIN, ["ES256"], limits=RemoteLimits(timeout=0.1)))
    linqi_issuer.attach(app).slow(60)
    assert status(TestClient(app), linqi_issuer.token()) == 503


def test_it_takes_over_what_the_application_expects() -> None:
    """Algorithm, audience, type and required claims are read from the application."""
    keys = RemoteKeys(LOGIN, ["EdDSA"], url=f"{LOGIN}/oauth/jwks")
    required = {"tid": "tenant-1", "use": ["access", "id"], "amr": None}
    app = app_of(keys, types=["jwt"], required_claims=required)
    with FakeIssuer().attach(app) as issuer:
        assert status(TestClient(app), issuer.token("bob")) == 200
        assert issuer.requests == {"keys": 1}
        for wrong in ({"tid": "tenant-2"}, {"use": ...}, {"aud": "other"}, {"iss": "https://x"}):
            assert status(TestClient(app), issuer.token("bob", claims=wrong)) == 401
    other = app_of(RemoteKeys(LOGIN, ["ES256"]), required_claims=["scp", "sub"])
    with FakeIssuer().attach(other) as issuer:
        assert status(TestClient(other), issuer.token("bob")) == 200


def test_an_application_without_an_outside_issuer() -> None:
    """There is nothing to stand in for."""
    keys = RemoteKeys(LOGIN, ["ES256"])
    with pytest.raises(CannotTest, match="1 outside issuers"):
        FakeIssuer().attach(app_of(keys), "https://other.example")


def test_settings_that_name_an_outside_issuer(linqi_issuer: FakeIssuer) -> None:
    """What linqi.toml describes is attached in the same way, or given the client by hand."""
    table = {"issuer": LOGIN, "audience": ["shop"], "algorithms": ["ES256"]}
    config = read({"issuers": [table]})
    app = wrap(Starlette(routes=[Route("/", who)]), config, hooks=[])
    linqi_issuer.attach(app)
    assert status(TestClient(app), linqi_issuer.token("bob", scopes=["a"])) == 200
    other = FakeIssuer(LOGIN, audience="shop")
    components = build(config, hooks=[], http_client=other.client)
    app = wrap(Starlette(routes=[Route("/", who)]), components)
    assert status(TestClient(app), other.token()) == 200
    assert status(TestClient(app), linqi_issuer.token()) == 401


async def test_it_serves_on_a_port_for_other_processes() -> None:
    """Over HTTP with the application's own client: the same documents, ETags and outages."""
    with FakeIssuer(audience="shop").serving() as issuer:
        keys = RemoteKeys(issuer.issuer, ["ES256"])
        verifier = Verifier(keys.trust("shop"))
        await keys.start()
        assert verifier.verify(issuer.token("bob")).subject == "bob"
        issuer.rotate()
        token = issuer.token("bob")
        with pytest.raises(UnknownKey):
            verifier.verify(token)
        assert await verifier.fetch_key(token)
        verifier.verify(token)
        await keys.close()
        async with httpx2.AsyncClient() as client:
            first = await client.get(f"{issuer.issuer}/keys")
            same = {"If-None-Match": first.headers["etag"]}
            again = await client.get(f"{issuer.issuer}/keys", headers=same)
            other = await client.get(f"{issuer.issuer}/other")
        assert [one.status_code for one in (first, again, other)] == [200, 304, 404]
        issuer.down()
        cold = RemoteKeys(issuer.issuer, ["ES256"])
        await cold.start()
        assert not cold.state().is_ready
        await cold.close()
    assert issuer.issuer == "https://issuer.test"


def test_no_fixture_turns_a_check_off(
    client: TestClient, linqi_issuer: FakeIssuer, linqi_clock: ProcessClock
) -> None:
    """Forged, expired, foreign and unsigned tokens are refused under all fixtures at once."""
    good = linqi_issuer.token("alice")
    assert status(client, good) == 200
    header, payload, signature = good.split(".")
    stranger = Key.generate("ES256", kid=linqi_issuer.key.kid)
    secret = Key.from_secret(secrets.token_bytes(32), kid=linqi_issuer.key.kid)
    none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"
    bad = [
        linqi_issuer.token("alice", key=stranger),
        linqi_issuer.token("alice", key=secret),
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        linqi_issuer.token("alice", expired=True),
        linqi_issuer.token("alice", claims={"exp": ...}),
        linqi_issuer.token("alice", claims={"iss": "https://other.example"}),
        linqi_issuer.token("alice", claims={"aud": "other"}),
        linqi_issuer.token("alice", claims={"nbf": linqi_clock() + 60}),
        linqi_issuer.token("alice", claims={"cnf": {"jkt": "x"}}),
        "",
        "x" * 100,
    ]
    assert {status(client, token) for token in bad} <= {400, 401}
    assert status(client, good) == 200
    linqi_clock.advance(901)
    assert status(client, good) == 401


def test_a_forged_signature_is_told_as_one(linqi_issuer: FakeIssuer) -> None:
    """The error is the one of production, too."""
    verifier = Verifier(RemoteKeys(LOGIN, ["ES256"]).trust("shop"))
    linqi_issuer.attach(JWTMiddleware(Starlette(), verifier))
    asyncio.run(verifier.fetched_keys[0].start())
    stranger = Key.generate("ES256", kid=linqi_issuer.key.kid)
    assert verifier.verify(make_token(linqi_issuer, "alice")).subject == "alice"
    with pytest.raises(InvalidSignature):
        verifier.verify(linqi_issuer.token(key=stranger))


async def test_it_signs_for_a_tenant_of_an_issuer_with_many() -> None:
    """By default for the first of the list, or for the one that the claims name."""
    template = "https://login.example/{tid}/v2.0"
    keys = RemoteKeys(template, ["ES256"], url="https://login.example/keys")
    app = app_of(keys, tenants=["a", "b"])
    with FakeIssuer().attach(app) as issuer, TestClient(app) as client:
        for claims, status in ({}, 200), ({"tid": "b"}, 200), ({"tid": "c"}, 401):
            bearer = {"authorization": f"Bearer {issuer.token(claims=claims)}"}
            assert client.get("/", headers=bearer).status_code == status
