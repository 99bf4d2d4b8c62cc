"""Two issuers, one subject: what goes by subject or session takes tokens of its own issuer only."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    Grid,
    JWTMiddleware,
    Key,
    Person,
    RenewalSettings,
    RequireLogin,
    RequireScopes,
    Revocation,
    Revocations,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verifier,
)
from linqi.asgi.sockets import SocketSession
from linqi.errors import InvalidClaim
from linqi.events import Dispatcher, TokenRefused
from linqi.jose.issuers import own_issuer
from linqi.sessions.decision import Due, NotRenewed
from linqi.stores.memory import MemoryStore

OURS, THEIRS, SISTER = "https://shop.example", "https://idp.example", "https://sister.example"


class World:
    """A service with sessions that trusts two more issuers, one of them as its own."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.signers = {
            issuer: Signer(Key.generate("ES256"), issuer=issuer, audience="shop", clock=clock)
            for issuer in (OURS, THEIRS, SISTER)
        }
        self.heard: list[Any] = []
        self.store = MemoryStore(clock=clock)
        self.sessions = Sessions(
            self.store,
            self.signers[OURS],
            Key.generate("HS256"),
            hooks=[self.heard.append],
            clock=clock,
        )
        theirs = self.signers[THEIRS]
        self.verifier = Verifier(
            [
                own_issuer(self.signers[OURS]),
                own_issuer(self.signers[SISTER]),
                TrustedIssuer(
                    issuer=THEIRS, audience="shop", keys=theirs.keys, algorithms=["ES256"]
                ),
            ],
            is_revoked=self.sessions.revocations.is_revoked,
            clock=clock,
        )
        self.inner = App()
        self.routes = SessionRoutes(
            self.inner, self.sessions, self.verifier, lambda form: Person(subject="alice")
        )
        self.app = JWTMiddleware(
            self.routes, self.verifier, public=self.routes.public, hooks=[], clock=clock
        )

    def token(self, issuer: str, **claims: Any) -> str:
        """Return a token of `issuer` for its alice, with the claims of a session."""
        now = self.clock()
        return self.signers[issuer].sign(
            {"sub": "alice", "sid": "s" * 30, "jti": "j1", "scope": "read"}
            | {"iat": now, "exp": now + 200, "auth_time": now - 700, "session_end": now + 9000}
            | claims
        )


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    """Return a running service, to which alice signed in."""
    world = World(clock)
    await world.sessions.start()
    yield world
    await world.sessions.close()


@pytest.mark.parametrize("issuer", [THEIRS, SISTER])
@pytest.mark.parametrize("route", ["GET /sessions", "DELETE /sessions/{}", "POST /logout-all"])
async def test_a_token_of_another_issuer_neither_lists_nor_ends_sessions(
    world: World, issuer: str, route: str
) -> None:
    """RFC 7519, 4.1.2: another issuer's alice gets 403 and an event; the store is not asked."""
    pair = await world.sessions.sign_in("alice")
    method, _, path = route.partition(" ")
    asked: list[str] = []
    world.sessions.store = Watched(world.store, asked)  # type: ignore[assignment]
    token = world.token(issuer, sid=pair.session_id)
    answer = await call(world.app, http(path.format(pair.session_id), method=method, token=token))
    assert answer.status == 403
    assert b'"foreign_token"' in answer.messages[1]["body"]
    assert asked == []
    (event,) = [event for event in world.heard if isinstance(event, TokenRefused)]
    assert (event.status, event.code) == (403, "foreign_token")
    assert len(event.token_digest) == 8
    own = await call(world.app, http("/sessions", token=pair.access_token))
    assert pair.session_id.encode() in own.messages[1]["body"]


class Watched:
    """A store that notes what is asked of it."""

    def __init__(self, store: Any, asked: list[str]) -> None:
        self._store = store
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        self._asked.append(name)
        return getattr(self._store, name)


async def test_revoking_a_token_of_another_issuer_ends_nothing(world: World) -> None:
    """RFC 7009, 2.2: answered 200, and our session and token with the same ids live on."""
    pair = await world.sessions.sign_in("alice")
    ours = world.verifier.verify(pair.access_token)
    for issuer in (THEIRS, SISTER):
        token = world.token(issuer, sid=pair.session_id, jti=ours.token_id)
        body = f"token={token}".encode()
        scope = http(
            "/revoke",
            method="POST",
            headers=[(b"content-type", b"application/x-www-form-urlencoded")],
        )
        sent: list[Any] = []

        async def receive(body: bytes = body) -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        await world.app(scope, receive, send)
        assert sent[0]["status"] == 200
    assert world.verifier.verify(pair.access_token).own
    assert (await world.sessions.refresh(pair.refresh_token)).session_id == pair.session_id


@pytest.mark.parametrize("issuer", [THEIRS, SISTER])
async def test_a_revocation_concerns_the_issuer_of_its_sessions_only(
    world: World, issuer: str
) -> None:
    """By session, by token and by subject: another issuer's same names stay good."""
    now = world.clock()
    until = now + 2000
    world.sessions.revocations.add(
        [
            Revocation(kind="session", value="s" * 30, at=now, until=until),
            Revocation(kind="token", value="j1", at=now, until=until),
            Revocation(kind="subject", value="alice", at=now, until=until),
        ]
    )
    revocations = world.sessions.revocations
    assert not revocations.is_revoked(world.verifier.verify(world.token(issuer)))
    fresh = Verifier(world.verifier.issuers, clock=world.clock)
    for claims in ({"sid": "x"}, {"jti": "x"}, {"sid": "x", "jti": "x"}):
        ours = fresh.verify(world.token(OURS, **claims))
        assert revocations.is_revoked(ours)
        assert not revocations.is_revoked(fresh.verify(world.token(issuer, **claims)))


def test_revocations_belong_to_one_issuer(world: World) -> None:
    """Two services with signers of their own do not share one set of revoked names."""
    shared = Revocations(MemoryStore())
    secret = Key.generate("HS256")
    Sessions(MemoryStore(), world.signers[OURS], secret, revocations=shared)
    Sessions(MemoryStore(), world.signers[OURS], secret, revocations=shared)
    with pytest.raises(ConfigurationError, match="sister"):
        Sessions(MemoryStore(), world.signers[SISTER], secret, revocations=shared)


@pytest.mark.parametrize("issuer", [THEIRS, SISTER])
async def test_renewal_signs_for_its_own_issuer_only(world: World, issuer: str) -> None:
    """A near-expiry token of another issuer never becomes one of ours."""
    settings = RenewalSettings(lifetime=900, buffer=300, policy=Grid())
    renewal = SlidingRenewal(world.signers[OURS], settings, clock=world.clock)
    now = world.clock()
    assert isinstance(renewal.decide(world.verifier.verify(world.token(OURS)), now), Due)
    theirs = world.verifier.verify(world.token(issuer))
    assert renewal.decide(theirs, now) == NotRenewed("not_ours")
    assert await renewal.renew(theirs) is None
    app = JWTMiddleware(App(), world.verifier, renewal=renewal, hooks=[], clock=world.clock)
    assert (await call(app, http(token=world.token(OURS)))).successor is not None
    assert (await call(app, http(token=world.token(issuer)))).successor is None


async def test_a_socket_adopts_a_token_of_its_own_issuer_only(world: World) -> None:
    """The same subject and session id of another issuer belong to another user."""
    for issuer in (OURS, THEIRS, SISTER):
        session = socket_of(world, world.token(issuer))
        for other in {OURS, THEIRS, SISTER} - {issuer}:
            with pytest.raises(InvalidClaim):
                session.adopt(world.token(other, exp=world.clock() + 800))
        assert session.adopt(world.token(issuer, exp=world.clock() + 800)).issuer == issuer


async def test_a_socket_without_a_subject_adopts_nothing(world: World) -> None:
    """Two tokens that name no one may be of two callers."""
    token = world.signers[THEIRS].sign({"exp": world.clock() + 200})
    session = socket_of(world, token)
    with pytest.raises(InvalidClaim, match="no subject"):
        session.adopt(world.signers[THEIRS].sign({"exp": world.clock() + 800}))


def socket_of(world: World, token: str) -> SocketSession:
    """Return the guarded side of a socket that `token` opened."""

    async def silent(*_: Any) -> Any:
        return None

    return SocketSession(
        world.verifier,
        world.verifier.verify(token),
        silent,
        silent,
        clock=world.clock,
        check_seconds=5,
        subprotocol=None,
        events=Dispatcher(),
    )


async def test_guards_go_by_what_an_issuer_may_say_never_by_its_subject(world: World) -> None:
    """Scopes, acr and auth_time are a trusted issuer's to say; a guard reads no subject or sid."""
    for guard in (
        RequireScopes(App(), "read"),
        RequireLogin(App(), max_age=800, clock=world.clock),
    ):
        app = JWTMiddleware(guard, world.verifier, hooks=[], clock=world.clock)
        for issuer in (OURS, THEIRS):
            for subject in ("alice", "mallory"):
                token = world.token(issuer, sub=subject)
                assert (await call(app, http(token=token))).status == 200


def test_routes_need_a_verifier_that_trusts_their_signer(world: World) -> None:
    """Else every own token would be a foreign one; that is found when the routes are made."""
    theirs = world.signers[THEIRS]
    verifier = Verifier.trusting(theirs)
    with pytest.raises(ConfigurationError, match="does not trust"):
        SessionRoutes(App(), world.sessions, verifier, lambda form: None)


async def test_what_an_application_raises_on_an_optional_path_is_its_own(world: World) -> None:
    """A LinqiError of the application is no fault of the request, which had no token at all."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ConfigurationError(["the application's own"])

    app = JWTMiddleware(failing, world.verifier, optional=["/news"], hooks=[], clock=world.clock)
    with pytest.raises(ConfigurationError, match="own"):
        await call(app, http("/news"))


async def test_without_a_token_an_optional_path_is_401(world: World) -> None:
    """Session routes need a caller also where the middleware takes the path as optional."""
    app = JWTMiddleware(world.routes, world.verifier, optional=["/*"], hooks=[], clock=world.clock)
    for method, path in (("GET", "/sessions"), ("POST", "/logout-all")):
        answer = await call(app, http(path, method=method))
        assert answer.status == 401
        assert answer.header("www-authenticate") == 'Bearer realm="api"'
