"""Cookies, headers and subprotocols: reading tokens and sending successors (H3, H6, R10)."""

from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    CookieTransport,
    HeaderTransport,
    JWTMiddleware,
    Key,
    NamedHeaderTransport,
    SlidingRenewal,
    SubprotocolTransport,
    Verifier,
)
from linqi.errors import InvalidRequest
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))
ORIGIN = "https://app.test"


class Site:
    """An application that takes cookies and headers."""

    def __init__(self, clock: FakeClock, app: App | None = None) -> None:
        self.renewal = SlidingRenewal(SIGNER, clock=clock)
        self.app = app or App()
        self.middleware = JWTMiddleware(
            self.app,
            Verifier.trusting(SIGNER, clock=clock),
            renewal=self.renewal,
            transports=[HeaderTransport(), CookieTransport([ORIGIN])],
            clock=clock,
        )
        self.issued = self.renewal.start("alice")
        self.cookie = (b"cookie", b"a=1; __Host-access=" + self.issued.token.encode() + b"; b=2")


async def test_a_cookie_opens_the_application(clock: FakeClock) -> None:
    """The cookie is found among others, also split over several headers."""
    site = Site(clock)
    headers = [(b"cookie", b"x=y"), site.cookie]
    assert (await call(site.middleware, http(headers=headers))).status == 200
    empty = [(b"cookie", b"__Host-access=")]
    assert (await call(site.middleware, http(headers=empty))).status == 401


async def test_r10_a_cookies_successor_goes_into_the_cookie_only(clock: FakeClock) -> None:
    """Set-Cookie with every protection, and no header that a script could read."""
    site = Site(clock)
    clock.move(site.issued.refresh_in + 1)
    answer = await call(site.middleware, http(headers=[site.cookie]))
    cookie = answer.header("set-cookie") or ""
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-access=ey")
    assert {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"} < set(attributes)
    assert any(attribute.startswith("Max-Age=") for attribute in attributes)
    assert answer.successor is None
    assert answer.header("vary") == "Cookie, Origin"
    assert answer.header("cache-control") == "no-store"


async def test_a_logout_that_clears_the_cookie_has_the_last_word(clock: FakeClock) -> None:
    """Where the application sets the cookie itself, no successor signs the user in again."""
    cleared = (b"Set-Cookie", b"__Host-access=; Max-Age=0")
    site = Site(clock, App(headers=[cleared]))
    clock.move(site.issued.refresh_in + 1)
    answer = await call(site.middleware, http(headers=[site.cookie]))
    assert answer.header("set-cookie") == "__Host-access=; Max-Age=0"


async def test_h3_two_places_at_once_are_refused(clock: FakeClock) -> None:
    """A cookie beside a header leaves open who is meant."""
    site = Site(clock)
    scope = http(token=site.issued.token, headers=[site.cookie])
    assert (await call(site.middleware, scope)).status == 400
    twice = [site.cookie, site.cookie]
    assert (await call(site.middleware, http(headers=twice))).status == 400


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", [(b"origin", ORIGIN.encode())], 200),
        ("POST", [(b"sec-fetch-site", b"same-origin")], 200),
        ("POST", [], 200),
        ("POST", [(b"origin", b"https://evil.test")], 400),
        ("POST", [(b"origin", b"null")], 400),
        ("POST", [(b"sec-fetch-site", b"same-site")], 400),
        ("DELETE", [(b"sec-fetch-site", b"cross-site")], 400),
        ("GET", [(b"sec-fetch-site", b"cross-site")], 200),
        ("POST", [(b"origin", b"https://evil.test"), (b"origin", ORIGIN.encode())], 400),
        ("POST", [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"same-origin")], 400),
    ],
)
async def test_a_cookie_from_elsewhere_changes_nothing(
    clock: FakeClock, method: str, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """A request that a browser reports as another site's may not use the cookie."""
    site = Site(clock)
    scope = http(method=method, headers=[site.cookie, *headers])
    assert (await call(site.middleware, scope)).status == status


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        *(((origins,), {}) for origins in ([], "https://a.test", ["null"], ["*"])),
        (([ORIGIN],), {"name": "access"}),
        (([ORIGIN],), {"name": "a b"}),
        (([ORIGIN],), {"secure": False}),
    ],
)
def test_a_cookie_that_protects_nothing_is_refused(arguments: Any, options: Any) -> None:
    """Origins must be named, and the prefix and Secure belong together."""
    with pytest.raises(ConfigurationError):
        CookieTransport(*arguments, **options)


def test_a_development_cookie_needs_another_name() -> None:
    """With secure=False the cookie is sent without the attribute Secure."""
    headers: list[tuple[bytes, bytes]] = []
    issued = SlidingRenewal(SIGNER).start("alice")
    transport = CookieTransport([ORIGIN], name="access", secure=False)
    assert transport.deliver(issued, headers, 0)
    assert b"Secure" not in headers[0][1]


def test_a_token_too_long_for_a_cookie_is_not_sent() -> None:
    """Browsers drop cookies beyond 4096 bytes: a silent sign-out."""
    issued = SlidingRenewal(SIGNER).start("alice", claims={"x": "y" * 4000})
    with pytest.raises(ConfigurationError, match="too long"):
        CookieTransport([ORIGIN]).deliver(issued, [], 0)


@pytest.mark.parametrize("name", ["", "a b", "x:", "é"])
def test_names_are_tokens_of_http(name: str) -> None:
    """A header or subprotocol that HTTP cannot carry is refused when it is named."""
    for make in (HeaderTransport, SubprotocolTransport):
        with pytest.raises(ConfigurationError):
            make(name)


@pytest.mark.parametrize(
    ("offered", "token"),
    [
        (["bearer", "a.b.c"], b"a.b.c"),
        (["chat", "bearer", "t"], b"t"),
        (["chat"], None),
        ([], None),
    ],
)
def test_a_subprotocol_names_the_token_after_the_marker(
    offered: list[str], token: bytes | None
) -> None:
    """The marker, then the token, among the application's own protocols."""
    scope = {"type": "websocket", "subprotocols": offered}
    assert SubprotocolTransport().read(scope, []) == token
    assert SubprotocolTransport().read({**scope, "type": "http"}, []) is None
    assert not SubprotocolTransport().deliver(SlidingRenewal(SIGNER).start("a"), [], 0)


@pytest.mark.parametrize("offered", [["bearer"], ["chat", "bearer"], ["bearer", "a", "bearer"]])
def test_an_incomplete_subprotocol_is_an_invalid_request(offered: list[str]) -> None:
    """A marker without a token, or a second one, is refused with the reason."""
    with pytest.raises(InvalidRequest):
        SubprotocolTransport().read({"type": "websocket", "subprotocols": offered}, [])


IAP = "X-Goog-IAP-JWT-Assertion"


def guarded(*transports: HeaderTransport | CookieTransport, app: App | None = None) -> Any:
    """Return the middleware around an application with these transports."""
    verifier = Verifier.trusting(SIGNER)
    return JWTMiddleware(app or App(), verifier, transports=transports)


def good_token() -> bytes:
    """Return a token that verifies now."""
    return SlidingRenewal(SIGNER).start("alice").token.encode()


@pytest.mark.parametrize(
    ("scheme", "value", "status"),
    [
        (None, b"%s", 200),
        (None, b"", 400),
        (None, b" ", 400),
        (None, b" %s", 400),
        (None, b"%s ", 400),
        (None, b"%s, %s", 400),
        (None, b"%s,%s", 400),
        (None, b"Bearer %s", 400),
        (None, b"a.b.c", 401),
        ("Bearer", b"Bearer %s", 200),
        ("Bearer", b"bearer %s", 200),
        ("Bearer", b"Bearer  %s", 400),
        ("Bearer", b"Bearer", 400),
        ("Bearer", b"Bearer ", 400),
        ("Bearer", b"Basic %s", 400),
        ("Bearer", b"%s", 400),
        ("Bearer", b"Bearer %s, Bearer %s", 400),
        ("Token", b"token %s", 200),
    ],
)
async def test_h2_a_named_header_has_its_scheme_and_one_token(
    scheme: str | None, value: bytes, status: int
) -> None:
    """The whole value is the scheme and a token: a list, an empty value or more is 400."""
    text = value.replace(b"%s", good_token())
    app = guarded(NamedHeaderTransport(IAP, scheme=scheme))
    assert (await call(app, http(headers=[(IAP.lower().encode(), text)]))).status == status


async def test_h2_h3_a_named_header_twice_or_beside_another_place_is_refused() -> None:
    """Two programs may read different ones of two tokens, so neither counts."""
    header = (IAP.lower().encode(), good_token())
    bearer = (b"authorization", b"Bearer " + good_token())
    app = guarded(HeaderTransport(), NamedHeaderTransport(IAP))
    assert (await call(app, http(headers=[header]))).status == 200
    assert (await call(app, http(headers=[bearer]))).status == 200
    assert (await call(app, http(headers=[header, header]))).status == 400
    assert (await call(app, http(headers=[header, bearer]))).status == 400
    assert (await call(app, http(headers=[header, (header[0], b"")]))).status == 400


async def test_h3_a_header_that_is_not_configured_is_ignored() -> None:
    """No proxy's header opens anything by its name, and none disturbs a token elsewhere."""
    named, plain = guarded(NamedHeaderTransport(IAP)), guarded(HeaderTransport())
    other = (b"x-amzn-oidc-data", good_token())
    bearer = (b"authorization", b"Bearer " + good_token())
    assert (await call(plain, http(headers=[other]))).status == 401
    assert (await call(plain, http(headers=[other, bearer]))).status == 200
    assert (await call(named, http(headers=[bearer]))).status == 401


async def test_a_successor_of_a_named_header_varies_by_that_header(clock: FakeClock) -> None:
    """Shared caches key on the header that identified the caller (RFC 9110, section 12.5.5)."""
    renewal = SlidingRenewal(SIGNER, clock=clock)
    app = JWTMiddleware(
        App(),
        Verifier.trusting(SIGNER, clock=clock),
        renewal=renewal,
        transports=[NamedHeaderTransport("X-Token", successor_header="X-Next")],
        clock=clock,
    )
    issued = renewal.start("alice")
    clock.move(issued.refresh_in + 1)
    answer = await call(app, http(headers=[(b"x-token", issued.token.encode())]))
    assert answer.header("x-next")
    assert answer.header("vary") == "X-Token, Origin"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", [(b"origin", ORIGIN.encode())], 200),
        ("POST", [], 200),
        ("POST", [(b"origin", b"https://evil.test")], 400),
        ("POST", [(b"sec-fetch-site", b"cross-site")], 400),
        ("GET", [(b"origin", b"https://evil.test")], 200),
    ],
)
async def test_h3_a_header_that_a_proxy_makes_of_a_cookie_is_no_way_for_csrf(
    method: str, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """Another site's page uses the proxy's cookie without seeing it, so its origin is checked."""
    app = guarded(NamedHeaderTransport(IAP, origins=[ORIGIN]))
    token = (IAP.lower().encode(), good_token())
    assert (await call(app, http(method=method, headers=[token, *headers]))).status == status
    open_to_all = guarded(NamedHeaderTransport(IAP))
    assert (await call(open_to_all, http(method=method, headers=[token, *headers]))).status == 200


@pytest.mark.parametrize(
    ("arguments", "options", "fault"),
    [
        (("a b",), {}, "not a header name"),
        ((IAP,), {"scheme": "a b"}, "not a scheme"),
        ((IAP,), {"scheme": ""}, "not a scheme"),
        ((IAP,), {"origins": []}, "origins"),
        (("Cookie",), {}, "CookieTransport"),
        (("sec-websocket-protocol",), {}, "SubprotocolTransport"),
        (("x-refresh-token",), {}, "two headers"),
        ((IAP,), {"successor_header": "a b"}, "not a header name"),
    ],
)
def test_a_named_header_that_cannot_work_is_refused(
    arguments: Any, options: Any, fault: str
) -> None:
    """What HTTP cannot carry, or what another transport reads, is a fault at construction."""
    with pytest.raises(ConfigurationError, match=fault):
        NamedHeaderTransport(*arguments, **options)


def test_one_header_is_read_by_one_transport() -> None:
    """Two transports for a header would find two tokens in every request."""
    with pytest.raises(ConfigurationError, match="same header"):
        guarded(HeaderTransport(), NamedHeaderTransport("authorization"))
