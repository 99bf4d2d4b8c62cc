"""The middleware on HTTP: who gets in, what a refusal says, what a response carries (H, R6, R7)."""

import logging
from typing import Any

import falcon.asgi
import falcon.testing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgi import Answer, App, call, http, nothing
from clock import FakeClock
from linqi import (
    ANONYMOUS,
    ConfigurationError,
    HeaderTransport,
    JWTMiddleware,
    Key,
    LinqiError,
    SlidingRenewal,
    Verified,
    Verifier,
)
from linqi.events import Event, RenewalFailed, TokenRefused, TokenRenewed
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))


def wrap(app: Any, clock: FakeClock, **options: Any) -> JWTMiddleware:
    """Wrap `app` with sliding renewal."""
    renewal = SlidingRenewal(SIGNER, clock=clock)
    verifier = Verifier.trusting(SIGNER, clock=clock, **options.pop("verifier", {}))
    return JWTMiddleware(app, verifier, **{"renewal": renewal, "clock": clock} | options)


def start(middleware: JWTMiddleware, **options: Any) -> str:
    """Sign alice in."""
    assert middleware.renewal
    return middleware.renewal.start("alice", **options).token


def near_expiry(middleware: JWTMiddleware, clock: FakeClock) -> str:
    """Sign alice in, and go to when her token is near expiry."""
    assert middleware.renewal
    issued = middleware.renewal.start("alice")
    clock.move(issued.refresh_in + 1)
    return issued.token


async def test_h1_without_credentials_the_challenge_is_bare(clock: FakeClock) -> None:
    """No error code for who presented nothing (RFC 6750, section 3.1)."""
    app = App()
    answer = await call(wrap(app, clock), http())
    assert (answer.status, app.scopes) == (401, [])
    assert answer.header("www-authenticate") == 'Bearer realm="api"'
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ([(b"authorization", b"Bearer abc")], 401, "invalid_token"),
        ([(b"authorization", b"bearer a.b.c")], 401, "invalid_token"),
        ([(b"authorization", b"Bearer ")], 401, "invalid_token"),
        ([(b"authorization", b"Bearer  a.b.c")], 400, "invalid_request"),
        ([(b"authorization", b"Bearer a.b.c d")], 400, "invalid_request"),
        ([(b"authorization", b"Bearer a.b.c, Bearer d.e.f")], 400, "invalid_request"),
        ([(b"authorization", b"Basic eA==, Bearer a.b.c")], 400, "invalid_request"),
        ([(b"authorization", b"Bearer")], 400, "invalid_request"),
        ([(b"authorization", b"Bearer\ta.b.c")], 400, "invalid_request"),
        ([(b"authorization", b"Bearer a.b.c")] * 2, 400, "invalid_request"),
        ([(b"authorization", b"Basic eA==")], 401, None),
        ([(b"authorization", b"")], 401, None),
        ([(b"x-refresh-token", b"a.b.c"), (b"x-user-id", b"root")], 401, None),
    ],
)
async def test_h1_h2_h4_ill_presented_credentials(
    clock: FakeClock, headers: list[tuple[bytes, bytes]], status: int, error: str | None
) -> None:
    """Two credentials are 400, a bad one 401 with a code, another scheme 401 without."""
    app = App()
    answer = await call(wrap(app, clock), http(headers=headers))
    challenge = answer.header("www-authenticate") or ""
    assert (answer.status, app.scopes) == (status, [])
    assert ("error=" in challenge) == (error is not None)
    assert error is None or f'error="{error}"' in challenge


async def test_an_expired_token_is_told_so(clock: FakeClock) -> None:
    """The client learns that its token expired, so that it can sign in again."""
    middleware = wrap(App(), clock)
    token = start(middleware)
    clock.move(1000)
    answer = await call(middleware, http(token=token))
    assert answer.status == 401
    assert "The access token expired" in (answer.header("www-authenticate") or "")


async def test_a_dpop_bound_token_presented_as_bearer_is_challenged(clock: FakeClock) -> None:
    """RFC 9449, 7.2: 401 invalid_token. No DPoP challenge: no proof would be checked (D11)."""
    events: list[Event] = []
    app = App()
    middleware = wrap(app, clock, hooks=[events.append])
    assert middleware.renewal is not None
    token = middleware.renewal.start("alice", claims={"cnf": {"jkt": "x"}}).token
    for _ in range(2):
        answer = await call(middleware, http(token=token))
        assert (answer.status, app.scopes) == (401, [])
        assert answer.header("www-authenticate") == (
            'Bearer realm="api", error="invalid_token",'
            ' error_description="The access token is bound to a key and is no bearer token"'
        )
    assert [event.code for event in events if isinstance(event, TokenRefused)] == [
        "bound_token",
        "bound_token",
    ]
    headers = [(b"authorization", b"DPoP " + token.encode())]
    answer = await call(middleware, http(headers=headers))
    assert (answer.status, answer.header("www-authenticate")) == (401, 'Bearer realm="api"')


async def test_h3_a_token_in_the_query_is_not_read(clock: FakeClock) -> None:
    """access_token in the URL counts as no credentials."""
    middleware = wrap(App(), clock)
    query = b"access_token=" + start(middleware).encode()
    assert (await call(middleware, http(query_string=query))).status == 401


async def test_the_application_finds_the_caller_in_a_copy_of_the_scope(clock: FakeClock) -> None:
    """H4, H6: user, auth and linqi are set whatever stood there, and the scope is not touched."""
    app = App()
    middleware = wrap(app, clock)
    scope = http(token=start(middleware, scopes=["read"]), user="root", auth="all", linqi="x")
    before = dict(scope)
    await call(middleware, scope)
    (seen,) = app.scopes
    assert scope == before
    assert isinstance(seen["linqi"], Verified)
    assert seen["user"] is seen["auth"] is seen["linqi"]
    assert (seen["user"].identity, seen["auth"].scopes) == ("alice", ("read",))


_OPEN = [
    *("/login", "/static/a/b.css", "/static/", "/static/a=b,c", "/static/\u00fc"),
    *("/.well-known/jwks.json", "/static/..x"),
]
_CLOSED = [
    *("/login/", "/loginx", "/LOGIN", "/", "/static", "/staticx/a", "/static/../admin"),
    *("/static/./a", "/static//a", "/static/a\\b", "/static/\0", "//login", "/static/a%2fb"),
    *("/static/%2e%2e/admin", "/static/100%", "/static/..;/admin", "/static/a;b=c"),
    *("/static/\r\nx", "/static/\x1f", "/static/\x7f", "/static/\x85"),
]


@pytest.mark.parametrize(
    ("path", "status"), [*((path, 200) for path in _OPEN), *((path, 401) for path in _CLOSED)]
)
async def test_h5_public_paths_match_exactly_or_by_whole_segments(
    clock: FakeClock, path: str, status: int
) -> None:
    """A path that two programs could read differently is guarded."""
    public = ["/login", "/static/*", "/.well-known/jwks.json"]
    assert (await call(wrap(App(), clock, public=public), http(path))).status == status


@pytest.mark.parametrize("path", ["/a;b", "/a%20b", "/a//b", "/a/../b", "/a\\b", "/a\nb", "/%/*"])
def test_h5_a_path_that_opens_nothing_is_refused_at_construction(path: str) -> None:
    """An odd path is always guarded, so naming it as public is a mistake."""
    with pytest.raises(ConfigurationError, match="opens nothing"):
        JWTMiddleware(App(), Verifier.trusting(SIGNER), public=[path])


async def test_h5_an_escaped_slash_is_guarded(clock: FakeClock) -> None:
    """The raw path tells what the decoded one hides."""
    middleware = wrap(App(), clock, public=["/static/*"])
    for raw in (b"/static/a%2fb", b"/static/a%2Fb", b"/static/%2e%2e/x", b"/static/a%5cb"):
        assert (await call(middleware, http("/static/a/b", raw_path=raw))).status == 401
    assert (await call(middleware, http("/static/a b", raw_path=b"/static/a%20b"))).status == 200
    assert (await call(middleware, http("/static/a", raw_path=None))).status == 200


async def test_h5_cve_2026_48710_host_and_root_path_do_not_open_anything(
    clock: FakeClock,
) -> None:
    """Compared is the path below root_path; a Host with a path in it changes nothing."""
    middleware = wrap(App(), clock, public=["/login"])
    for root, path, status in (
        ("/api", "/api/login", 200),
        ("/api", "/apilogin", 401),
        ("/api", "/login", 200),
        ("/login", "/login", 401),
        ("", "/me", 401),
    ):
        headers = [(b"host", b"x/login?")]
        scope = http(path, root_path=root, headers=headers)
        assert (await call(middleware, scope)).status == status, (root, path)


async def test_a_public_path_never_looks_at_a_token(clock: FakeClock) -> None:
    """Even garbage passes, as an anonymous caller."""
    app = App()
    await call(wrap(app, clock, public=["/login"]), http("/login", token="garbage", user="root"))
    assert app.scopes[0]["user"] is app.scopes[0]["linqi"] is ANONYMOUS
    assert not ANONYMOUS.is_authenticated


async def test_an_optional_path_takes_nobody_or_somebody_real(clock: FakeClock) -> None:
    """No token is anonymous, a good one is verified, a bad one is refused."""
    app = App()
    middleware = wrap(app, clock, optional=["/feed"])
    assert (await call(middleware, http("/feed"))).status == 200
    assert (await call(middleware, http("/feed", token=start(middleware)))).status == 200
    assert [scope["user"].identity for scope in app.scopes] == ["", "alice"]
    assert (await call(middleware, http("/feed", token="bad"))).status == 401


async def test_h7_only_a_real_preflight_passes(clock: FakeClock) -> None:
    """OPTIONS with both headers, and nothing else with them."""
    middleware = wrap(App(), clock)
    both = [(b"origin", b"https://a.test"), (b"access-control-request-method", b"PUT")]
    assert (await call(middleware, http(method="OPTIONS", headers=both))).status == 200
    for method, headers in (("OPTIONS", both[:1]), ("OPTIONS", both[1:]), ("GET", both)):
        assert (await call(middleware, http(method=method, headers=headers))).status == 401


async def test_head_is_guarded_and_has_no_body(clock: FakeClock) -> None:
    """HEAD without a token is refused, and the refusal has headers only."""
    answer = await call(wrap(App(), clock), http(method="HEAD"))
    assert answer.status == 401
    assert answer.messages[1]["body"] == b""


async def test_h6_headers_may_be_read_once_only(clock: FakeClock) -> None:
    """ASGI allows any iterable; the application still sees all headers."""
    app = App()
    middleware = wrap(app, clock)
    scope = http(token=start(middleware))
    scope["headers"] = iter(scope["headers"])
    assert (await call(middleware, scope)).status == 200
    assert len(app.scopes[0]["headers"]) == 2


@pytest.mark.parametrize("outer", [iter, list, tuple])
@pytest.mark.parametrize("inner", [iter, list])
async def test_h6_each_header_may_be_read_once_only(
    clock: FakeClock, outer: Any, inner: Any
) -> None:
    """ASGI allows any iterable of two: the token is found, and the application sees all of it."""
    app = App()
    middleware = wrap(app, clock, public=["/open"])
    for path in ("/me", "/open"):
        scope = http(path, token=start(middleware))
        plain = scope["headers"]
        scope["headers"] = outer([inner(header) for header in plain])
        scope["client"], scope["server"] = iter(["192.0.2.1", 1234]), iter(["api.test", 443])
        assert (await call(middleware, scope)).status == 200
        seen = app.scopes.pop()
        assert list(seen["headers"]) == plain
        for _ in range(2):
            assert list(seen["client"]) == ["192.0.2.1", 1234]
            assert list(seen["server"]) == ["api.test", 443]


@pytest.mark.parametrize("skips", [True, False])
async def test_h6_headers_of_a_response_may_be_read_once_only(
    clock: FakeClock, skips: bool
) -> None:
    """They arrive whether or not a successor is put beside them."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = iter([iter([b"cache-control", b"public, max-age=60"]), [b"x-note", b"1"]])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    middleware = wrap(app, clock, skip_cacheable=skips)
    answer = await call(middleware, http(token=near_expiry(middleware, clock)))
    assert answer.header("x-note") == "1"
    assert answer.header("cache-control") == ("public, max-age=60" if skips else "no-store")


def test_h6_falcons_own_test_client(clock: FakeClock) -> None:
    """Its headers are iterators in an iterator; a refused and a verified request both work."""

    class Me:
        """One resource."""

        async def on_get(self, request: Any, response: Any) -> None:
            """Answer with the caller and what Falcon read of the scope."""
            user = request.scope["user"].identity
            seen = (request.user_agent, request.remote_addr)
            response.media = {"user": user, "seen": seen}

    inside = falcon.asgi.App()
    inside.add_route("/me", Me())
    middleware = wrap(inside, clock)
    client = falcon.testing.TestClient(middleware.__call__)
    assert client.simulate_get("/me").status_code == 401
    headers = {"authorization": f"Bearer {start(middleware)}", "user-agent": "probe/1"}
    answer = client.simulate_get("/me", headers=headers, remote_addr="192.0.2.7")
    assert answer.json == {"user": "alice", "seen": ["probe/1", "192.0.2.7"]}


async def test_h6_an_unknown_kind_of_scope_is_not_let_through(clock: FakeClock) -> None:
    """What cannot be guarded does not reach the application."""
    app = App()
    with pytest.raises(LinqiError, match="telepathy"):
        await wrap(app, clock)({"type": "telepathy"}, nothing, Answer().send)
    assert app.scopes == []


async def test_lifespan_passes_untouched(clock: FakeClock) -> None:
    """The application gets the very scope, and its messages come through."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    scope = {"type": "lifespan", "state": {}}
    answer = Answer()
    await wrap(app, clock)(scope, nothing, answer.send)
    assert seen[0] is scope
    assert [m["type"] for m in answer.messages] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


# What a response carries


async def test_r7_a_successor_is_kept_out_of_every_cache(clock: FakeClock) -> None:
    """no-store replaces what the app set, Vary names the credential, scripts may read it."""
    headers = [
        (b"Cache-Control", b"public, max-age=60"),
        (b"CDN-Cache-Control", b"max-age=60"),
        (b"Vary", b"Accept"),
        (b"X-Refresh-Token", b"mine"),
        (b"x-other", b"1"),
        (b"Access-Control-Expose-Headers", b"X-Total"),
    ]
    middleware = wrap(App(headers=headers), clock, expose_to=["https://app.test"])
    scope = http(token=near_expiry(middleware, clock), headers=[(b"origin", b"https://app.test")])
    answer = await call(middleware, scope)
    assert answer.successor
    assert answer.successor != "mine"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("cdn-cache-control") is None
    assert answer.header("vary") == "Accept, Authorization, Origin"
    assert answer.header("access-control-expose-headers") == "X-Total, x-refresh-token"
    assert answer.header("x-other") == "1"
    assert headers[0] == (b"Cache-Control", b"public, max-age=60"), "the app's list is its own"


@pytest.mark.parametrize("origin", [b"https://evil.test", b"null", None])
async def test_r7_only_allowed_origins_may_read_the_header(
    clock: FakeClock, origin: bytes | None
) -> None:
    """For other origins the header is not exposed."""
    middleware = wrap(App(), clock, expose_to=["https://app.test"])
    headers = [(b"origin", origin)] if origin else []
    answer = await call(middleware, http(token=near_expiry(middleware, clock), headers=headers))
    assert answer.successor
    assert answer.header("access-control-expose-headers") is None


async def test_r7_vary_star_stays(clock: FakeClock) -> None:
    """A response that varies on everything needs no more names."""
    middleware = wrap(App(headers=[(b"vary", b"*")]), clock)
    answer = await call(middleware, http(token=near_expiry(middleware, clock)))
    assert answer.header("vary") == "*"


@pytest.mark.parametrize("control", [b"public", b"max-age=60", b"s-maxage=1"])
async def test_r7_a_cacheable_response_can_be_left_alone(clock: FakeClock, control: bytes) -> None:
    """With skip_cacheable the renewal waits for a response that no cache may store."""
    app = App(headers=[(b"cache-control", control)])
    middleware = wrap(app, clock, skip_cacheable=True)
    token = near_expiry(middleware, clock)
    answer = await call(middleware, http(token=token))
    assert answer.header("cache-control") == control.decode()
    assert answer.successor is None
    app.headers = []
    assert (await call(middleware, http(token=token))).successor


@pytest.mark.parametrize("status", [200, 201, 204, 206, 299])
async def test_r6_a_2xx_response_carries_the_successor(clock: FakeClock, status: int) -> None:
    """Every success does."""
    middleware = wrap(App(status), clock)
    assert (await call(middleware, http(token=near_expiry(middleware, clock)))).successor


@pytest.mark.parametrize("status", [101, 300, 302, 304, 400, 401, 404, 500, 503])
async def test_r6_other_responses_carry_none(clock: FakeClock, status: int) -> None:
    """Redirects, not-modified and errors pass as they are, and nothing is signed."""
    middleware = wrap(App(status), clock)
    token = near_expiry(middleware, clock)
    before = SIGNER.signatures
    assert (await call(middleware, http(token=token))).headers == []
    assert SIGNER.signatures == before


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_r6_head_and_options_are_not_renewed(clock: FakeClock, method: str) -> None:
    """They are answered for every caller with a token, without a successor."""
    middleware = wrap(App(), clock)
    scope = http(method=method, token=near_expiry(middleware, clock))
    assert (await call(middleware, scope)).successor is None


async def test_r8_the_old_token_stays_good_to_its_own_exp(clock: FakeClock) -> None:
    """Parallel tabs go on with it; its successor takes nothing away."""
    middleware = wrap(App(), clock)
    token = near_expiry(middleware, clock)
    assert (await call(middleware, http(token=token))).successor
    clock.move(290)
    assert (await call(middleware, http(token=token))).status == 200


async def test_h8_everything_but_the_start_passes_as_the_same_object(clock: FakeClock) -> None:
    """Early hints, trailers, pathsend, pushes and unknown messages are not touched."""
    messages = [
        {"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]},
        {"type": "http.response.start", "status": 200, "trailers": True, "extra": object()},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.trailers", "headers": [], "more_trailers": False},
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "another.extension", "x": 1},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    middleware = wrap(app, clock)
    answer = Answer()
    await middleware(http(token=near_expiry(middleware, clock)), nothing, answer.send)
    same = [seen is sent for seen, sent in zip(answer.messages, messages, strict=True)]
    assert same == [True, False, True, True, True, True, True]
    changed = answer.messages[1]
    assert (changed["trailers"], changed["extra"]) == (True, messages[1]["extra"])
    assert "headers" not in messages[1]


async def test_an_exception_of_the_application_is_its_own(clock: FakeClock) -> None:
    """It reaches the server as it was raised."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    middleware = wrap(app, clock)
    with pytest.raises(ZeroDivisionError):
        await call(middleware, http(token=near_expiry(middleware, clock)))


async def test_a_custom_header_name_is_used(clock: FakeClock) -> None:
    """The successor is sent in the header that the application's clients read."""
    middleware = wrap(App(), clock, transports=[HeaderTransport("X-New-Token")])
    answer = await call(middleware, http(token=near_expiry(middleware, clock)))
    assert answer.header("x-new-token")
    assert answer.successor is None


# What is told


async def test_the_log_has_user_old_expiry_and_buffer(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One INFO line per renewal; at DEBUG one that a token is not near expiry yet."""
    caplog.set_level(logging.DEBUG, "linqi")
    middleware = wrap(App(), clock)
    assert middleware.renewal
    issued = middleware.renewal.start("alice")
    await call(middleware, http(token=issued.token))
    clock.move(issued.refresh_in + 1)
    await call(middleware, http(token=issued.token))
    fresh, renewed = caplog.records
    assert fresh.levelno == logging.DEBUG
    assert "not near expiry" in fresh.getMessage()
    assert "user=alice" in fresh.getMessage()
    assert renewed.levelno == logging.INFO
    line = renewed.getMessage()
    assert "user=alice" in line
    assert f"old_expires_at={issued.expires_at:.3f}" in line
    assert "buffer_seconds=300" in line
    assert issued.token not in caplog.text
    caplog.clear()
    caplog.set_level(logging.INFO, "linqi")
    clock.move(-issued.refresh_in)
    await call(middleware, http(token=issued.token))
    assert caplog.records == []


async def test_a_hook_that_raises_is_logged_and_never_felt(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The response is sent, and the other hooks receive the event."""
    heard: list[Any] = []

    def broken(event: object) -> None:
        raise RuntimeError("hook")

    middleware = wrap(App(), clock, hooks=[broken, heard.append])
    assert (await call(middleware, http())).status == 401
    assert (await call(middleware, http(token=near_expiry(middleware, clock)))).successor
    assert [type(event) for event in heard] == [TokenRefused, TokenRenewed]
    assert "raised on TokenRefused" in caplog.text


async def test_a_successor_that_would_be_refused_is_not_delivered(clock: FakeClock) -> None:
    """Claims of `authorize` made it too long: the client keeps the token that is accepted."""
    heard: list[Event] = []
    renewal = SlidingRenewal(SIGNER, authorize=lambda verified: {"x": "y" * 20_000}, clock=clock)
    middleware = wrap(App(), clock, renewal=renewal, hooks=[heard.append])
    answer = await call(middleware, http(token=near_expiry(middleware, clock)))
    assert answer.status == 200
    assert not answer.successor
    (failed,) = heard
    assert isinstance(failed, RenewalFailed)
    assert "at most 16384 are accepted" in failed.detail


async def test_503_names_when_to_come_back(clock: FakeClock) -> None:
    """While revocation cannot be asked the answer is 503 with Retry-After, without challenge."""

    def broken(verified: Verified) -> bool:
        raise OSError

    middleware = wrap(App(), clock, verifier={"is_revoked": broken})
    answer = await call(middleware, http(token=start(middleware)))
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.header("www-authenticate") is None


MARK = b"Zq7-Xw9"
"""What stands in the secrets of a test and in no text of ours."""


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"cookie", b"origin", b"x-refresh-token"]),
            st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda b: b"Bearer " + b))
            | st.binary(max_size=30).map(lambda b: b"Bearer " + b + MARK + b),
        ),
        max_size=4,
    ),
    path=st.text(max_size=12).map(lambda text: "/" + text),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_request_causes_a_500(
    caplog: pytest.LogCaptureFixture,
    headers: list[tuple[bytes, bytes]],
    path: str,
    method: str,
) -> None:
    """Any headers, path and method are answered 400 or 401, and the log holds no credential."""
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    middleware = wrap(App(), FakeClock())
    scope = http(path, method=method, headers=headers, raw_path=path.encode())
    answer = await call(middleware, scope)
    assert answer.status in (400, 401) or method == "OPTIONS"
    assert all(record.getMessage().isascii() for record in caplog.records)
    assert MARK.decode() not in caplog.text


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"public": "login"}, 1),
        ({"public": ["login"], "optional": ["/a*b", "/*/x"]}, 3),
        ({"transports": []}, 1),
        ({"expose_to": "https://a.test", "realm": 'a"b', "wait_seconds": 0}, 3),
        ({"expose_to": ["app.test"]}, 1),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_with_all_its_faults(
    clock: FakeClock, options: dict[str, Any], faults: int
) -> None:
    """Paths, transports, origins, realm and times are checked when the middleware is made."""
    with pytest.raises(ConfigurationError) as caught:
        wrap(App(), clock, **options)
    assert len(caught.value.faults) == faults


def test_a_verifier_of_somebody_else_is_a_fault(clock: FakeClock) -> None:
    """Successors that the verifier would refuse must not be handed out."""
    other = Verifier.trusting(signer_of(Key.generate("HS256")))
    with pytest.raises(ConfigurationError, match="does not trust"):
        JWTMiddleware(App(), other, renewal=SlidingRenewal(SIGNER))
    with pytest.raises(ConfigurationError, match="Verifier"):
        JWTMiddleware(App(), None)  # type: ignore[arg-type]
