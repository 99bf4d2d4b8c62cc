"""The session routes in the format of the application: `error` stays for OAuth clients."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from asgi import Answer, App, http
from clock import FakeClock
from linqi import (
    JWTMiddleware,
    Key,
    MemoryStore,
    Person,
    RefusalFacts,
    RefusalFormat,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
)
from linqi.asgi.refusal_format import STYLES
from linqi.client.http_post import PostResponse
from linqi.events import RefusalBodyFailed

FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
CHINESE = [(b"accept-language", b"zh-CN")]


class Site:
    """Session routes inside the middleware, of which `refusal` may be chosen anew."""

    def __init__(self, clock: FakeClock) -> None:
        signer = Signer(
            Key.generate("ES256"), issuer="https://shop.test", audience="a", clock=clock
        )
        self.heard: list[Any] = []
        self._clock = clock
        self.sessions = Sessions(
            MemoryStore(clock=clock), signer, Key.generate("HS256"), hooks=(), clock=clock
        )
        self._verifier = Verifier.trusting(signer, hooks=(), clock=clock)
        self.routes = SessionRoutes(
            App(),
            self.sessions,
            self._verifier,
            lambda form: Person(subject=form["username"]) if form["password"] == "right" else None,
            throttle=None,
            clock=clock,
        )

    async def post(self, refusal: RefusalFormat | None, path: str, **fields: str) -> Answer:
        """Post a form from a Chinese browser."""
        app = JWTMiddleware(
            self.routes,
            self._verifier,
            public=self.routes.public,
            refusal=refusal,
            hooks=[self.heard.append],
            clock=self._clock,
        )

        async def receive() -> Any:
            return {"type": "http.request", "body": urlencode(fields).encode()}

        answer = Answer()
        await app(http(path, method="POST", headers=FORM + CHINESE), receive, answer.send)
        return answer


@pytest.fixture
async def site(clock: FakeClock) -> AsyncIterator[Site]:
    """Return a running site."""
    made = Site(clock)
    await made.sessions.start()
    yield made
    await made.sessions.close()


def json_of(answer: Answer) -> Any:
    """Return the JSON body, whose length is the one declared."""
    body = answer.messages[1]["body"]
    assert answer.header("content-length") == str(len(body))
    return json.loads(body)


@pytest.mark.parametrize("style", STYLES)
async def test_oauth_clients_read_what_they_read_before(site: Site, style: str) -> None:
    """RFC 6749, section 5.2: `error` and application/json, whatever the format."""
    chosen = RefusalFormat(style)
    for path, fields in (
        ("/refresh", {"refresh_token": "forged"}),
        ("/login", {"username": "alice", "password": "wrong"}),
        ("/refresh", {"refresh_token": "x", "grant_type": "password"}),
        ("/login", {}),
    ):
        plain = await site.post(None, path, **fields)
        own = await site.post(chosen, path, **fields)
        before, after = json_of(plain), json_of(own)
        assert (own.status, after | before) == (plain.status, after)
        for name in ("content-type", "cache-control", "pragma", "x-refresh-outcome"):
            assert own.header(name) == plain.header(name)
        assert own.header("content-type") == "application/json"
    refused = await site.post(chosen, "/refresh", refresh_token="forged")
    assert PostResponse(status=refused.status, body=json_of(refused)).is_refusal


async def test_the_members_of_the_format_stand_beside_the_error(site: Site) -> None:
    """A page of sign-in shows `msg`; the code is finer than the `error` of OAuth."""
    answer = await site.post(RefusalFormat("envelope"), "/login", username="a", password="wrong")
    assert json_of(answer) == {
        "code": "wrong_credentials",
        "msg": "用户名或密码错误",
        "data": None,
        "error": "invalid_grant",
        "error_description": "the name or the password is wrong",
    }
    assert answer.header("content-language") == "zh-CN"
    assert answer.header("vary") == "accept-language"
    ended = await site.post(RefusalFormat("problem"), "/refresh", refresh_token="forged")
    assert json_of(ended)["code"] == "session_ended"


async def test_a_successful_answer_has_no_format(site: Site) -> None:
    """Tokens are where OAuth clients look for them."""
    answer = await site.post(RefusalFormat("envelope"), "/login", username="a", password="right")
    assert answer.status == 200
    assert "access_token" in json_of(answer)
    assert "msg" not in json_of(answer)
    assert answer.header("vary") is None


async def test_a_guarded_route_without_a_token_is_in_the_format(site: Site) -> None:
    """The middleware refuses it: no OAuth client reads `error` there, but the challenge."""
    answer = await site.post(RefusalFormat("problem"), "/logout-all")
    assert (answer.status, answer.header("content-type")) == (401, "application/problem+json")


async def test_on_refusal_adds_members_and_replaces_no_error(site: Site) -> None:
    """A mapping stands beside; bytes cannot; a wrong value is told."""
    told: list[RefusalFacts] = []

    def on_refusal(facts: RefusalFacts) -> Mapping[str, Any]:
        told.append(facts)
        return {"error": "mine", "ok": False}

    form = {"username": "alice", "password": "secret-word"}
    own = await site.post(RefusalFormat(on_refusal=on_refusal), "/login", **form)
    assert json_of(own)["error"] == "invalid_grant"
    assert json_of(own)["ok"] is False
    assert "secret-word" not in repr(told)
    page = RefusalFormat("envelope", on_refusal=lambda _: (b"no", "text/plain"))
    assert json_of(await site.post(page, "/login", **form))["code"] == "wrong_credentials"
    assert site.heard == []
    wrong = RefusalFormat("envelope", on_refusal=lambda _: 7)  # type: ignore[arg-type,return-value]
    assert json_of(await site.post(wrong, "/login", **form))["code"] == "wrong_credentials"
    assert isinstance(site.heard[-1], RefusalBodyFailed)
