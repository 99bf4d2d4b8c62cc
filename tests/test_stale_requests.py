"""A sliding session whose claims changed gets the new ones with the next response."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from asgi import Answer, App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    CookieTransport,
    HeaderTransport,
    JWTMiddleware,
    Key,
    RenewalBudget,
    Revocations,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.errors import Unavailable
from linqi.events import ClaimsUpdated, RenewalDenied, TokenRefused, TokenRenewed
from linqi.sessions.dual import Sessions
from linqi.stores.memory import MemoryStore

KEY = Key.generate("ES256")


class Site:
    """A worker with sliding sessions and a feed, without `Sessions`."""

    def __init__(self, store: MemoryStore, clock: FakeClock, role: Any, **options: Any) -> None:
        self.heard: list[Any] = []
        self.role = role
        self.asked = 0
        self.clock = clock
        self.signer = Signer(KEY, issuer="https://i", audience="a", clock=clock)
        self.known = Revocations(store, longest_lifetime=900, clock=clock)
        is_revoked = self.known.is_revoked
        self.verifier = Verifier.trusting(self.signer, is_revoked=is_revoked, clock=clock)
        options = {"authorize": self.authorize, "is_revoked": is_revoked} | options
        wait = options.pop("wait_seconds", 1.0)
        transports = options.pop("transports", None)
        self.renewal = SlidingRenewal(self.signer, clock=clock, **options)
        self.app = App()
        self.middleware = JWTMiddleware(
            self.app,
            self.verifier,
            renewal=self.renewal,
            optional=["/any"],
            transports=transports,
            wait_seconds=wait,
            services=[store, self.known],
            hooks=[self.heard.append],
            clock=clock,
        )

    async def authorize(self, verified: Any) -> Any:
        """Return the role of now, or raise it."""
        self.asked += 1
        role = self.role() if callable(self.role) else self.role
        if isinstance(role, Exception):
            raise role
        return role if isinstance(role, bool) else {"role": role}

    def sign_in(self) -> str:
        """Return the first token of a session of alice, with the role clerk."""
        return self.renewal.start("alice", claims={"role": "clerk"}).token

    async def get(self, token: str, path: str = "/me", **options: Any) -> Answer:
        """Send one request."""
        return await call(self.middleware, http(path, token=token, **options))

    def claims(self, token: str | None) -> Mapping[str, Any]:
        """Return the claims of a token that is accepted."""
        assert token is not None
        return self.verifier.verify(token).claims

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    """Return the store of all workers."""
    return MemoryStore(clock=clock)


@pytest.fixture
async def site(store: MemoryStore, clock: FakeClock) -> AsyncIterator[Site]:
    """Return a worker that follows the feed; the role has become admin."""
    made = Site(store, clock, "admin")
    await made.known.start()
    yield made
    await made.known.close()


async def test_the_application_sees_the_new_claims_and_the_response_carries_them(
    site: Site,
) -> None:
    """One request: no 401, no old claims, and a token that ends when the old one does."""
    token = site.sign_in()
    before = site.claims(token)
    await site.known.refresh_claims("alice")
    answer = await site.get(token)
    assert answer.status == 200
    after = site.claims(answer.successor)
    (scope,) = site.app.scopes
    assert scope["user"].claims["role"] == scope["linqi"].claims["role"] == "admin"
    assert after["role"] == "admin"
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"role", "jti", "claims_at"}
    assert answer.header("cache-control") == "no-store"
    (told,) = site.told(ClaimsUpdated)
    assert (told.user, told.signed) == ("alice", True)
    assert (await site.get(str(answer.successor))).successor is None
    assert (await site.get(site.sign_in())).successor is None  # made after the mark


async def test_parallel_requests_share_one_successor(site: Site) -> None:
    """Twenty at once: `authorize` is asked once, and all get the same token."""
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    answers = await asyncio.gather(*(site.get(token) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.successor for answer in answers}) == 1
    assert site.asked == 1
    assert [event.signed for event in site.told(ClaimsUpdated)].count(True) == 1


async def test_two_workers_make_equal_claims(
    site: Site, store: MemoryStore, clock: FakeClock
) -> None:
    """The successor is a function of the token and the mark."""
    other = Site(store, clock, "admin")
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    await other.known.start()
    first, second = await site.get(token), await other.get(token)
    await other.known.close()
    assert site.claims(first.successor) == other.claims(second.successor)


async def test_a_second_change_replaces_the_token_again(site: Site) -> None:
    """Also where the clock stands still, and where the change comes while the first is read."""
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    second = (await site.get(token)).successor
    site.role = "owner"
    await site.known.refresh_claims("alice")
    for held in (token, second):
        answer = await site.get(str(held))
        assert site.claims(answer.successor)["role"] == "owner"


async def test_a_change_while_the_claims_are_read_is_not_missed(site: Site) -> None:
    """The token that was just made is stale as well, so the claims are read once more."""
    token = site.sign_in()
    roles = ["owner", "admin"]

    async def authorize(verified: Any) -> dict[str, str]:
        role = roles.pop()
        if role == "admin":
            await site.known.refresh_claims("alice")
        return {"role": role}

    site.renewal._authorize = authorize
    await site.known.refresh_claims("alice")
    answer = await site.get(token)
    assert site.claims(answer.successor)["role"] == "owner"


async def test_a_near_expiry_request_gets_one_successor_with_the_new_claims(
    site: Site, clock: FakeClock
) -> None:
    """The new token is due as the old one was: the response carries its successor alone."""
    token = site.sign_in()
    old = site.claims(token)
    clock.now = site.verifier.verify(token).due_at + 1
    await site.known.refresh_claims("alice")
    answer = await site.get(token)
    after = site.claims(answer.successor)
    assert after["role"] == "admin"
    assert after["exp"] > old["exp"]
    assert len(site.told(TokenRenewed)) == 1


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (RuntimeError("the database is away"), 503),
        (Unavailable("later"), 503),
        ("x" * 20_000, 503),
        (False, 401),
    ],
)
async def test_where_the_new_claims_cannot_be_had_the_old_ones_are_not_served(
    site: Site, role: Any, status: int
) -> None:
    """Raises, too long, denied: 503 or 401, and the application is not called."""
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    site.role = role
    for path in ("/me", "/any"):
        assert (await site.get(token, path)).status == status
    assert site.app.scopes == []
    assert len(site.told(TokenRefused)) == 2
    assert bool(site.told(RenewalDenied)) is (role is False)
    site.role = "admin"
    site.clock.move(31)  # a token that is too long is remembered like any other
    assert (await site.get(token)).status == 200


async def test_without_authorize_the_answer_is_401(store: MemoryStore, clock: FakeClock) -> None:
    """No one can say the new claims, so the user signs in again."""
    site = Site(store, clock, None, authorize=None)
    token = site.sign_in()
    await site.known.start()
    await site.known.refresh_claims("alice")
    answer = await site.get(token)
    await site.known.close()
    assert answer.status == 401
    assert 'error="invalid_token"' in str(answer.header("www-authenticate"))


async def test_a_budget_that_is_used_up_is_503(store: MemoryStore, clock: FakeClock) -> None:
    """The client comes again in a second; the claims of before are not served."""
    site = Site(store, clock, "admin", budget=RenewalBudget(rate=0.1, burst=1))
    tokens = [site.sign_in(), site.sign_in()]
    await site.known.start()
    await site.known.refresh_claims("alice")
    first, second = [await site.get(token) for token in tokens]
    clock.move(11)
    third = await site.get(tokens[1])
    await site.known.close()
    assert (first.status, second.status, third.status) == (200, 503, 200)
    assert second.header("retry-after") == "1"


async def test_an_authorize_that_takes_long_is_503_and_then_ready(
    store: MemoryStore, clock: FakeClock
) -> None:
    """The renewal goes on after the request was answered; the next one finds it."""
    gate = asyncio.Event()
    site = Site(store, clock, "admin", wait_seconds=0.01)
    ready = site.authorize

    async def slow(verified: Any) -> Any:
        await gate.wait()
        return await ready(verified)

    site.renewal._authorize = slow
    token = site.sign_in()
    await site.known.start()
    await site.known.refresh_claims("alice")
    first = await site.get(token)
    gate.set()
    async with asyncio.timeout(30):
        while (second := await site.get(token)).status == 503:
            await asyncio.sleep(0.01)
    await site.known.close()
    assert (first.status, second.status) == (503, 200)
    assert site.asked == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 404), ("GET", 304)])
async def test_a_response_that_carries_no_token_was_made_with_the_new_claims(
    site: Site, method: str, status: int
) -> None:
    """R6: HEAD and other statuses carry no successor; the next request does."""
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    site.app.status = status
    assert (await site.get(token, method=method)).successor is None
    site.app.status = 200
    assert (await site.get(token)).successor is not None
    assert {scope["user"].claims["role"] for scope in site.app.scopes} == {"admin"}
    assert site.asked == 1


async def test_a_cookie_carries_the_new_claims(store: MemoryStore, clock: FakeClock) -> None:
    """The transport of the token carries the successor, and only that one."""
    cookies = CookieTransport(["https://app.test"])
    site = Site(store, clock, "admin", transports=[HeaderTransport(), cookies])
    token = site.sign_in()
    await site.known.start()
    await site.known.refresh_claims("alice")
    held = [(b"cookie", b"__Host-access=" + token.encode())]
    answer = await call(site.middleware, http(headers=held))
    await site.known.close()
    assert answer.successor is None
    cookie = str(answer.header("set-cookie")).partition(";")[0].partition("=")[2]
    assert site.claims(cookie)["role"] == "admin"


async def test_a_revoked_session_gets_no_new_claims(site: Site, store: MemoryStore) -> None:
    """R5: the revocation comes first, and there is no renewal out of it."""
    token = site.sign_in()
    session = str(site.verifier.verify(token).session_id)
    sessions = Sessions(
        store,
        site.signer,
        Key.generate("HS256"),
        revocations=site.known,
        hooks=[],
        clock=site.clock,
    )
    await site.known.refresh_claims("alice")
    await sessions.revoke(session)
    answer = await site.get(token)
    await sessions.close()
    assert answer.status == 401
    assert site.asked == 0


async def test_a_websocket_with_a_stale_token_is_refused(site: Site) -> None:
    """A handshake carries no successor, so the client refreshes by a request first."""
    token = site.sign_in()
    await site.known.refresh_claims("alice")
    scope = http(token=token) | {"type": "websocket", "subprotocols": []}
    answer = await call(site.middleware, scope)
    assert answer.messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_a_sign_in_cannot_set_the_claim(store: MemoryStore, clock: FakeClock) -> None:
    """Otherwise a token could be newer than every mark."""
    with pytest.raises(ConfigurationError, match="claims_at"):
        Site(store, clock, "admin").renewal.start("alice", claims={"claims_at": 9e9})


async def test_authorize_cannot_set_the_claim(site: Site) -> None:
    """An answer of the application replaces its own claims only (R3)."""
    token = site.sign_in()

    async def authorize(verified: Any) -> dict[str, Any]:
        return {"claims_at": 9e9, "role": "admin"}

    site.renewal._authorize = authorize
    await site.known.refresh_claims("alice")
    renewed = (await site.get(token)).successor
    assert site.claims(renewed)["claims_at"] == site.known.latest_mark


async def test_a_user_who_signs_in_after_a_change_is_accepted_where_the_verifier_alone_knows_it(
    store: MemoryStore, clock: FakeClock
) -> None:
    """Without `is_revoked` of its own the renewal marks its tokens by that of the verifier."""
    site = Site(store, clock, "admin", is_revoked=None, authorize=None)
    await site.known.start()
    before = site.sign_in()
    await site.known.refresh_claims("alice")
    answers = [await site.get(token) for token in (before, site.sign_in())]
    await site.known.close()
    assert [answer.status for answer in answers] == [401, 200]


async def test_claims_that_no_verifier_accepts_are_the_fault_of_the_server(site: Site) -> None:
    """503, and with a plain renewal no successor: the client would lose a token that is good."""
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    site.role = deep
    token = site.sign_in()
    site.clock.advance(700)
    answer = await site.get(token)
    assert (answer.status, answer.successor) == (200, None)
    await site.known.refresh_claims("alice")
    assert (await site.get(token)).status == 503
