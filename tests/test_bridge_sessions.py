"""Tokens of an earlier system where sessions have refresh tokens: the route that exchanges them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asgi import Answer, App, http
from clock import FakeClock
from linqi import (
    Bridge,
    JWTMiddleware,
    Key,
    RenewalSettings,
    Revocations,
    SessionRoutes,
    Sessions,
    SessionSettings,
    Signer,
    SlidingRenewal,
    Verified,
    Verifier,
)
from linqi.errors import LifetimeExceeded, StaleClaims, TokenRevoked
from linqi.events import RefreshDenied, SessionStarted, TokenBridged, TokenMoved
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.sqlite import SQLiteStore
from tokens import make

OLD, OURS, SECRET = Key.generate("HS256"), Key.generate("ES256"), Key.generate("HS256")
ORIGIN, DAY = "https://shop.example", 86_400
COOKIE = ((b"x-token-delivery", b"cookie"), (b"sec-fetch-site", b"same-origin"))


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at a whole second, which agrees with those of the stores."""
    return FakeClock(int(time.time()))


class Site:
    """A worker with stored sessions and a bridge."""

    def __init__(
        self,
        clock: FakeClock,
        store: SessionStore,
        *,
        settings: SessionSettings | None = None,
        slides: bool = False,
        authorize: Any = None,
        **routes: Any,
    ) -> None:
        self.clock, self.began = clock, clock()
        self.heard: list[Any] = []
        signer = Signer(OURS, issuer=ORIGIN, audience="shop", clock=clock)
        revocations = Revocations(store, clock=clock)
        bridge = Bridge(key=OLD, until=clock() + 60 * DAY, lifetime=7 * DAY, claims=("roles",))
        self.verifier = Verifier.trusting(
            signer, bridge=bridge, is_revoked=revocations.is_revoked, clock=clock
        )
        self.sessions = Sessions(
            store,
            signer,
            SECRET,
            settings=settings,
            revocations=revocations,
            authorize=authorize,
            hooks=[],
            clock=clock,
        )
        renewal = None
        if slides:
            capped = RenewalSettings(max_session=30 * DAY)
            options: Any = {"authorize": authorize, "is_revoked": revocations.is_revoked}
            renewal = SlidingRenewal(signer, capped, clock=clock, **options)
        self.routes = SessionRoutes(
            App(), self.sessions, self.verifier, lambda _: None, clock=clock, **routes
        )
        self.app = JWTMiddleware(
            self.routes,
            self.verifier,
            renewal=renewal,
            public=self.routes.public,
            services=[self.sessions],
            hooks=[self.heard.append],
            clock=clock,
        )

    def old_token(self, **changes: Any) -> str:
        """Return a token of 7 days, made when the site started."""
        claims = {"sub": "alice", "exp": int(self.began) + 7 * DAY} | changes
        return make(OLD, claims, {"alg": "HS256", "typ": "JWT"})

    async def send(
        self,
        path: str,
        token: str | None = None,
        *headers: Any,
        method: str = "POST",
        body: Any = None,
    ) -> tuple[Answer, Any]:
        """Send a request; return the response and its JSON."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = [*headers] if body is None else [(b"content-type", b"application/json"), *headers]
        messages = [{"type": "http.request", "body": data}]

        async def receive() -> Any:
            return messages.pop(0)

        answer = Answer()
        scope = http(path, token=token, method=method, headers=sent)
        await self.app(scope, receive, answer.send)
        text = b"".join(m.get("body", b"") for m in answer.messages)
        return answer, json.loads(text) if text[:1] == b"{" else None

    async def move(self, token: str, *headers: Any) -> tuple[int, Any]:
        """Exchange a token; return the status and the JSON."""
        answer, body = await self.send("/move", token, *headers)
        return answer.status, body


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: Any, clock: FakeClock, tmp_path: Path) -> AsyncIterator[SessionStore]:
    """Return a store of each engine that needs no server."""
    if request.param == "memory":
        yield MemoryStore(clock=clock)
    else:
        yield SQLiteStore(tmp_path / "sessions.db", clock=clock)


async def test_an_old_token_is_exchanged_for_a_pair(clock: FakeClock, store: SessionStore) -> None:
    """Of the same user, with the session that signing in would have begun then."""
    site = Site(clock, store)
    token = site.old_token(roles=["buyer"], scope="read")
    clock.move(1000)
    status, body = await site.move(token)
    assert status == 200
    verified, old = site.verifier.verify(body["access_token"]), site.verifier.verify(token)
    assert (verified.subject, verified.session_id) == ("alice", old.session_id)
    assert (verified.auth_time, verified.scopes) == (old.auth_time, ("read",))
    assert (verified.claims["roles"], body["scope"]) == (["buyer"], "read")
    answer, refreshed = await site.send("/refresh", body={"refresh_token": body["refresh_token"]})
    assert answer.status == 200
    assert site.verifier.verify(refreshed["access_token"]).session_id == old.session_id
    assert [
        type(e) for e in site.heard if type(e) in (TokenBridged, SessionStarted, TokenMoved)
    ] == [
        TokenBridged,
        SessionStarted,
        TokenMoved,
    ]
    await site.sessions.close()


async def test_a_session_that_the_store_knows_as_revoked_is_not_begun_again(
    clock: FakeClock, store: SessionStore
) -> None:
    """Also where this worker has not heard of it yet."""
    site = Site(clock, store)
    token = site.old_token()
    await site.move(token)
    session = site.verifier.verify(token).session_id or ""
    await store.revoke(session, store.now(), "admin")  # as another worker does
    status, body = await site.move(token)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert [e.reason for e in site.heard if type(e) is RefreshDenied] == ["revoked"]
    await site.sessions.close()


async def test_two_workers_and_50_requests_begin_one_session(
    clock: FakeClock, tmp_path: Path
) -> None:
    """All of them get the same refresh token, so that none of them is taken for a theft."""
    stores = [SQLiteStore(tmp_path / "sessions.db", clock=clock) for _ in range(2)]
    sites = [Site(clock, store) for store in stores]
    token = sites[0].old_token()
    answers = await asyncio.gather(*(sites[n % 2].move(token) for n in range(50)))
    assert {status for status, _ in answers} == {200}
    assert len({body["refresh_token"] for _, body in answers}) == 1
    assert len(await sites[0].sessions.sessions("alice")) == 1
    for site in sites:
        await site.sessions.close()


async def test_a_copy_of_the_old_token_gets_no_refresh_token_of_the_session(
    clock: FakeClock, store: SessionStore
) -> None:
    """Once its client has refreshed, and a retry before that brings what it had."""
    site = Site(clock, store)
    token = site.old_token()
    first, again = await site.move(token), await site.move(token)
    assert first[1]["refresh_token"] == again[1]["refresh_token"]
    await site.send("/refresh", body={"refresh_token": first[1]["refresh_token"]})
    status, body = await site.move(token)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert [e.reason for e in site.heard if type(e) is RefreshDenied] == ["moved"]
    assert len(await site.sessions.sessions("alice")) == 1
    await site.sessions.close()


@pytest.mark.parametrize("how", ["refresh token", "session", "subject", "access token"])
async def test_d6_after_signing_out_the_old_token_is_refused(
    clock: FakeClock, store: SessionStore, how: str
) -> None:
    """For as long as it would live, which is longer than any token of ours does."""
    site = Site(clock, store, revoke_session=True)
    token = site.old_token()
    _, body = await site.move(token)
    clock.move(2)
    if how == "refresh token":
        await site.send("/logout", body={"refresh_token": body["refresh_token"]})
    elif how == "session":
        await site.sessions.revoke(site.verifier.verify(token).session_id or "")
    elif how == "subject":
        await site.sessions.account_disabled("alice")
    else:
        await site.send("/revoke", body={"token": token})
    assert site.sessions.revocations.longest_lifetime == 7 * DAY
    for path in ("/me", "/move"):
        answer, _ = await site.send(path, token)
        assert answer.status == 401
    restarted = Site(clock, store)  # with an empty memory, before the token expires
    await restarted.sessions.start()
    clock.move(6 * DAY)
    restarted.sessions.revocations.begin_read()
    restarted.sessions.revocations.caught_up()
    with pytest.raises(TokenRevoked):
        restarted.verifier.verify(token)
    await restarted.sessions.close()
    await site.sessions.close()


async def test_r1_the_session_ends_as_if_it_had_begun_with_the_old_token(
    clock: FakeClock, store: SessionStore
) -> None:
    """A stolen old token brings no later end than its owner's sign-in."""
    settings = SessionSettings(absolute=10 * DAY, cap_spread=0)
    site = Site(clock, store, settings=settings)
    token = site.old_token()
    clock.move(6 * DAY)
    status, body = await site.move(token)
    assert status == 200
    assert body["authorization_expires_in"] <= 4 * DAY
    short = SessionSettings(absolute=5 * DAY, idle=DAY, cap_spread=0)
    ended = Site(clock, MemoryStore(clock=clock), settings=short)
    status, body = await ended.move(token)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert [e.reason for e in ended.heard if type(e) is RefreshDenied] == ["expired"]
    await site.sessions.close()
    await ended.sessions.close()


async def test_the_application_decides_who_moves(clock: FakeClock) -> None:
    """A disabled user gets nothing; others get the claims and scopes that it grants."""

    async def authorize(verified: Verified) -> Any:
        return verified.subject != "eve" and {"scope": "read admin", "roles": ["a"], "sub": "x"}

    site = Site(clock, MemoryStore(clock=clock), authorize_move=authorize)
    status, body = await site.move(site.old_token(sub="eve"))
    assert (status, body["error"]) == (400, "invalid_grant")
    assert not await site.sessions.sessions("eve")
    _, body = await site.move(site.old_token(scope="read"))
    verified = site.verifier.verify(body["access_token"])
    assert (verified.subject, verified.scopes) == ("alice", ("read", "admin"))
    broken = Site(clock, MemoryStore(clock=clock), authorize_move=lambda _: 1 / 0)
    assert (await broken.move(broken.old_token()))[0] == 500
    await site.sessions.close()
    await broken.sessions.close()


async def test_d9_a_browser_gets_the_refresh_token_in_its_cookie(clock: FakeClock) -> None:
    """A page of another site gets none."""
    site = Site(clock, MemoryStore(clock=clock))
    answer, body = await site.send("/move", site.old_token(), *COOKIE)
    assert answer.status == 200
    assert "refresh_token" not in body
    assert (answer.header("set-cookie") or "").startswith("__Host-refresh=lqr_")
    foreign = ((b"x-token-delivery", b"cookie"), (b"sec-fetch-site", b"cross-site"))
    answer, _ = await site.send("/move", site.old_token(), *foreign)
    assert answer.status == 400
    await site.sessions.close()


async def test_only_an_old_token_is_exchanged(clock: FakeClock) -> None:
    """Not one of ours, no forged one, none at all; and by POST."""
    site = Site(clock, MemoryStore(clock=clock))
    _, body = await site.move(site.old_token())
    for token, wanted in ((body["access_token"], 400), (site.old_token()[:-4] + "AAAA", 401)):
        assert (await site.move(token))[0] == wanted
    assert (await site.send("/move"))[0].status == 401
    assert (await site.send("/move", site.old_token(), method="GET"))[0].status == 405
    await site.sessions.close()


async def test_without_a_bridge_there_is_no_such_route(clock: FakeClock) -> None:
    """The path is the application's."""
    signer = Signer(OURS, issuer=ORIGIN, audience="shop", clock=clock)
    sessions = Sessions(MemoryStore(clock=clock), signer, SECRET, hooks=[], clock=clock)
    verifier = Verifier.trusting(signer, clock=clock)
    app = App()
    routes = SessionRoutes(app, sessions, verifier, lambda _: None, clock=clock)
    answer = Answer()
    await routes(http("/move", method="POST"), None, answer.send)  # type: ignore[arg-type]
    assert answer.status == 200
    assert len(app.scopes) == 1


async def test_k9_a_change_of_claims_reaches_bridged_tokens(clock: FakeClock) -> None:
    """The token is replaced before the application sees the request, as one of ours is."""
    roles = ["buyer"]

    async def authorize(_: Any) -> Any:
        return {"roles": [*roles]}

    site = Site(clock, MemoryStore(clock=clock), slides=True, authorize=authorize)
    token = site.old_token(roles=["buyer"])
    assert (await site.send("/me", token, method="GET"))[0].status == 200
    roles[:] = ["admin"]
    await site.sessions.refresh_claims("alice")
    with pytest.raises(StaleClaims):
        site.verifier.verify(token)
    answer, _ = await site.send("/me", token, method="GET")
    assert answer.status == 200
    replaced = site.verifier.verify(answer.successor or "")
    assert (replaced.bridged, replaced.claims["roles"]) == (False, ["admin"])
    assert replaced.session_id is not None
    assert replaced.expires_at <= site.began + 7 * DAY
    assert replaced.claims["session_end"] >= replaced.expires_at
    await site.sessions.close()


async def test_v21_revocations_are_kept_as_long_as_bridged_tokens_live(clock: FakeClock) -> None:
    """The verifier tells the feed; a bound that is given as a number stands."""
    site = Site(clock, MemoryStore(clock=clock))
    await site.sessions.start()
    assert site.verifier.longest_lifetime == 7 * DAY
    signer = Signer(OURS, issuer=ORIGIN, audience="shop", clock=clock)
    bridge = Bridge(key=OLD, until=clock() + DAY, lifetime=7 * DAY)
    bound = Verifier.trusting(signer, bridge=bridge, longest_lifetime=900, clock=clock)
    with pytest.raises(LifetimeExceeded):
        bound.verify(site.old_token())
    await site.sessions.close()
