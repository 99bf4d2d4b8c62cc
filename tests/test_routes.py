"""The session routes: sign in, refresh, sign out, in the body and in a cookie."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi import Answer, App, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    LoginThrottle,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
)
from linqi.errors import Unavailable
from linqi.stores.memory import MemoryStore

ORIGIN = "https://shop.example"
JSON = (b"content-type", b"application/json")
COOKIE = (b"x-token-delivery", b"cookie")
SAME = (b"sec-fetch-site", b"same-origin")


class Site:
    """A site with sessions, and a client for it."""

    def __init__(self, clock: FakeClock, *, store: Any = None, **options: Any) -> None:
        signer = Signer(Key.generate("ES256"), issuer=ORIGIN, audience="shop", clock=clock)
        secret = Key.generate("HS256")
        self.sessions = Sessions(
            store or MemoryStore(clock=clock), signer, secret, hooks=[], clock=clock
        )
        self.verifier = Verifier.trusting(
            signer, is_revoked=self.sessions.revocations.is_revoked, clock=clock
        )
        self.app = App()
        self.has_host = True
        self.routes = SessionRoutes(
            self.app,
            self.sessions,
            self.verifier,
            options.pop("authenticate", self.authenticate),
            clock=clock,
            **options,
        )
        self.guarded = JWTMiddleware(
            self.routes, self.verifier, public=self.routes.public, hooks=[], clock=clock
        )

    async def authenticate(self, form: Any) -> Person | None:
        """Let alice and bob in."""
        if form["username"] not in ("alice", "bob") or form["password"] != "right":
            return None
        return Person(subject=form["username"], claims={"name": "A"}, scopes=["read", "write"])

    async def post(
        self, path: str, body: Any = None, *headers: tuple[bytes, bytes], **more: Any
    ) -> "Reply":
        """Send a request with a JSON body, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = [*headers] if body is None or isinstance(body, bytes) else [JSON, *headers]
        scope = http(path, method=more.pop("method", "POST"), headers=sent, **more)
        scope["client"] = ("192.0.2.1", 1)
        if not self.has_host:
            scope["headers"] = [*sent]
        messages = [{"type": "http.request", "body": b"" if body is None else data}]

        async def receive() -> Any:
            return messages.pop(0)

        reply = Reply()
        await self.guarded(scope, receive, reply.send)
        return reply

    async def login(self, *headers: tuple[bytes, bytes], **fields: str) -> "Reply":
        """Sign alice in."""
        return await self.post(
            "/login", {"username": "alice", "password": "right"} | fields, *headers
        )


class Reply(Answer):
    """What a route answered."""

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.messages[1]["body"])

    def header(self, name: str) -> str | None:
        """Return the value of a header; of the cookies, that of the refresh token."""
        if name != "set-cookie":
            return super().header(name)
        cookies = [value.decode() for key, value in self.headers if key == b"set-cookie"]
        found = [one for one in cookies if not one.startswith("__Host-refresh-device=")]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def cookie(self) -> str:
        """The value of the refresh cookie."""
        return (self.header("set-cookie") or "").partition("=")[2].partition(";")[0]


@pytest.fixture
async def site(clock: FakeClock) -> AsyncIterator[Site]:
    """Return a running site."""
    site = Site(clock, origins=[ORIGIN])
    await site.sessions.start()
    yield site
    await site.sessions.close()


def carrying(cookie: str) -> tuple[bytes, bytes]:
    """Return the header of a refresh cookie."""
    return b"cookie", f"other=1; __Host-refresh={cookie}".encode()


async def test_d8_a_login_answers_with_tokens_that_nobody_caches(site: Site) -> None:
    """D8, D5: JSON, no-store, both timeouts; the access token opens the application."""
    reply = await site.login()
    assert reply.status == 200
    assert reply.header("cache-control") == "no-store"
    assert reply.json["token_type"] == "Bearer"
    assert 600 - 301 <= reply.json["expires_in"] <= 900
    assert reply.json["refresh_token_timeout"] == 7 * 86_400 - 1
    assert reply.json["authorization_expires_in"] > 7 * 86_400
    assert reply.json["scope"] == "read write"
    opened = await site.post("/me", None, method="GET", token=reply.json["access_token"])
    assert opened.status == 200


async def test_forms_are_taken_too(site: Site) -> None:
    """RFC 6749, section 4.3.2: form encoding."""
    kind = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")
    reply = await site.post("/login", b"username=alice&password=right", kind)
    assert reply.status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", b"application/json", 400),
        (b"[]", b"application/json", 400),
        (b'{"username":"a","username":"b","password":"x"}', b"application/json", 400),
        (b'{"username":"alice"}', b"application/json", 400),
        (b'{"username":7,"password":"x"}', b"application/json", 400),
        (b'{"username":"\\ud800","password":"x"}', b"application/json", 400),
        (b"username=alice&username=bob&password=x", b"application/x-www-form-urlencoded", 400),
        (b"%ff=%ff", b"application/x-www-form-urlencoded", 400),
        (b"username=alice&password=right", b"text/plain", 415),
        (b'{"username":"alice","password":"right"}', b"text/plain", 415),
        (b"x" * 9000, b"application/json", 413),
        (b"[" * 8000, b"application/json", 400),
        (b"", b"application/json", 400),
        ('{"username":"alice","password":"right"}'.encode("utf-16"), b"application/json", 400),
        ('{"username":"alice","password":"right"}'.encode("utf-16-le"), b"application/json", 400),
        ('{"username":"alice","password":"right"}'.encode("utf-32"), b"application/json", 400),
        ('{"username":"alice","password":"right"}'.encode("utf-8-sig"), b"application/json", 400),
        (
            "username=alice&password=right".encode("utf-8-sig"),
            b"application/x-www-form-urlencoded",
            400,
        ),
        (
            b'{"username":"alice","password":"right"}',
            b"application/json; charset=utf-16",
            415,
        ),
        (
            b"username=alice&password=right",
            b'application/x-www-form-urlencoded; charset="ISO-8859-1"',
            415,
        ),
        (b'{"username":"alice\\u0000","password":"right"}', b"application/json", 400),
        (b"username=alice&password=right%00", b"application/x-www-form-urlencoded", 400),
    ],
)
async def test_hostile_bodies_are_refused_by_name(
    site: Site, body: bytes, kind: bytes, status: int
) -> None:
    """Never a 500, whatever is sent, at every route that reads a body."""
    for path in ("/login", "/refresh", "/revoke"):
        reply = await site.post(path, body, (b"content-type", kind))
        assert reply.status == status
        assert reply.json["error"] in ("invalid_request", "invalid_grant")


async def test_a_wrong_password_is_an_invalid_grant(site: Site) -> None:
    """RFC 6749, section 5.2; the response does not show which users exist."""
    wrong = await site.login(password="wrong")
    unknown = await site.login(username="nobody")
    assert (wrong.status, wrong.json) == (unknown.status, unknown.json)
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")


async def test_refreshing_in_the_body(site: Site, clock: FakeClock) -> None:
    """For clients that are no browsers: rotated, replayed, with a rising sequence."""
    first = (await site.login()).json
    reply = await site.post("/refresh", {"refresh_token": first["refresh_token"]})
    again = await site.post("/refresh", {"refresh_token": first["refresh_token"]})
    assert reply.json["refresh_token"] == again.json["refresh_token"] != first["refresh_token"]
    assert reply.header("x-refresh-outcome") == "rotated"
    assert again.header("x-refresh-outcome") == "replayed"
    assert reply.header("x-refresh-sequence") == "1"
    assert reply.header("set-cookie") is None
    clock.move(1)
    third = await site.post("/refresh", {"refresh_token": reply.json["refresh_token"]})
    assert third.json["sequence"] == 2
    reuse = await site.post("/refresh", {"refresh_token": first["refresh_token"]})
    assert (reuse.status, reuse.json["error"]) == (400, "invalid_grant")
    assert reuse.header("x-refresh-outcome") == "reused"
    gone = await site.post("/me", None, method="GET", token=third.json["access_token"])
    assert gone.status == 401


async def test_d9_the_cookie_is_host_only_and_out_of_scripts_reach(site: Site) -> None:
    """D9: every attribute, under 4,096 bytes; the token is not in the body as well."""
    reply = await site.login(COOKIE, SAME)
    cookie = reply.header("set-cookie") or ""
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-refresh=lqr_")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"} <= {*attributes}
    assert not any(a.startswith("Domain") for a in attributes)
    assert len(cookie) < 4096
    assert "refresh_token" not in reply.json
    refreshed = await site.post("/refresh", None, COOKIE, SAME, carrying(reply.cookie))
    assert refreshed.status == 200
    assert refreshed.cookie.startswith("lqr_")
    assert "refresh_token" not in refreshed.json


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([COOKIE, SAME], 200),
        ([COOKIE, (b"origin", ORIGIN.encode())], 200),
        ([SAME], 400),
        ([COOKIE], 400),
        ([COOKIE, (b"sec-fetch-site", b"same-site"), (b"origin", ORIGIN.encode())], 200),
        ([COOKIE, (b"sec-fetch-site", b"same-site")], 400),
        ([COOKIE, (b"sec-fetch-site", b"same-site"), (b"origin", b"null")], 400),
        ([COOKIE, (b"sec-fetch-site", b"same-site"), (b"origin", b"https://x.shop.example")], 400),
        ([COOKIE, (b"sec-fetch-site", b"same-site"), (b"origin", ORIGIN.encode() + b"/")], 400),
        ([(b"sec-fetch-site", b"same-site"), (b"origin", ORIGIN.encode())], 400),
        ([COOKIE, (b"sec-fetch-site", b"cross-site")], 400),
        ([COOKIE, (b"sec-fetch-site", b"none")], 400),
        ([COOKIE, (b"sec-fetch-site", b"cross-site"), (b"origin", ORIGIN.encode())], 400),
        ([COOKIE, (b"origin", b"null")], 400),
        ([COOKIE, (b"origin", b"https://evil.example")], 400),
        ([COOKIE, (b"origin", b"https://sub.shop.example")], 400),
        ([(b"x-token-delivery", b"body"), SAME], 400),
    ],
)
async def test_d9_a_cookie_counts_only_from_our_own_pages(
    site: Site, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """D9: refresh is refused to foreign pages, and the session is untouched by the attempt."""
    cookie = (await site.login(COOKIE, SAME)).cookie
    assert (await site.post("/refresh", None, *headers, carrying(cookie))).status == status
    logout = await site.post("/logout", None, *headers, carrying(cookie))
    if status == 400 and (COOKIE in headers):
        assert logout.status == 400
    refreshed = await site.post("/refresh", None, COOKIE, SAME, carrying(cookie))
    assert refreshed.status == (400 if status == 200 else 200)


@pytest.mark.parametrize("path", ["/login", "/refresh", "/logout", "/revoke"])
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("origin", ORIGIN, "https://evil.example"),
        ("sec-fetch-site", "same-origin", "cross-site"),
        ("content-type", "application/json", "application/json"),
        ("x-token-delivery", "cookie", "body"),
    ],
)
async def test_d9_a_header_that_decides_stands_there_once(
    site: Site, path: str, name: str, first: str, second: str
) -> None:
    """A proxy may read the other of the two: neither counts, whatever their order."""
    cookie = (await site.login(COOKIE, SAME)).cookie
    body = json.dumps({"username": "alice", "password": "right", "token": "x"}).encode()
    given = {"content-type": "application/json", "x-token-delivery": "cookie", "origin": ORIGIN}
    given |= {"sec-fetch-site": "same-origin"}
    for values in ((first, second), (second, first)):
        twice = [(name.encode(), value.encode()) for value in values]
        once = [(key.encode(), value.encode()) for key, value in given.items() if key != name]
        reply = await site.post(path, body, *once, *twice, carrying(cookie))
        assert (reply.status, reply.json["error"]) == (400, "invalid_request")
    assert (await site.post("/refresh", None, COOKIE, SAME, carrying(cookie))).status == 200


@pytest.mark.parametrize(
    ("host", "origin", "site_says", "status"),
    [
        ("localhost:8000", "http://localhost:8000", "same-origin", 200),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", "same-origin", 200),
        ("[::1]:8000", None, "same-origin", 200),
        ("localhost:8000", "http://localhost:5173", "same-site", 200),
        ("localhost:8000", "http://localhost:5173", None, 200),
        ("localhost:8000", "http://localhost:9999", "same-site", 400),
        ("shop.example", "http://shop.example", "same-origin", 400),
        ("shop.example", None, "same-origin", 400),
        ("localhost:8000", "https://shop.example", "same-origin", 400),  # a proxy rewrote Host
        ("localhost.evil.example", None, "same-origin", 400),
        ("", None, "same-origin", 400),
    ],
)
async def test_a_cookie_without_secure_is_for_loopback_only(
    clock: FakeClock, host: str, origin: str | None, site_says: str | None, status: int
) -> None:
    """Development over http: no prefix, no Secure; what reaches another host gets no cookie."""
    site = Site(
        clock, cookie_secure=False, cookie_name="refresh", origins=["http://localhost:5173"]
    )
    headers = [COOKIE, (b"host", host.encode())]
    headers += [(b"origin", origin.encode())] if origin else []
    headers += [(b"sec-fetch-site", site_says.encode())] if site_says else []
    site.has_host = False
    reply = await site.login(*headers)
    assert reply.status == status
    cookies = [value.decode() for name, value in reply.headers if name == b"set-cookie"]
    if status == 200:
        assert [cookie.partition("=")[0] for cookie in cookies] == ["refresh", "refresh-device"]
    else:
        assert cookies == []
    for cookie in cookies:
        assert "Secure" not in cookie
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*cookie.split("; ")}


async def test_two_refresh_cookies_are_refused(site: Site) -> None:
    """No token is chosen among several."""
    cookie = (await site.login(COOKIE, SAME)).cookie
    reply = await site.post("/refresh", None, COOKIE, SAME, carrying(cookie), carrying(cookie))
    assert reply.status == 400


async def test_losers_and_the_refused_keep_their_cookies(site: Site) -> None:
    """A late refusal must not clear the cookie that a newer login has set."""
    cookie = (await site.login(COOKIE, SAME)).cookie
    answers = [await site.post("/refresh", None, COOKIE, SAME, carrying(cookie)) for _ in range(5)]
    assert len({answer.cookie for answer in answers}) == 1
    newer = await site.post("/refresh", None, COOKIE, SAME, carrying(answers[0].cookie))
    assert newer.status == 200
    reuse = await site.post("/refresh", None, COOKIE, SAME, carrying(cookie))
    assert reuse.status == 400
    assert reuse.header("set-cookie") is None


async def test_signing_out_ends_the_session_and_clears_the_cookie(site: Site) -> None:
    """Twice is as good as once; nonsense is no error."""
    login = await site.login(COOKIE, SAME)
    for token in (login.cookie, login.cookie, "nonsense"):
        reply = await site.post("/logout", None, COOKIE, SAME, carrying(token))
        assert (reply.status, reply.cookie) == (204, "")
        assert "Max-Age=0" in (reply.header("set-cookie") or "")
    assert (await site.post("/logout")).status == 204
    token = login.json["access_token"]
    assert (await site.post("/me", None, method="GET", token=token)).status == 401


async def test_sessions_are_listed_and_ended_by_their_owner(site: Site, clock: FakeClock) -> None:
    """A user cannot see or end the sessions of another; the current one is marked."""
    one = (await site.login(device="phone")).json
    clock.move(1)
    two = (await site.login((b"user-agent", b"Browser\x01/1"))).json
    bob = (await site.post("/login", {"username": "bob", "password": "right"})).json
    reply = await site.post("/sessions", None, method="GET", token=two["access_token"])
    listed = reply.json["sessions"]
    assert [row["device"] for row in listed] == ["phone", "Browser/1"]
    assert [row["is_current"] for row in listed] == [False, True]
    first = f"/sessions/{listed[0]['session_id']}"
    stranger = await site.post(first, None, method="DELETE", token=bob["access_token"])
    assert stranger.status == 404
    for odd in ("x", "x" * 31, "\0" * 30, "../" * 10, "{" * 30):
        path = f"/sessions/{odd.replace('/', '.')}"
        reply = await site.post(path, None, method="DELETE", token=two["access_token"])
        assert reply.status == 404
    ended = await site.post(first, None, method="DELETE", token=two["access_token"])
    assert ended.status == 204
    assert (await site.post("/me", None, method="GET", token=one["access_token"])).status == 401
    for path in ("/sessions", first, "/logout-all"):
        method = {"/sessions": "GET", first: "DELETE"}.get(path, "POST")
        assert (await site.post(path, None, method=method)).status == 401


async def test_signing_out_everywhere(site: Site) -> None:
    """All sessions of the caller, this one included; others' stay."""
    pairs = [(await site.login()).json for _ in range(2)]
    bob = (await site.post("/login", {"username": "bob", "password": "right"})).json
    reply = await site.post("/logout-all", None, token=pairs[0]["access_token"])
    assert reply.status == 204
    for pair in pairs:
        answer = await site.post("/refresh", {"refresh_token": pair["refresh_token"]})
        assert answer.status == 400
    assert (await site.post("/refresh", {"refresh_token": bob["refresh_token"]})).status == 200


async def test_d6_rfc_7009_revocation(site: Site) -> None:
    """D6: 200 for what is none of ours; a refresh token's end takes the access tokens along."""
    pair = (await site.login()).json
    assert (await site.post("/revoke", {"token": "nonsense"})).status == 200
    assert (await site.post("/revoke", {"token": pair["access_token"]})).status == 200
    me = await site.post("/me", None, method="GET", token=pair["access_token"])
    assert me.status == 401
    fresh = (await site.post("/refresh", {"refresh_token": pair["refresh_token"]})).json
    assert (await site.post("/revoke", {"token": fresh["refresh_token"]})).status == 200
    again = await site.post("/refresh", {"refresh_token": fresh["refresh_token"]})
    assert again.status == 400


async def test_revoking_an_access_token_leaves_its_session_alive(site: Site) -> None:
    """RFC 7009, 2.1: only that token ends; the refresh token and its successors go on."""
    pair = (await site.login()).json
    fresh = (await site.post("/refresh", {"refresh_token": pair["refresh_token"]})).json
    assert (await site.post("/revoke", {"token": pair["access_token"]})).status == 200
    assert (await site.post("/me", None, method="GET", token=pair["access_token"])).status == 401
    assert (await site.post("/me", None, method="GET", token=fresh["access_token"])).status == 200
    again = await site.post("/refresh", {"refresh_token": fresh["refresh_token"]})
    assert again.status == 200


async def test_d6_a_token_without_jti_is_revoked_by_its_session(
    site: Site, clock: FakeClock
) -> None:
    """D6: the session ends, because nothing else names the token."""
    pair = (await site.login()).json
    now = int(clock.now)
    (session,) = await site.sessions.sessions("alice")
    claims = {"sub": "alice", "sid": session.session_id, "iat": now, "exp": now + 60}
    token = site.sessions.signer.sign(claims)
    assert (await site.post("/me", None, method="GET", token=token)).status == 200
    assert (await site.post("/revoke", {"token": token})).status == 200
    assert (await site.post("/me", None, method="GET", token=token)).status == 401
    again = await site.post("/refresh", {"refresh_token": pair["refresh_token"]})
    assert again.header("x-refresh-outcome") == "revoked"


async def test_d6_a_token_that_no_revocation_can_name_is_answered_400(
    site: Site, clock: FakeClock
) -> None:
    """RFC 7009, 2.2.1: the client must learn that the token was not revoked."""
    now = int(clock.now)
    token = site.sessions.signer.sign({"sub": "alice", "iat": now, "exp": now + 60})
    answer = await site.post("/revoke", {"token": token})
    assert (answer.status, answer.json["error"]) == (400, "unsupported_token_type")
    assert (await site.post("/me", None, method="GET", token=token)).status == 200


async def test_revoke_session_ends_what_an_access_token_belongs_to(clock: FakeClock) -> None:
    """The session, its refresh token and its other access tokens; other sessions stay."""
    site = Site(clock, revoke_session=True)
    await site.sessions.start()
    pair, other = (await site.login()).json, (await site.login()).json
    fresh = (await site.post("/refresh", {"refresh_token": pair["refresh_token"]})).json
    assert (await site.post("/revoke", {"token": pair["access_token"]})).status == 200
    for token in (pair["access_token"], fresh["access_token"]):
        assert (await site.post("/me", None, method="GET", token=token)).status == 401
    again = await site.post("/refresh", {"refresh_token": fresh["refresh_token"]})
    assert again.header("x-refresh-outcome") == "revoked"
    kept = await site.post("/refresh", {"refresh_token": other["refresh_token"]})
    assert kept.status == 200
    await site.sessions.close()


async def test_d10_a_dead_store_is_503_and_nothing_is_spent(clock: FakeClock) -> None:
    """D6, D10, I5: Retry-After, never a false success, and the token is good afterwards."""

    class Moody(MemoryStore):
        is_dead = False

        async def present(self, *arguments: Any) -> Any:
            if self.is_dead:
                raise Unavailable("gone")
            return await super().present(*arguments)

        async def revoke(self, *arguments: Any) -> Any:
            if self.is_dead:
                raise Unavailable("gone")
            return await super().revoke(*arguments)

    store = Moody(clock=clock)
    site = Site(clock, store=store)
    await site.sessions.start()
    kept, left, revoked = [
        {"refresh_token": (await site.login()).json["refresh_token"]} for _ in range(3)
    ]
    attempts = (
        ("/refresh", kept),
        ("/logout", left),
        ("/revoke", {"token": revoked["refresh_token"]}),
    )
    store.is_dead = True
    for path, body in attempts:
        reply = await site.post(path, body)
        assert (reply.status, reply.header("retry-after")) == (503, "1")
    store.is_dead = False
    assert (await site.post("/refresh", kept)).header("x-refresh-outcome") == "rotated"
    # What was to be ended is refused here from then on, and ended where it is met again.
    for token in (left, revoked):
        assert (await site.post("/refresh", token)).header("x-refresh-outcome") == "revoked"
    for path, body in attempts[1:]:
        assert (await site.post(path, body)).status in (200, 204)
    await site.sessions.close()


async def test_guessing_is_throttled(site: Site, clock: FakeClock) -> None:
    """Five failures of one name from one address, then 429; another address is not locked out."""
    for _ in range(5):
        assert (await site.login(password="guess")).status == 400
    slowed = await site.login()
    assert slowed.status == 429
    assert 1 <= int(slowed.header("retry-after") or 0) <= 300
    bob = await site.post("/login", {"username": "bob", "password": "right"})
    assert bob.status == 200


async def test_d7_a_refresh_may_ask_for_fewer_scopes(site: Site) -> None:
    """RFC 6749, section 6: fewer is fine, more is invalid_scope."""
    token = (await site.login()).json["refresh_token"]
    fewer = await site.post("/refresh", {"refresh_token": token, "scope": "read"})
    assert fewer.json["scope"] == "read"
    next_token = fewer.json["refresh_token"]
    more = await site.post("/refresh", {"refresh_token": next_token, "scope": "read admin"})
    assert (more.status, more.json["error"]) == (400, "invalid_scope")
    assert more.json["error_description"] == "the session does not have these scopes"
    assert (await site.post("/refresh", {"refresh_token": next_token})).status == 200


async def test_other_paths_and_methods_are_the_applications(site: Site) -> None:
    """Only what is ours is taken; wrong methods of it are 405."""
    assert (await site.post("/login", None, method="GET")).status == 405
    token = (await site.login()).json["access_token"]
    for path in ("/loginx", "/sessions/a/b", "/x/login"):
        reply = await site.post(path, None, method="GET", token=token)
        assert reply.messages[1]["body"] == b"done"


async def test_routes_can_live_under_a_prefix(clock: FakeClock) -> None:
    """With the public paths to match."""
    site = Site(clock, prefix="/auth")
    assert site.routes.public == ("/auth/login", "/auth/refresh", "/auth/logout", "/auth/revoke")
    reply = await site.post("/auth/login", {"username": "alice", "password": "right"})
    assert reply.status == 200


def test_unfit_settings_are_refused(clock: FakeClock) -> None:
    """Cookies without the prefix, wildcard origins, odd prefixes, unreadable limits."""
    for options in (
        {"cookie_name": "refresh"},
        {"origins": ["*"]},
        {"origins": "https://shop.example"},
        {"origins": ["https://shop.example/"]},
        {"origins": ["https://Shop.example"]},
        {"origins": ["shop.example"]},
        {"cookie_name": "__Host-"},
        {"cookie_secure": False},
        {"cookie_secure": False, "cookie_name": "__Secure-refresh"},
        {"cookie_secure": False, "cookie_name": "refresh", "origins": ["https://shop.example"]},
        {"cookie_secure": False, "cookie_name": "refresh", "origins": ["http://localhost.evil"]},
        {"prefix": "auth/"},
    ):
        with pytest.raises(ConfigurationError):
            Site(clock, **options)
    with pytest.raises(ConfigurationError):
        LoginThrottle(per_pair="often")
    with pytest.raises(ConfigurationError):
        LoginThrottle(storage="nowhere://")  # type: ignore[arg-type]
