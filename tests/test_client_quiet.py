"""Quiet requests of the Python client: they cause no renewal, and fail before they are sent."""

import asyncio
import time
from typing import Any

import httpx
import httpx2
import pytest

from asgi import App
from clock import FakeClock
from linqi import JWTMiddleware, Key, RenewalSettings, SlidingRenewal, Threshold, Verifier
from linqi.client.httpx import RefreshingAuth as HttpxAuth
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import ClientTokens
from linqi.errors import QuietExpired, SignedOut
from linqi.events import RenewalSkipped
from signed_in import Counting, CountingHttpx, expire, forged, login
from tokens import signer_of

QUIET: Any = {"extensions": {"linqi_quiet": True}}
BOTH = [(Counting, httpx2), (CountingHttpx, httpx)]


@pytest.mark.parametrize(("auth_class", "library"), BOTH)
def test_a_quiet_request_of_an_expired_token_is_not_sent(
    dual_server: str, auth_class: Any, library: Any
) -> None:
    """It fails with quiet_expired and causes no refresh; the next normal request renews."""
    auth = auth_class(f"{dual_server}/refresh", login(dual_server))
    sent: list[Any] = []
    hooks = {"request": [sent.append]}
    with library.Client(base_url=dual_server, auth=auth, event_hooks=hooks) as client:
        expire(auth)
        for _ in range(3):
            with pytest.raises(QuietExpired) as caught:
                client.get("/me", **QUIET)
        assert (caught.value.code, auth.posts) == ("quiet_expired", 0)
        assert client.get("/me").status_code == 200
        assert auth.posts == 1
        assert client.get("/me", **QUIET).status_code == 200

    async def run() -> None:
        async with library.AsyncClient(base_url=dual_server, auth=auth) as client:
            assert (await client.get("/me", **QUIET)).status_code == 200
            expire(auth)
            with pytest.raises(QuietExpired):
                await client.get("/me", **QUIET)

    asyncio.run(run())
    assert auth.posts == 1


def test_a_quiet_request_near_expiry_renews_nothing(dual_server: str) -> None:
    """Advisory and mandatory: the current token is sent until it expires."""
    auth = Counting(f"{dual_server}/refresh", login(dual_server))
    with httpx2.Client(base_url=dual_server, auth=auth) as client:
        for left in (250, 10, 1):
            ahead = auth.renewal.seconds_left() - left
            auth.renewal._wall = lambda ahead=ahead: time.time() + ahead
            assert client.get("/me", **QUIET).status_code == 200
            auth.renewal._wall = time.time
    assert (auth.posts, auth.renewal.renewals) == (0, 0)


def test_a_quiet_request_that_is_refused_renews_nothing(dual_server: str) -> None:
    """The 401 is returned, and no second try follows."""
    auth = Counting(f"{dual_server}/refresh", forged(login(dual_server)))
    with httpx2.Client(base_url=dual_server, auth=auth) as client:
        assert client.get("/me", **QUIET).status_code == 401
        assert auth.posts == 0
        assert client.get("/me").status_code == 200


def test_a_quiet_request_without_a_session_is_signed_out(dual_server: str) -> None:
    """As for any other request."""
    auth = Counting(f"{dual_server}/refresh", login(dual_server))
    auth.renewal.sign_out()
    with httpx2.Client(base_url=dual_server, auth=auth) as client, pytest.raises(SignedOut):
        client.get("/me", **QUIET)


def test_a_request_elsewhere_is_as_it_was(dual_server: str) -> None:
    """A request without a token does not carry the quiet header either."""
    auth = RefreshingAuth(
        "https://shop.example/refresh", login(dual_server), quiet_header="X-Quiet"
    )
    expire(auth)
    with httpx2.Client(auth=auth) as client:
        answer = client.get(f"{dual_server}/me", **QUIET)
    assert answer.status_code == 401
    assert "x-quiet" not in answer.request.headers


@pytest.mark.parametrize(("auth_class", "library"), [(RefreshingAuth, httpx2), (HttpxAuth, httpx)])
@pytest.mark.parametrize("header", ["X-Quiet", None])
async def test_a_sliding_session_is_not_extended(
    auth_class: Any, library: Any, header: str | None
) -> None:
    """With the header the server sends no successor; without it the client ignores one."""
    heard: list[Any] = []
    clock = FakeClock(time.time() - 700)
    signer = signer_of(Key.generate("HS256"))
    renewal = SlidingRenewal(signer, RenewalSettings(policy=Threshold()), clock=clock)
    app = JWTMiddleware(
        App(),
        Verifier.trusting(signer, clock=clock),
        renewal=renewal,
        quiet_header="X-Quiet",
        hooks=[heard.append],
        clock=clock,
    )
    token = renewal.start("alice").token
    clock.move(700)
    auth = auth_class(
        "http://api.test/refresh", ClientTokens(access_token=token), quiet_header=header
    )
    transport = library.ASGITransport(app=app)
    async with library.AsyncClient(transport=transport, auth=auth) as client:
        quiet = await client.get("http://api.test/polls", **QUIET)
        assert quiet.status_code == 200
        assert ("x-refresh-token" in quiet.headers) == (header is None)
        assert [event.reason for event in heard if type(event) is RenewalSkipped] == (
            ["quiet"] if header else []
        )
        assert auth.renewal.tokens == ClientTokens(access_token=token)
        loud = await client.get("http://api.test/me")
    assert auth.renewal.tokens == ClientTokens(access_token=loud.headers["x-refresh-token"])
