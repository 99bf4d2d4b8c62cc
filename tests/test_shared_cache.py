"""A shared cache sends no successor to a second client (R7): nginx with proxy_cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asgi import App, Headers, served
from clock import FakeClock
from linqi import (
    CookieTransport,
    JWTMiddleware,
    Key,
    RenewalSettings,
    SlidingRenewal,
    Threshold,
    Verifier,
)
from linqi.asgi.cache_fields import is_cache_field, is_cacheable
from nginx import nginx
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))
NOW = 1_800_000_000.0
LATER, EARLIER = b"Fri, 15 Jan 2027 08:00:01 GMT", b"Fri, 15 Jan 2027 07:59:59 GMT"
# Caches of CDNs look at no Vary but Accept-Encoding; nginx does so when told to.
LIKE_A_CDN = "proxy_ignore_headers Vary;"


class Site:
    """An application behind nginx, and the tokens of two users who are near expiry."""

    def __init__(self, clock: FakeClock, headers: Headers, **options: Any) -> None:
        renewal = SlidingRenewal(SIGNER, RenewalSettings(policy=Threshold()), clock=clock)
        verifier = Verifier.trusting(SIGNER, clock=clock)
        app = App(headers=headers)
        self.app = JWTMiddleware(app, verifier, renewal=renewal, hooks=[], clock=clock, **options)
        self.tokens = [renewal.start(user).token for user in ("alice", "mallory")]
        clock.move(700)


async def ask(url: str, token: str) -> httpx2.Response:
    """Get the page."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(f"{url}/me", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    "allowing",
    [
        (b"X-Accel-Expires", b"60"),
        (b"Cache-Control", b"public, max-age=60"),
        (b"Expires", b"Thu, 31 Dec 2037 23:55:55 GMT"),
    ],
    ids=lambda field: field[0].decode(),
)
async def test_r7_no_successor_reaches_a_second_client(
    clock: FakeClock, tmp_path: Path, allowing: tuple[bytes, bytes]
) -> None:
    """Alice is handed her successor by nginx, and Mallory's request is answered by the application.

    nginx takes ``X-Accel-Expires`` before ``Cache-Control: no-store`` and the client never sees it.
    """
    site = Site(clock, [allowing])
    async with served(site.app) as port:
        with nginx(tmp_path / "n", f"http://127.0.0.1:{port}", LIKE_A_CDN) as url:
            first, second = [await ask(url, token) for token in site.tokens]
    assert first.headers["x-refresh-token"]
    assert first.headers["x-refresh-token"] != second.headers["x-refresh-token"]
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "MISS")


async def test_r7_no_successor_in_a_cookie_reaches_a_second_client(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Also where nginx is configured to ignore cookies for caching."""
    transports = [CookieTransport(["https://app.example"])]
    site = Site(clock, [(b"X-Accel-Expires", b"60")], transports=transports)
    found = []
    async with served(site.app) as port:
        more = "proxy_ignore_headers Vary Set-Cookie;"
        with nginx(tmp_path / "n", f"http://127.0.0.1:{port}", more) as url:
            for token in site.tokens:
                async with httpx2.AsyncClient(trust_env=False) as client:
                    cookie = {"Cookie": f"__Host-access={token}"}
                    found.append((await client.get(f"{url}/me", headers=cookie)).headers)
    assert [headers["x-cache"] for headers in found] == ["MISS", "MISS"]
    assert found[0]["set-cookie"].startswith("__Host-access=ey")
    assert found[0]["set-cookie"] != found[1]["set-cookie"]


async def test_a_response_without_a_successor_stays_cacheable(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Only what carries a token is kept out of the cache: the cache is really one."""
    site = Site(clock, [(b"X-Accel-Expires", b"60")])
    clock.move(-600)
    async with served(site.app) as port:
        with nginx(tmp_path / "n", f"http://127.0.0.1:{port}", LIKE_A_CDN) as url:
            answers = [await ask(url, token) for token in site.tokens]
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]


async def test_a_cache_that_ignores_no_store_can_be_told_of_the_successor(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Where Cache-Control is ignored, proxy_no_cache of the guide keeps the successor out."""
    more = """
      proxy_ignore_headers Vary Cache-Control Expires;
      proxy_cache_valid 200 60s;
      proxy_no_cache $upstream_http_x_refresh_token;
    """
    site = Site(clock, [])
    async with served(site.app) as port:
        with nginx(tmp_path / "n", f"http://127.0.0.1:{port}", more) as url:
            answers = [await ask(url, token) for token in site.tokens]
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "MISS"]
    assert answers[0].headers["x-refresh-token"] != answers[1].headers["x-refresh-token"]


async def test_x_accel_redirect_and_buffering_are_not_touched(
    clock: FakeClock, tmp_path: Path
) -> None:
    """They say where the body is, not who may keep it: nginx sends the file, with no successor."""
    site = Site(clock, [(b"X-Accel-Redirect", b"/hidden/file"), (b"X-Accel-Expires", b"60")])
    async with served(site.app) as port:
        with nginx(tmp_path / "n", f"http://127.0.0.1:{port}") as url:
            (tmp_path / "n" / "hidden" / "file").write_text("the file")
            answer = await ask(url, site.tokens[0])
    assert (answer.status_code, answer.text) == (200, "the file")
    assert "x-refresh-token" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        *("Cache-Control", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Expires"),
        *("Vercel-CDN-Cache-Control", "Netlify-CDN-Cache-Control", "Akamai-Cache-Control"),
        *("Edge-Control", "Surrogate-Control", "Surrogate-Key", "X-Accel-Expires", "Pragma"),
        *("X-LiteSpeed-Cache-Control", "Fastly-Of-Tomorrow-Cache-Control"),
    ],
)
def test_r7_a_field_that_can_allow_storage_is_known(name: str) -> None:
    """A vendor's own field stands above no-store, so none of them may stay (RFC 9213)."""
    assert is_cache_field(name.lower().encode())


@pytest.mark.parametrize(
    "name",
    [
        *("X-Accel-Redirect", "X-Accel-Buffering", "X-Accel-Charset"),
        *("Age", "ETag", "Vary", "Cache-Tag", "X-Cache", "Content-Type"),
    ],
)
def test_other_fields_are_left(name: str) -> None:
    """What allows no storage is the application's own."""
    assert not is_cache_field(name.lower().encode())


def _cases() -> Iterator[tuple[list[tuple[bytes, bytes]], bool]]:
    for name in (b"Cache-Control", b"CDN-Cache-Control", b"Surrogate-Control", b"Edge-Control"):
        yield [(name, b"public")], True
        yield [(name, b"max-age=60, private")], True
        yield [(name, b'S-MaxAge=0, s-maxage = "5"')], True
        yield [(name, b"no-store, max-age=60")], False
        yield [(name, b"max-age=0, must-revalidate")], False
        yield [(name, b"max-age=-1")], False
        yield [(name, b"max-age")], False
    yield [(b"Edge-Control", b"!no-store, cache-maxage=1h")], True
    yield [(b"Surrogate-Key", b"public max-age=60")], False
    yield [(b"Cache-Control", b"no-store"), (b"CDN-Cache-Control", b"max-age=60")], True
    yield [(b"Cache-Control", b"no-store"), (b"X-Accel-Expires", b"60")], True
    yield [(b"X-Accel-Expires", b"0")], False
    yield [(b"X-Accel-Expires", b"@1800000001")], True
    yield [(b"X-Accel-Expires", b"@1800000000")], False
    yield [(b"X-Accel-Expires", b"off")], False
    yield [(b"Expires", LATER)], True
    yield [(b"Expires", EARLIER)], False
    yield [(b"Expires", b"0")], False
    yield [(b"Expires", b"\xff")], False
    yield [(b"Expires", LATER), (b"Cache-Control", b"no-store")], False
    yield [(b"Expires", LATER), (b"Cache-Control", b"max-age=0")], False
    yield [(b"Expires", LATER), (b"Cache-Control", b"must-revalidate")], True
    yield [(b"Pragma", b"public")], False
    yield [], False


@pytest.mark.parametrize(("headers", "wanted"), [*_cases()])
def test_what_the_application_marked_as_cacheable_is_seen(headers: Any, wanted: bool) -> None:
    """Each field by itself; a lifetime of 0 allows nothing, and a bare Expires a future date."""
    assert is_cacheable(headers, NOW) is wanted


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"Cache-Control", b"Expires", b"X-Accel-Expires", b"Edge-Control"]),
            st.binary(max_size=40) | st.text('maxge-=,09@ "', max_size=40).map(str.encode),
        ),
        max_size=4,
    )
)
@example([(b"X-Accel-Expires", b"@nan"), (b"X-Accel-Expires", b"1e999")])
@example([(b"Expires", b"Thu, 01 Jan 99999 00:00:00 GMT")])
def test_no_value_of_a_cache_field_raises(headers: Any) -> None:
    """Whatever headers the application sets, the response is sent."""
    assert is_cacheable(headers, NOW) in (True, False)
