"""What clients of a storm check in headers and bodies, one fault at a time."""

from collections.abc import Iterable

import pytest

from linqi_storm.clients.response_rules import refusal_faults, storing_faults, vary_faults
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.schema.violations import (
    CLEARED_COOKIES,
    NO_CHALLENGE,
    NO_VARY,
    REFUSED_WITH_TOKEN,
    STORABLE_REFUSALS,
    STORABLE_TOKENS,
)

TOKEN = b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2ln"
REFUSAL = {
    b"www-authenticate": b'Bearer realm="api", error="invalid_token"',
    b"cache-control": b"no-store",
}


def rules(faults: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names of the rules that are broken."""
    return [rule for rule, _ in faults]


def refused(
    status: int = 401,
    headers: dict[bytes, bytes] | None = None,
    cookies: tuple[bytes, ...] = (),
    body: bytes = b'{"error":"invalid_token"}',
) -> list[str]:
    """Return the rules that a refusal breaks, with `headers` beside or instead of good ones."""
    response = WireResponse(status, {**REFUSAL, **(headers or {})}, list(cookies), body)
    return rules(refusal_faults(response, b"x-refresh-token"))


def test_a_refusal_of_the_middleware_breaks_no_rule() -> None:
    """It has a challenge with its error, no-store, and no token."""
    assert refused() == []
    assert refused(503, {b"www-authenticate": b""}) == []
    assert refused(cookies=(b"lb=node-1; Path=/; Max-Age=60", b"theme=dark; max-age=05")) == []


@pytest.mark.parametrize(
    "cookie",
    [
        b"__Host-access=; Path=/; Secure",
        b'__Host-access=""; Path=/',
        b"__Host-access=",
        b"__Host-access=gone; Max-Age=0; Path=/",
        b"__Host-access=gone; Path=/; max-age=-1",
    ],
)
def test_a_401_that_clears_a_cookie_is_found(cookie: bytes) -> None:
    """A parallel response may just have renewed it; a refused refresh may clear its own."""
    assert refused(cookies=(cookie,)) == [CLEARED_COOKIES]
    response = WireResponse(401, dict(REFUSAL), [cookie])
    assert rules(refusal_faults(response, b"x-refresh-token", is_page=False)) == []


def test_a_request_without_a_token_has_no_error_in_its_challenge() -> None:
    """There are no credentials whose error it could name (RFC 6750, section 3.1)."""
    response = WireResponse(401, {**REFUSAL, b"www-authenticate": b'Bearer realm="api"'})
    assert rules(refusal_faults(response, b"x-refresh-token", has_token=False)) == []
    response.headers[b"www-authenticate"] = b"Basic realm=api"
    faults = refusal_faults(response, b"x-refresh-token", has_token=False)
    assert rules(faults) == [NO_CHALLENGE]


@pytest.mark.parametrize("challenge", [b"", b"Basic realm=api", b'Bearer realm="api"'])
def test_a_401_without_its_challenge_is_found(challenge: bytes) -> None:
    """Credentials were presented, so the challenge names the error (RFC 6750, section 3.1)."""
    assert refused(headers={b"www-authenticate": challenge}) == [NO_CHALLENGE]


def test_a_401_that_a_cache_may_store_is_found() -> None:
    """The middleware promises no-store."""
    assert refused(headers={b"cache-control": b"private, max-age=5"}) == [STORABLE_REFUSALS]


@pytest.mark.parametrize("status", [400, 401, 403, 503])
def test_a_token_in_a_refused_response_is_found(status: int) -> None:
    """In the successor's header, in any other header, in a cookie, in the body."""
    places: list[dict[str, object]] = [
        {"headers": {b"x-refresh-token": b"anything"}},
        {"headers": {b"x-other": TOKEN}},
        {"cookies": (b"__Host-access=" + TOKEN + b"; Path=/; HttpOnly",)},
        {"cookies": (b"x-refresh-token=opaque; Path=/",)},
        {"body": b'{"token":"' + TOKEN + b'"}'},
        {"body": b'{"refresh_token": "opaque"}'},
    ]
    for place in places:
        assert refused(status, **place) == [REFUSED_WITH_TOKEN], place  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"cache-control": b"private, max-age=60"},
        {b"cache-control": b"x-no-store"},
        {b"cache-control": b"no-store", b"cdn-cache-control": b"max-age=60"},
        {b"cache-control": b"no-store", b"surrogate-control": b"max-age=60"},
        {b"cache-control": b"no-store", b"x-accel-expires": b"60"},
    ],
)
def test_a_successor_that_a_cache_may_store_is_found(headers: dict[bytes, bytes]) -> None:
    """Fields of CDNs overrule Cache-Control (RFC 9213)."""
    assert rules(storing_faults(WireResponse(200, headers))) == [STORABLE_TOKENS]


def test_no_store_in_a_list_forbids_storing() -> None:
    """Repeated fields are one list."""
    for value in (b"no-store", b"private, No-Store", b"max-age=0,no-store"):
        headers = {b"cache-control": value, b"cdn-cache-control": b"no-store"}
        assert rules(storing_faults(WireResponse(200, headers))) == []


@pytest.mark.parametrize("vary", [b"", b"Accept-Encoding", b"Origin", b"authorization"])
def test_a_successor_without_vary_is_found(vary: bytes) -> None:
    """It differs by the header that carries the token, and by the origin that may read it."""
    response = WireResponse(200, {b"vary": vary})
    assert rules(vary_faults(response, b"authorization")) == [NO_VARY]


def test_vary_is_compared_without_case() -> None:
    """A star covers everything."""
    for vary in (b"Accept, Authorization,ORIGIN", b"*"):
        assert rules(vary_faults(WireResponse(200, {b"vary": vary}), b"authorization")) == []
