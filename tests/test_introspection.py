"""Opaque tokens, whose issuer is asked about them (RFC 7662)."""

import asyncio
import gzip
import json
import runpy
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeTime
from core_time import core_time
from introspection_server import IntrospectionServer, answered, basic, introspecting, response
from linqi import (
    ANY_AUDIENCE,
    ConfigurationError,
    Introspection,
    IntrospectionSettings,
    JWTMiddleware,
    Key,
    KeySet,
    RemoteAccess,
    RemoteLimits,
    Signer,
    TrustedIssuer,
    Verified,
    VerifiedCache,
    Verifier,
)
from linqi.asgi.token_hold import TokenHold
from linqi.config import load
from linqi.config.builder import build
from linqi.config.checker import check
from linqi.config.faults import InvalidConfig
from linqi.errors import (
    BoundToken,
    InactiveToken,
    InvalidClaim,
    LinqiError,
    MalformedToken,
    MissingClaim,
    RefusedAnswer,
    TokenError,
    TokenExpired,
    TokenNotYetValid,
    TokenRevoked,
    Unavailable,
)
from linqi.events import (
    AnswerRefused,
    Event,
    IntrospectionFailed,
    IntrospectionThrottled,
    StreamClosed,
    TokenIntrospected,
)
from linqi.jose.issuers import own_issuer
from linqi.live import LiveOptions, check_live
from test_streams import END, Connection, ticker
from tokens import make, verified
from waiting import until

ROOT = Path(__file__).parent.parent
ISSUER, AUDIENCE = "https://id.test", "api"
ALICE = "opaque-alice"
SECRET = "a secret: 100 % of it"


@pytest.fixture
async def server() -> AsyncIterator[IntrospectionServer]:
    """Return a running introspection endpoint that knows the token of alice."""
    async with introspecting() as made:
        made.answers["opaque-alice"] = alice()
        yield made


def alice(**more: Any) -> dict[str, Any]:
    """Return the answer about a token of alice, with `more`; a member that is ... is left out."""
    claims = {"active": True, "sub": "alice", "aud": AUDIENCE, "scope": "read write"} | more
    return {name: value for name, value in claims.items() if value is not ...}


class World:
    """A verifier that asks a server, with clocks that are moved."""

    def __init__(self, server: IntrospectionServer, **options: Any) -> None:
        self.times = FakeTime()
        self.events: list[Event] = []
        trusted = {
            name: options.pop(name)
            for name in ("prefixes", "jwts", "required_claims", "scope_claims")
            if name in options
        }
        verifying = {
            name: options.pop(name)
            for name in ("leeway", "is_revoked", "bound_tokens", "issuers")
            if name in options
        }
        audience = options.pop("audience", AUDIENCE)
        settings = options.pop("settings", {})
        self.source = Introspection(
            ISSUER,
            url=server.url,
            client_id="api",
            client_secret=SECRET,
            settings=IntrospectionSettings(**settings),
            hooks=[self.events.append],
            clock=self.times.wall,
            monotonic=self.times.monotonic,
            chance=lambda: 0.0,
            **options,
        )
        server.sources.append(self.source)
        self.verifier = Verifier(
            [*verifying.pop("issuers", ()), self.source.trust(audience, **trusted)],
            cache=VerifiedCache(monotonic=self.times.monotonic),
            clock=self.times.wall,
            **verifying,
        )

    async def verify(self, token: str | bytes = ALICE) -> Verified:
        """Verify as the middleware does: at once, or after the issuer was asked."""
        return await verified(self.verifier, token)

    async def refused(self, token: str = ALICE) -> LinqiError:
        """Return why `token` is refused."""
        with pytest.raises(LinqiError) as caught:
            await self.verify(token)
        return caught.value

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def test_j8_one_miss_is_one_request_and_a_hit_is_none(server: IntrospectionServer) -> None:
    """J8: the first request asks the issuer, the next ones ask no one."""
    world = World(server)
    verified = await world.verify()
    for _ in range(5):
        assert world.verifier.verify("opaque-alice") is not None
    assert server.tokens() == ["opaque-alice"]
    assert (verified.issuer, verified.subject, verified.scopes) == (
        ISSUER,
        "alice",
        ("read", "write"),
    )
    assert (verified.algorithm, verified.key_id, verified.own) == ("opaque", "", False)
    assert verified.claims["iss"] == ISSUER
    assert "active" not in verified.claims
    assert world.source.state().requests == 1


async def test_a_request_is_a_form_with_the_credentials_of_this_api(
    server: IntrospectionServer,
) -> None:
    """RFC 7662, section 2.1: POST, the token in the body alone, credentials form-encoded."""
    await World(server).verify()
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/introspect")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/json"
    assert asked.form == {"token": "opaque-alice", "token_type_hint": "access_token"}
    assert asked.headers["authorization"] == basic("api", "a+secret%3A+100+%25+of+it")


async def test_credentials_can_be_in_the_form_or_a_file(
    server: IntrospectionServer, tmp_path: Path
) -> None:
    """RFC 6749, section 2.3.1; a file is read for each request, so that it can be replaced."""
    file = tmp_path / "secret"
    file.write_text("first\n")
    source = Introspection(
        ISSUER, url=server.url, client_id="api", client_secret=file, client_auth="post"
    )
    assert not await source.probe("x")
    file.write_text("second\n")
    assert not await source.probe("x")
    assert [one.form["client_secret"] for one in server.asked] == ["first", "second"]
    assert all("authorization" not in one.headers for one in server.asked)
    await source.close()


async def test_a_bearer_token_of_a_file_authenticates_too(
    server: IntrospectionServer, tmp_path: Path
) -> None:
    """RFC 7662, section 2.1, as an API in a cluster does."""
    file = tmp_path / "token"
    file.write_text("service-account")
    source = Introspection(ISSUER, url=server.url, access=RemoteAccess(token_file=file))
    assert not await source.probe("x")
    assert server.asked[0].headers["authorization"] == "Bearer service-account"
    await source.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"active": False}, InactiveToken),
        ({"active": False, "sub": "alice", "aud": AUDIENCE}, InactiveToken),
        (alice(active="true"), RefusedAnswer),
        (alice(active=1), RefusedAnswer),
        (alice(active=...), RefusedAnswer),
        (alice(active=None), RefusedAnswer),
        (alice(iss="https://evil.test"), RefusedAnswer),
        (alice(iss=None), RefusedAnswer),
        (alice(exp=1), RefusedAnswer),
        (alice(exp=True), RefusedAnswer),
        (alice(exp="1900000000"), RefusedAnswer),
        (alice(exp=253_402_300_800), RefusedAnswer),
        (alice(exp=-1), RefusedAnswer),
        (alice(sub=""), RefusedAnswer),
        (alice(sub=7), RefusedAnswer),
        (alice(sub="x" * 1025), RefusedAnswer),
        (alice(sub="a\0b"), RefusedAnswer),
        (alice(scope=7), RefusedAnswer),
        (alice(nbf="soon"), RefusedAnswer),
        (alice(nested=[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]), RefusedAnswer),
        (alice(aud=...), MissingClaim),
        (alice(aud="other"), InvalidClaim),
        (alice(aud=[]), InvalidClaim),
        (alice(aud=7), InvalidClaim),
        (alice(cnf={"jkt": "x"}), BoundToken),
        (alice(nbf=4_000_000_000), TokenNotYetValid),
    ],
)
async def test_j8_an_answer_that_lies_is_refused(
    server: IntrospectionServer, answer: dict[str, Any], kind: type[TokenError]
) -> None:
    """J8: no answer of a wrong type, issuer, audience or time makes a token valid, nor a 500."""
    server.answers["opaque-alice"] = answer
    world = World(server)
    assert type(await world.refused()) is kind
    assert type(await world.refused()) is kind
    assert len(server.asked) == 1
    assert len(world.of(AnswerRefused)) == (kind is RefusedAnswer)
    assert world.source.state().failures == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"true",
        b"{",
        b'{"active":true,"aud":"api","active":true}',
        b'{"active":false,"aud":"api","sub":"a","active":true}',
        b'{"active":true,"aud":"api","exp":NaN}',
        b'{"active":true,"aud":"api","exp":1e999}',
        b'\xff\xfe{"active":true}',
        b"\x80",
        b"eyJhbGciOiJSUzI1NiIsInR5cCI6InRva2VuLWludHJvc3BlY3Rpb24rand0In0.e30.c2ln",
        b'{"active":true,"aud":"api","pad":"' + b"x" * 70_000 + b'"}',
    ],
)
async def test_j8_a_body_that_is_no_strict_json_is_refused(
    server: IntrospectionServer, body: bytes
) -> None:
    """J8: duplicate members, a signed response (RFC 9701) and a huge body are about one token."""

    async def respond(token: str) -> bytes:
        return response(body)

    server.respond = respond
    world = World(server)
    assert type(await world.refused()) is RefusedAnswer
    server.respond = None
    server.answers["other"] = alice()
    assert (await world.verify("other")).subject == "alice"


async def test_j8_a_gzip_bomb_is_not_inflated(server: IntrospectionServer) -> None:
    """J8: the size is bounded while a body is inflated, as that of a key set (J3)."""

    async def respond(token: str) -> bytes:
        bomb = gzip.compress(b'{"active":true,"pad":"' + b" " * 50_000_000 + b'"}')
        return response(bomb, headers="content-encoding: gzip\r\n")

    server.respond = respond
    assert type(await World(server).refused()) is RefusedAnswer


async def test_j8_a_redirect_takes_no_token_elsewhere(server: IntrospectionServer) -> None:
    """J8: neither the token nor the credentials follow a redirect."""
    async with introspecting() as elsewhere:

        async def respond(token: str) -> bytes:
            return response(b"", "307 Temporary Redirect", f"location: {elsewhere.url}\r\n")

        server.respond = respond
        error = await World(server).refused()
        assert isinstance(error, Unavailable)
        assert "redirects are not followed" in str(error)
        assert elsewhere.asked == []


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_wrong_credentials_are_a_failure_and_no_401(
    server: IntrospectionServer, status: str
) -> None:
    """A user must not be signed out because the secret of this API was replaced."""

    async def respond(token: str) -> bytes:
        return response(b"{}", status)

    server.respond = respond
    world = World(server)
    error = await world.refused()
    assert isinstance(error, Unavailable)
    assert "refuses the credentials" in str(error)
    assert "refuses the credentials" in world.source.state().last_error


async def test_invalid_client_with_400_is_about_the_credentials(
    server: IntrospectionServer,
) -> None:
    """RFC 6749, section 5.2, lets servers answer so; any other 400 is about the token."""

    async def respond(token: str) -> bytes:
        error = "invalid_client" if token == "first" else "invalid_request"
        return response(json.dumps({"error": error}).encode(), "400 Bad Request")

    server.respond = respond
    world = World(server)
    assert isinstance(await world.refused("first"), Unavailable)
    world.times.move(2)
    assert isinstance(await world.refused("second"), RefusedAnswer)


async def test_j8_the_bound_is_exact_whatever_exp_and_leeway_say(
    server: IntrospectionServer,
) -> None:
    """J8: a token revoked at the issuer is accepted for `trust_seconds` at most."""
    server.answers["opaque-alice"] = alice(exp=253_402_300_799)
    world = World(server, settings={"trust_seconds": 30}, leeway=300)
    verified = await world.verify()
    assert verified.expires_at == world.times.wall.now + 30
    server.answers.clear()
    world.times.move(23.9)
    assert world.verifier.verify("opaque-alice") == verified
    world.times.move(6.1)
    assert isinstance(await world.refused(), InactiveToken)
    assert len(server.asked) == 2


async def test_an_answer_ends_with_the_exp_of_its_token(server: IntrospectionServer) -> None:
    """RFC 7662, section 4: never past exp; from then on the issuer is asked again."""
    world = World(server)
    server.answers["opaque-alice"] = alice(exp=int(world.times.wall.now) + 11)
    verified = await world.verify()
    assert verified.expires_at == int(world.times.wall.now) + 11
    world.times.move(11)
    assert isinstance(await world.refused(), RefusedAnswer)


@pytest.mark.parametrize("step", [-100_000, 100_000])
async def test_k6_a_step_of_the_wall_clock_makes_no_answer_last(
    server: IntrospectionServer, step: float
) -> None:
    """K6: the earlier of the two clocks ends an answer."""
    world = World(server)
    await world.verify()
    server.answers.clear()
    world.times.wall.advance(step) if step > 0 else world.times.wall.move_to(
        world.times.wall.now + step
    )
    world.times.move(60)
    assert isinstance(await world.refused(), InactiveToken)


async def test_k6_a_step_ahead_asks_again_at_once(server: IntrospectionServer) -> None:
    """K6: the entry that the step ended does not hide the new answer."""
    world = World(server)
    await world.verify()
    world.times.wall.advance(3600)
    assert (await world.verify()).subject == "alice"
    assert world.verifier.verify(ALICE).subject == "alice"
    assert len(server.asked) == 2


async def test_an_active_token_is_asked_about_before_its_answer_ends(
    server: IntrospectionServer,
) -> None:
    """From 80 % on in the background, so that no request waits and one failure is not felt."""
    world = World(server)
    await world.verify()
    world.times.move(50)
    assert world.verifier.verify("opaque-alice").subject == "alice"
    await until(lambda: len(server.asked) == 2 and not world.source.state().waiting)
    world.times.move(50)
    assert world.verifier.verify("opaque-alice").subject == "alice"


async def test_j8_a_token_revoked_ahead_is_refused_at_once(server: IntrospectionServer) -> None:
    """J8: the entry in the cache of verified tokens ends with the answer, not by its own time."""
    world = World(server)
    await world.verify()
    server.answers["other"] = alice(sub="bob")
    await world.verify("other")
    world.times.move(49)
    server.answers.pop("opaque-alice")
    world.verifier.verify("opaque-alice")
    await until(lambda: world.of(TokenIntrospected)[-1].outcome == "inactive")
    with pytest.raises(InactiveToken):
        world.verifier.verify("opaque-alice")
    assert world.verifier.verify("other").subject == "bob"


async def test_j8_a_thousand_with_one_token_ask_once(server: IntrospectionServer) -> None:
    """J8: one question for all, whether the token is active or not."""
    world = World(server)
    found = await asyncio.gather(*(world.verify() for _ in range(1000)))
    assert {one.subject for one in found} == {"alice"}
    errors = await asyncio.gather(*(world.refused("dead") for _ in range(1000)))
    assert {type(error) for error in errors} == {InactiveToken}
    assert server.tokens() == ["opaque-alice", "dead"]


async def test_a_dead_token_is_asked_about_once_in_its_time(server: IntrospectionServer) -> None:
    """A client that repeats it costs one request in ten seconds."""
    world = World(server)
    for _ in range(20):
        assert isinstance(await world.refused("dead"), InactiveToken)
        world.times.move(1)
    assert len(server.asked) == 2


async def test_j8_the_first_waiter_may_leave(server: IntrospectionServer) -> None:
    """J8: a cancelled request cancels no one else's question."""
    gate = asyncio.Event()

    async def respond(token: str) -> bytes:
        await gate.wait()
        return answered(alice())

    server.respond = respond
    world = World(server)
    first, second = (asyncio.create_task(world.verify()) for _ in range(2))
    await until(lambda: len(server.asked) == 1)
    first.cancel()
    gate.set()
    assert (await second).subject == "alice"
    assert len(server.asked) == 1


async def test_j8_concurrent_answers_are_not_swapped(server: IntrospectionServer) -> None:
    """J8: each token gets the answer about itself, in whatever order they arrive."""
    released = asyncio.Event()

    async def respond(token: str) -> bytes:
        if len(server.asked) == 40:
            released.set()
        await released.wait()
        await asyncio.sleep((hash(token) % 7) / 1000)
        return answered(alice(sub=f"user of {token}"))

    server.respond = respond
    world = World(server, settings={"concurrent": 40})
    tokens = [f"token-{n}" for n in range(40)]
    found = await asyncio.gather(*(world.verify(token) for token in tokens))
    assert [one.subject for one in found] == [f"user of {token}" for token in tokens]


async def test_j8_a_flood_of_made_up_tokens_is_bounded(server: IntrospectionServer) -> None:
    """J8: it reaches the issuer at the stated rate; the rest is 503, and known tokens go on."""
    world = World(server, settings={"new_per_second": 5, "concurrent": 2})
    await world.verify()
    errors = await asyncio.gather(*(world.refused(f"made-up-{n}") for n in range(500)))
    asked = len(server.asked) - 1
    assert 9 <= asked <= 10
    assert sum(isinstance(error, Unavailable) for error in errors) == 500 - asked
    assert server.most_running <= 2
    world.times.move(60)
    world.source._new_lane.admits(world.times.monotonic())
    assert (await world.verify()).subject == "alice"
    world.times.move(30)
    assert isinstance(await world.refused("another"), InactiveToken)
    assert len(world.of(IntrospectionThrottled)) == 1
    assert world.source.state().throttled == 500 - asked


@pytest.mark.parametrize("were_active", [False, True])
async def test_j8_requests_that_arrive_together_are_bounded_too(
    server: IntrospectionServer, were_active: bool
) -> None:
    """J8: a burst of one step of the event loop does not pass `concurrent` and `waiting`."""
    bounds = {"new_per_second": 10_000, "concurrent": 2, "waiting": 8}
    world = World(server, settings=bounds)
    tokens = [f"token-{n}" for n in range(40)]
    for token in tokens if were_active else ():
        server.answers[token] = alice()
        await world.verify(token)
    world.times.move(61)
    errors = await asyncio.gather(*map(world.verify, tokens), return_exceptions=True)
    assert sum(isinstance(error, Unavailable) for error in errors) == 30
    assert world.source.state().throttled == 30


async def test_j8_a_hanging_server_holds_no_request_for_long(server: IntrospectionServer) -> None:
    """J8: each waits for the timeout at most, then none is sent within the pause."""
    never = asyncio.Event()

    async def respond(token: str) -> bytes:
        await never.wait()
        return b""

    world = World(server, limits=RemoteLimits(timeout=1.5))
    await world.verify()
    server.asked.clear()
    server.respond = respond
    began = core_time()
    errors = await asyncio.gather(*(world.refused(f"t{n}") for n in range(40)))
    assert core_time() - began < 2 * 1.5 + 2  # those that were sent, then those that waited
    assert all(isinstance(error, Unavailable) for error in errors)
    assert len(server.asked) == 16
    assert isinstance(await world.refused("one-more"), Unavailable)
    assert len(server.asked) == 16
    assert world.source.state().failures == 1
    assert [event.failures for event in world.of(IntrospectionFailed)] == [1]
    never.set()


async def test_j8_a_server_that_drips_is_cut(server: IntrospectionServer) -> None:
    """J8: the timeout covers the whole response, not each byte."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"access_token")  # the end of the request
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(300):
            if writer.transport.is_closing():
                break
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.transport.abort()
        ended.set()

    ended = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as dripping:
        server.url = f"http://127.0.0.1:{dripping.sockets[0].getsockname()[1]}/"
        began = core_time()
        world = World(server, limits=RemoteLimits(timeout=1.0))
        assert isinstance(await world.refused(), Unavailable)
        assert core_time() - began < 5  # it would drip for six
        await ended.wait()


async def test_failures_pause_longer_and_a_success_ends_the_pause(
    server: IntrospectionServer,
) -> None:
    """The backoff of key sets: doubled up to the longest, and honouring Retry-After."""

    async def respond(token: str) -> bytes:
        return response(b"", "503 Service Unavailable", "retry-after: 7\r\n")

    async def broken(token: str) -> bytes:
        return response(b"", "500 Internal Server Error")

    server.respond = broken
    world = World(server)
    waits = []
    for n in range(6):
        error = await world.refused(f"t{n}")
        assert isinstance(error, Unavailable)
        waits.append(error.retry_after)
        world.times.move(error.retry_after)
    assert waits == [1, 2, 4, 8, 16, 30]
    server.respond = None
    assert (await world.verify()).subject == "alice"
    assert world.source.state().failures == 0
    server.respond = respond
    assert (await world.refused("x")).retry_after == 7  # type: ignore[attr-defined]


async def test_j8_an_outage_is_served_until_the_bound_and_no_longer(
    server: IntrospectionServer,
) -> None:
    """J8: without stale_seconds a token is 503 from the bound on; an active one is never 401."""

    async def broken(token: str) -> bytes:
        return response(b"", "500 Internal Server Error")

    world = World(server)
    await world.verify()
    server.respond = broken
    world.times.move(59)
    assert (await world.verify()).subject == "alice"
    world.times.move(1)
    assert isinstance(await world.refused(), Unavailable)


async def test_stale_seconds_prolong_an_answer_by_name_but_never_past_exp(
    server: IntrospectionServer,
) -> None:
    """What is loosened is stated: only in an outage, and until exp at most."""

    async def broken(token: str) -> bytes:
        return response(b"", "500 Internal Server Error")

    world = World(server, settings={"stale_seconds": 100})
    server.answers["short"] = alice(exp=int(world.times.wall.now) + 90)
    await world.verify()
    await world.verify("short")
    server.respond = broken
    world.times.move(80)
    assert (await world.verify()).subject == "alice"
    assert (await world.verify("short")).subject == "alice"
    world.times.move(15)
    assert isinstance(await world.refused("short"), Unavailable)
    assert (await world.verify()).subject == "alice"
    world.times.move(65)
    assert isinstance(await world.refused(), Unavailable)
    server.respond = None
    world.times.move(60)
    server.answers.clear()
    assert isinstance(await world.refused(), InactiveToken)


async def test_j8_failures_caused_by_made_up_tokens_leave_known_ones(
    server: IntrospectionServer,
) -> None:
    """J8: a token that makes the server fail must not stop it from being asked about others."""

    async def respond(token: str) -> bytes:
        if token.startswith("crash"):
            return response(b"", "500 Internal Server Error")
        return await server.answer(token)

    server.respond = respond
    world = World(server)
    await world.verify()
    world.times.move(59)
    assert isinstance(await world.refused("crash"), Unavailable)
    world.times.move(0.5)
    assert (await world.verify()).subject == "alice"
    await until(lambda: not world.source.state().waiting)
    world.times.move(30)
    assert (await world.verify()).subject == "alice"


def jwt(issuer: str) -> str:
    """Return a JWT of another issuer."""
    signer = Signer(Key.generate("ES256"), issuer=issuer, audience=AUDIENCE)
    return signer.sign({"sub": "bob", "iat": 1_800_000_000, "exp": 1_800_000_600})


async def test_j8_tokens_of_others_are_never_sent(server: IntrospectionServer) -> None:
    """J8: a JWT, whole or cut, a JWE and our own refresh token are shown to no issuer."""
    world = World(server)
    token = jwt("https://other.test")
    head, body, _ = token.split(".")
    for sent in (token, f"{token}.x", f"{head}.{body}", f"{token}.x.y", "a.b.c", "lqr_" + "x" * 90):
        assert isinstance(await world.refused(sent), TokenError), sent
    assert server.asked == []


async def test_j8_a_jwt_is_sent_only_to_the_issuer_that_it_names(
    server: IntrospectionServer,
) -> None:
    """J8: with jwts, a JWT whose iss is this issuer, and no other."""
    own = jwt(ISSUER)
    server.answers[own] = alice()
    world = World(server, jwts=True)
    assert (await world.verify(own)).subject == "alice"
    assert isinstance(await world.refused(jwt("https://other.test")), TokenError)
    assert isinstance(await world.refused("a.b.c"), TokenError)
    assert server.tokens() == [own]


async def test_j8_a_prefix_chooses_the_issuer(server: IntrospectionServer) -> None:
    """J8: with prefixes no other token is sent, and one with the prefix goes to one issuer."""
    server.answers["gho_a.b.c"] = alice()
    world = World(server, prefixes=("gho_", "ghu_"))
    assert (await world.verify("gho_a.b.c")).subject == "alice"
    assert isinstance(await world.refused("opaque-alice"), MalformedToken)
    assert server.tokens() == ["gho_a.b.c"]


@pytest.mark.parametrize(
    "token",
    [
        b"a\r\nhost: evil",
        b"a\0b",
        b"a b",
        b"a,b",
        b'a"b',
        b"a;b",
        b"a\\b",
        b"",
        "tök".encode(),
        b"a\x7f",
        b"x" * 16_385,
    ],
)
async def test_j8_what_no_token_can_hold_is_never_sent(
    server: IntrospectionServer, token: bytes
) -> None:
    """J8: control characters, separators, other encodings and overlong tokens."""
    world = World(server)
    with pytest.raises(MalformedToken):
        await world.verify(token)
    assert server.asked == []


async def test_a_token_with_every_allowed_character_arrives_as_it_is(
    server: IntrospectionServer,
) -> None:
    """16 KiB of them too: the form encodes what would change its meaning."""
    odd = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",;\\.')
    long = "x" * 16_384
    server.answers |= {odd: alice(), long: alice()}
    world = World(server)
    assert (await world.verify(odd)).subject == "alice"
    assert (await world.verify(long)).subject == "alice"
    assert server.tokens() == [odd, long]


async def test_the_middleware_serves_opaque_tokens(server: IntrospectionServer) -> None:
    """200 with the claims in the scope, 401 for a dead one, 503 with Retry-After in an outage."""
    world = World(server)
    inner = App()
    app = JWTMiddleware(inner, world.verifier, hooks=[], clock=world.times.wall)
    assert (await call(app, http(token="opaque-alice"))).status == 200
    assert inner.scopes[0]["linqi"].subject == "alice"
    refused = await call(app, http(token="dead"))
    assert refused.status == 401
    assert refused.header("www-authenticate") == (
        'Bearer realm="api", error="invalid_token", error_description="The access token is invalid"'
    )

    async def broken(token: str) -> bytes:
        return response(b"", "502 Bad Gateway")

    server.respond = broken
    down = await call(app, http(token="third"))
    assert (down.status, down.header("retry-after")) == (503, "1")
    await world.source.close()


async def test_off_loop_verification_takes_opaque_tokens(server: IntrospectionServer) -> None:
    """With verify_off_loop, an opaque token has no signature for a thread."""
    key = Key.generate("ES256")
    signer = Signer(key, issuer="https://own.test", audience=AUDIENCE)
    world = World(server, issuers=[own_issuer(signer)])
    app = JWTMiddleware(
        App(), world.verifier, verify_off_loop=["ES256"], hooks=[], clock=world.times.wall
    )
    now = int(world.times.wall.now)
    own = signer.sign({"sub": "carol", "iat": now, "exp": now + 100})
    for token, status in (("opaque-alice", 200), (own, 200), ("dead", 401), ("a.b.c", 401)):
        assert (await call(app, http(token=token))).status == status
    assert server.tokens() == ["opaque-alice", "dead"]


def held(world: World, verified: Verified) -> TokenHold:
    """Return the hold of `verified` on a connection, with a grace for JWTs."""
    return TokenHold(
        world.verifier,
        verified,
        end_of=lambda token: token.expires_at + 60,
        check_seconds=5,
        clock=world.times.wall,
    )


async def test_a_connection_adopts_an_opaque_successor_whose_answer_is_older(
    server: IntrospectionServer,
) -> None:
    """Else it ends with the token that the successor replaced (H8)."""
    server.answers |= {"old": alice(), "new": alice()}
    world = World(server)
    await world.verify("new")
    world.times.move(20)
    hold = held(world, await world.verify("old"))
    hold.adopt("new")
    server.answers["old"] = {"active": False}
    world.times.move(35)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hold.ended(), 0.1)
    server.answers["new"] = {"active": False}
    world.times.move(50)
    assert isinstance(await asyncio.wait_for(hold.ended(), 30), InactiveToken)


@pytest.mark.parametrize("first", ["jwt", "opaque"])
async def test_a_connection_goes_from_a_jwt_to_an_opaque_token_and_back(
    server: IntrospectionServer, first: str
) -> None:
    """Each ends by its own rule: no grace for an answer, no question about a JWT (J8)."""
    key = Key.generate("ES256")
    jwts = TrustedIssuer(issuer=ISSUER, audience=AUDIENCE, keys=KeySet([key]), algorithms=["ES256"])
    server.answers["opaque"] = alice(sid="one")
    world = World(server, issuers=[jwts])
    now = int(world.times.wall.now)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "sid": "one", "iat": now}
    jwt = make(key, claims | {"exp": now + 100})
    opaque = await world.verify("opaque")
    if first == "opaque":
        hold = held(world, opaque)
        hold.adopt(jwt)
        world.times.move(110)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hold.ended(), 0.05)
        world.times.move(60)
    else:
        hold = held(world, world.verifier.verify(jwt))
        hold.adopt("opaque")
        server.answers["opaque"] = {"active": False}
        world.times.move(50)
    assert isinstance(await asyncio.wait_for(hold.ended(), 30), TokenError)


async def test_k3_a_revocation_of_ours_ends_an_opaque_token(server: IntrospectionServer) -> None:
    """K3: is_revoked decides on every hit, as for any token."""
    revoked: set[str | None] = set()
    world = World(server, is_revoked=lambda verified: verified.subject in revoked)
    await world.verify()
    revoked.add("alice")
    with pytest.raises(TokenRevoked):
        world.verifier.verify("opaque-alice")


async def test_claims_are_checked_as_those_of_a_jwt(server: IntrospectionServer) -> None:
    """required_claims and scope_claims; an audience can be opted out of by name."""
    server.answers["opaque-alice"] = alice(aud=..., client_id="app", scp=["x"], scope=...)
    world = World(
        server,
        audience=ANY_AUDIENCE,
        required_claims={"client_id": ["app"]},
        scope_claims=("scp",),
    )
    assert (await world.verify()).scopes == ("x",)
    server.answers["other"] = alice(aud=..., client_id="evil")
    assert isinstance(await world.refused("other"), InvalidClaim)


@pytest.mark.parametrize(
    "member",
    [
        {"token_type": "refresh_token"},
        {"token_type": "N_A"},
        {"token_type": None},
        {"token_use": "refresh_token"},
        {"token_use": "id"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "ID"},
        {"token_type": "Bearer", "token_use": "refresh_token"},
    ],
)
async def test_j8_a_refresh_token_is_no_access_token(
    server: IntrospectionServer, member: dict[str, Any]
) -> None:
    """Servers call refresh tokens active too (RFC 7662, section 2.1), and they live for weeks."""
    server.answers[ALICE] = alice(**member)
    with pytest.raises(InvalidClaim, match="no access token"):
        await World(server).verify()


@pytest.mark.parametrize(
    "member",
    [{}, {"token_type": "Bearer"}, {"token_type": "bearer", "token_use": "access_token"}],
)
async def test_j8_an_access_token_is_called_so_or_not_at_all(
    server: IntrospectionServer, member: dict[str, Any]
) -> None:
    """The member token_type is optional."""
    server.answers[ALICE] = alice(**member)
    assert (await World(server).verify()).subject == "alice"


async def test_j8_required_claims_say_what_an_access_token_is_called(
    server: IntrospectionServer,
) -> None:
    """By a value of token_type a server is followed that has a word of its own, or none."""
    server.answers[ALICE] = alice(token_type="access")
    world = World(server, required_claims={"token_type": "access"})
    assert (await world.verify()).subject == "alice"
    server.answers["refresh"] = alice()
    assert isinstance(await world.refused("refresh"), MissingClaim)


async def test_no_token_and_no_secret_is_shown(
    server: IntrospectionServer, caplog: pytest.LogCaptureFixture
) -> None:
    """V17: neither in events, messages, states, reprs nor logs."""
    caplog.set_level("DEBUG")
    token = "opaque-secret-token-1"

    async def failing(given: str) -> None:
        raise RuntimeError(f"cannot ask about {given}")

    world = World(server)
    errors = [await world.refused(token)]
    server.answers["t2"] = alice(iss="other")
    errors.append(await world.refused("t2"))
    asked = Introspection("https://f.test", ask=failing, hooks=[world.events.append])
    verifier = Verifier(asked.trust(AUDIENCE))
    assert await verifier.fetch_key(token)
    with pytest.raises(Unavailable) as caught:
        verifier.verify(token)
    shown = repr([*errors, caught.value, *world.events, world.source, world.source.state()])
    shown += repr([asked.state(), world.source._question, vars(world.source._question)])
    shown += caplog.text
    assert token not in shown
    assert SECRET not in shown
    assert "ask raised RuntimeError" in shown


async def test_a_function_of_the_application_is_bounded_as_a_server_is() -> None:
    """The same rules for its answers, and for its time."""
    answers: dict[str, Any] = {
        "good": {"sub": "a", "aud": AUDIENCE},
        "dead": None,
        "inactive": {"active": False},
        "odd": {"sub": object()},
        "list": [("sub", "a")],
        "other": {"iss": "https://other.test", "aud": AUDIENCE},
        "huge": {"pad": "x" * 70_000},
    }

    async def ask(token: str) -> Any:
        if token == "slow":
            await asyncio.sleep(10)
        return answers[token]

    source = Introspection(ISSUER, ask=ask, limits=RemoteLimits(timeout=0.1))
    verifier = Verifier(source.trust(AUDIENCE))
    kinds = {}
    for token in (*answers, "slow"):
        assert await verifier.fetch_key(token)
        try:
            verifier.verify(token)
        except LinqiError as error:
            kinds[token] = type(error)
    assert kinds == {
        "dead": InactiveToken,
        "inactive": InactiveToken,
        "odd": RefusedAnswer,
        "list": RefusedAnswer,
        "other": RefusedAnswer,
        "huge": RefusedAnswer,
        "slow": Unavailable,
    }


def test_two_event_loops_ask_one_after_the_other() -> None:
    """What one loop began is of no use on another; what was answered is."""
    asked = []

    async def ask(token: str) -> dict[str, Any]:
        asked.append(token)
        return {"sub": "a", "aud": AUDIENCE}

    source = Introspection(ISSUER, ask=ask)
    verifier = Verifier(source.trust(AUDIENCE))
    for token in ("one", "one", "two"):
        asyncio.run(verifier.fetch_key(token))
        assert verifier.verify(token).subject == "a"
    assert asked == ["one", "two"]


async def nothing(token: str) -> None:
    """Know no token."""


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Introspection(ISSUER), "neither the url"),
        (lambda: Introspection(ISSUER, url="https://i.test/x"), "no credentials"),
        (
            lambda: Introspection(ISSUER, url="http://i.test/x", client_id="a", client_secret="b"),
            "is http, expected https",
        ),
        (
            lambda: Introspection(
                ISSUER,
                url="https://i.test/x",
                client_id="a",
                client_secret="b",
                client_auth="none",  # type: ignore[arg-type]
            ),
            "expected 'basic' or 'post'",
        ),
        (
            lambda: Introspection(ISSUER, ask=nothing, url="https://i.test/x"),
            "url is set beside ask",
        ),
        (lambda: IntrospectionSettings(trust_seconds=301), "1 to 300"),
        (lambda: IntrospectionSettings(cooldown=40), "longest_backoff"),
        (lambda: Introspection(ISSUER, ask=nothing).trust(()), "audience is neither"),
        (lambda: Introspection(ISSUER, ask=nothing).trust("a", prefixes="ey"), "may begin JWTs"),
        (lambda: Introspection(ISSUER, ask=nothing).trust("a", prefixes="a b"), "prefixes holds"),
        (
            lambda: Verifier(
                [
                    Introspection(ISSUER, ask=nothing).trust("a"),
                    Introspection("https://b.test", ask=nothing).trust("a"),
                ]
            ),
            "could belong to either",
        ),
        (
            lambda: Verifier(
                [
                    Introspection(ISSUER, ask=nothing).trust("a", prefixes="gh"),
                    Introspection("https://b.test", ask=nothing).trust("a", prefixes="gho_"),
                ]
            ),
            "begins with 'gh'",
        ),
        (
            lambda: Verifier(
                [
                    own_issuer(Signer(Key.generate("ES256"), issuer=ISSUER, audience="a")),
                    Introspection(ISSUER, ask=nothing).trust("a", jwts=True),
                ]
            ),
            "verified by keys",
        ),
    ],
)
def test_settings_that_would_leak_tokens_are_refused(make: Callable[[], Any], text: str) -> None:
    """At construction, each with its remedy."""
    with pytest.raises(ConfigurationError, match=text):
        make()


async def test_events_tell_what_came_of_each_question(server: IntrospectionServer) -> None:
    """With the first digits of the token's digest, never the token."""
    world = World(server)
    await world.verify()
    await world.refused("dead")
    assert [event.outcome for event in world.of(TokenIntrospected)] == ["active", "inactive"]
    assert all(len(event.token_digest) == 8 for event in world.of(TokenIntrospected))


ENTRY = """
[[issuers]]
issuer = "https://id.test"
audience = ["api"]
introspection_url = "{url}"
client_id = "api"
client_secret_env = "SECRET"
"""


def configured(folder: Path, text: str, environ: dict[str, str] | None = None) -> Any:
    """Return the components that a ``linqi.toml`` with `text` describes."""
    (folder / "linqi.toml").write_text(text)
    variables = {"SECRET": SECRET} if environ is None else environ
    return build(load(folder / "linqi.toml", variables), environ=variables)


async def test_a_file_describes_an_introspection(
    server: IntrospectionServer, tmp_path: Path
) -> None:
    """[[issuers]] with introspection_url asks with the secret of a variable."""
    server.answers["gho_1"] = alice(sc="a b")
    more = 'prefixes = ["gho_"]\ntrust_seconds = 5\nscope_claims = ["sc"]\n'
    components = configured(tmp_path, ENTRY.format(url=server.url) + more)
    (source,) = components.verifier.fetched_keys
    server.sources.append(source)
    assert await components.verifier.fetch_key("gho_1")
    verified = components.verifier.verify("gho_1")
    assert verified.scopes == ("a", "b")
    assert verified.expires_at - time.time() <= 5
    assert server.asked[0].headers["authorization"].startswith("Basic ")
    assert SECRET not in repr(components)


@pytest.mark.parametrize(
    ("change", "code", "key"),
    [
        ('jwks_url = "https://id.test/jwks"', "contradiction", "jwks_url"),
        ('keys_file = "k.json"', "contradiction", "keys_file"),
        ('algorithms = ["ES256"]', "contradiction", "algorithms"),
        ('keys_format = "certificates"', "contradiction", "keys_format"),
        ('types = ["at+jwt"]', "contradiction", "types"),
        ('client_secret_file = "s"', "contradiction", "client_secret_file"),
    ],
)
def test_keys_and_answers_contradict_each_other(
    tmp_path: Path, change: str, code: str, key: str
) -> None:
    """A token is verified in one way; the file that names two is refused."""
    with pytest.raises(InvalidConfig) as caught:
        configured(tmp_path, ENTRY.format(url="https://id.test/i") + change)
    assert (code, key) in {(fault.code, fault.key) for fault in caught.value.details}


def test_an_unset_variable_of_the_secret_is_a_fault_of_its_key(tmp_path: Path) -> None:
    """The fault names client_secret_env: an entry may name several variables and files."""
    with pytest.raises(InvalidConfig) as caught:
        configured(tmp_path, ENTRY.format(url="https://id.test/i"), environ={})
    (fault,) = caught.value.details
    assert (fault.code, fault.table, fault.key) == ("missing", "issuers.0", "client_secret_env")


@pytest.mark.parametrize(
    ("removed", "key"), [("client_id", "client_id"), ("introspection_url", "introspection_url")]
)
def test_an_entry_without_credentials_or_url_is_refused(
    tmp_path: Path, removed: str, key: str
) -> None:
    """Each missing key is named."""
    text = ENTRY.format(url="https://id.test/i")
    kept = "\n".join(line for line in text.split("\n") if not line.startswith(f"{removed} "))
    with pytest.raises(InvalidConfig) as caught:
        configured(tmp_path, kept)
    assert key in {fault.key for fault in caught.value.details}


@pytest.mark.parametrize(
    ("required", "is_told"),
    [('["client_id"]', True), ('{ client_id = "web", token_type = "Bearer" }', False)],
)
def test_the_check_tells_where_refresh_tokens_are_accepted(
    tmp_path: Path, required: str, is_told: bool
) -> None:
    """J8: where the issuer names no audience, the kind of the token must be required."""
    text = ENTRY.format(url="https://id.test/i")
    kept = [line for line in text.split("\n") if not line.startswith("audience ")]
    text = "\n".join([*kept, "any_audience = true", f"required_claims = {required}", ""])
    (tmp_path / "linqi.toml").write_text(text)
    found = check(tmp_path / "linqi.toml", {"SECRET": SECRET}).findings
    assert ("any-kind" in {one.code for one in found}) == is_told


def test_how_long_an_answer_counts_is_refused_where_none_is_asked_for(tmp_path: Path) -> None:
    """An operator who lowers it for an issuer with keys would expect faster revocation."""
    text = """
    [[issuers]]
    issuer = "https://id.test"
    audience = ["shop"]
    algorithms = ["ES256"]
    trust_seconds = 5
    new_per_second = 5
    """
    with pytest.raises(InvalidConfig) as caught:
        configured(tmp_path, text)
    reasons = [fault.expected for fault in caught.value.details]
    assert [reason.split()[0] for reason in reasons] == ["trust_seconds", "new_per_second"]


def test_the_check_tells_what_is_loosened(tmp_path: Path) -> None:
    """stale_answer_seconds is a warning, JWTs that are sent are a note."""
    text = ENTRY.format(url="https://id.test/i")
    text += "stale_answer_seconds = 30\nintrospect_jwts = true\n"
    (tmp_path / "linqi.toml").write_text(text)
    found = check(tmp_path / "linqi.toml", {"SECRET": SECRET}).findings
    severities = {one.code: one.severity for one in found}
    assert severities["stale-answers"] == "warning"
    assert severities["introspect-jwts"] == "note"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        ("401 Unauthorized", b"{}", "introspection-failed"),
        ("200 OK", b"<html>", "introspection-answer"),
        ("200 OK", b'{"active": true}', "introspection-lies"),
        ("200 OK", b'{"active": false}', None),
    ],
)
async def test_the_live_check_asks_about_a_made_up_token(
    server: IntrospectionServer, tmp_path: Path, status: str, body: bytes, code: str | None
) -> None:
    """Wrong credentials, another endpoint and a server that accepts anything are found."""

    async def respond(token: str) -> bytes:
        return response(body, status)

    server.respond = respond
    (tmp_path / "linqi.toml").write_text(ENTRY.format(url=server.url))
    config = load(tmp_path / "linqi.toml", {"SECRET": SECRET})
    found = await check_live(config, LiveOptions(timeout=2), environ={"SECRET": SECRET})
    codes = {one.code for one in found.findings if one.code.startswith("introspection")}
    assert codes == ({code} if code else set())
    assert server.tokens()[0].startswith("linqi-check-")


async def test_a_socket_lasts_while_its_issuer_calls_the_token_active(
    server: IntrospectionServer,
) -> None:
    """It is asked about before the answer is too old; a revoked token ends the hold (J8, H6)."""
    world = World(server, settings={"trust_seconds": 60})
    verified = await world.verify()
    hold = TokenHold(
        world.verifier,
        verified,
        end_of=lambda held: held.expires_at + 600,
        check_seconds=0.01,
        clock=world.times.wall,
    )
    ended = asyncio.create_task(hold.ended())
    for _ in range(3):
        world.times.move(50)
        end = world.times.wall.now + 60
        await until(lambda end=end: hold.verified.expires_at == end)  # type: ignore[misc]
    server.answers.clear()
    world.times.move(50)
    assert isinstance(await asyncio.wait_for(ended, 30), InactiveToken)


async def test_an_event_stream_goes_on_until_its_issuer_withdraws_the_token(
    server: IntrospectionServer,
) -> None:
    """Through the middleware: past three bounds, then ended; the grace does not count (J8, H6)."""
    world = World(server, settings={"trust_seconds": 60})
    guarded = JWTMiddleware(
        ticker(),
        world.verifier,
        check_seconds=0.01,
        stream_grace_seconds=600,
        hooks=[world.events.append],
        clock=world.times.wall,
    )
    connection = Connection(ALICE)
    served = asyncio.create_task(connection.run(guarded))
    await connection.started(2)
    for asked in (2, 3, 4):
        world.times.move(50)
        await until(lambda asked=asked: len(server.asked) == asked)  # type: ignore[misc]
        await until(lambda: not world.source.state().waiting)
    assert not served.done()
    server.answers.clear()
    world.times.move(50)
    await asyncio.wait_for(served, 30)
    assert connection.sent[-1] == END
    assert [event.code for event in world.of(StreamClosed)] == ["inactive_token"]


async def test_a_socket_ends_with_the_last_answer_in_an_outage(
    server: IntrospectionServer,
) -> None:
    """Without a grace: the bound is the longest time that a revoked token is accepted (J8)."""
    world = World(server)
    hold = TokenHold(
        world.verifier,
        await world.verify(),
        end_of=lambda held: held.expires_at + 600,
        check_seconds=0.01,
        clock=world.times.wall,
    )

    async def broken(token: str) -> bytes:
        return response(b"", "500 Internal Server Error")

    server.respond = broken
    ended = asyncio.create_task(hold.ended())
    world.times.move(59)
    await until(lambda: len(server.asked) == 2 and not world.source.state().waiting)
    assert not ended.done()
    world.times.move(1)
    assert isinstance(await asyncio.wait_for(ended, 30), TokenExpired)


async def test_github_accepts_the_tokens_of_one_app_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the guide, against GitHub's documented response."""
    token = "gho_" + "a" * 36
    user = {"id": 583231, "login": "octocat", "type": "User"}
    found = {
        "id": 1,
        "url": "https://api.github.com/authorizations/1",
        "scopes": ["public_repo", "user"],
        "token": token,
        "token_last_eight": token[-8:],
        "hashed_token": "25f94a2a5c7fbaf499c665bc73d67c1c87e496da8985131633ee0a95819db2e8",
        "app": {"url": "http://my-github-app.com", "name": "app", "client_id": "Iv1.8a61f9b3a7aba"},
        "note": None,
        "note_url": None,
        "updated_at": "2026-09-06T20:39:23Z",
        "created_at": "2026-09-06T17:26:27Z",
        "fingerprint": None,
        "expires_at": None,
        "user": user,
    }
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        seen.append((head.split("\r\n")[0], body))
        assert basic("id", "secret").lower() in head
        known = body["access_token"] == token
        answer = response(json.dumps(found).encode()) if known else response(b"", "404 Not Found")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as github:
        monkeypatch.setenv("GITHUB_API", f"http://127.0.0.1:{github.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("GITHUB_CLIENT_ID", "id")
        monkeypatch.setenv("GITHUB_CLIENT_SECRET", "secret")
        found["app"] = {"client_id": "id", "name": "app", "url": "https://app.example"}
        example = runpy.run_path(str(ROOT / "docs" / "examples" / "github_tokens.py"))
        app = example["app"]
        assert (await call(app, http(token=token))).status == 200
        assert (await call(app, http(token=token))).status == 200
        assert (await call(app, http(token="gho_" + "b" * 36))).status == 401
        assert (await call(app, http(token="ghp_" + "a" * 36))).status == 401
        verified = app.verifier.verify(token)
        assert (verified.subject, verified.scopes) == ("583231", ("public_repo", "user"))
    asked = [body["access_token"][:5] for _, body in seen]
    assert asked == ["gho_a", "gho_b"]
    assert seen[0][0] == "post /applications/id/token http/1.1"
