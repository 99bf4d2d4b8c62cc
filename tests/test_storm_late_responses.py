"""Responses that arrive after their client has signed in again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from linqi import Key, Signer
from linqi_storm.clients.client_renewals import ClientRenewals
from linqi_storm.clients.client_session import ClientSession, Tally
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.wire_responses import ResponseReader, WireResponse
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan, TokenTransport
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.violations import ANOTHER_IDENTITY, NO_RETRY_AFTER, SHORT_LIVES, TOO_SOON

SIGNER = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a")
PLAN = GeneratorPlan(
    scenario="storm-dual",
    url="http://127.0.0.1:1",
    mode="dual",
    load=StormLoad(sessions=1, lifetime=9, buffer=3, duration=30),
    expected=Expectations(has_grid=True, grace=10),
    begins_at=1_000.0,
)


def a_token(session: str, expires_at: float) -> str:
    """Return an access token of a session."""
    claims = {"sub": "user-0", "sid": session, "iat": expires_at - 9, "exp": expires_at}
    return SIGNER.sign({**claims, "jti": f"{session} {expires_at}"})


def a_login(session: str) -> Credential:
    """Return the tokens of a login that has just expired."""
    return Credential(
        token=a_token(session, 1_001.0), expires_at=1_001.0, refresh_token=f"{session}-0"
    )


class Exchange:
    """Answers a refresh of session ``a`` with its next tokens; something happens meanwhile."""

    def __init__(self, session: ClientSession, *, takes: float) -> None:
        self.session = session
        self.now = 2.0
        self.takes = takes
        self.meanwhile: Any = lambda: None
        self.asked = 0
        self.headers_of_429: dict[bytes, bytes] | None = None

    def ask(self, *_: object, **__: object) -> WireResponse:
        """Return the response to a refresh."""
        self.now += self.takes
        self.meanwhile()
        self.asked += 1
        if self.headers_of_429 is not None:
            return WireResponse(429, self.headers_of_429)
        pair = {"access_token": a_token("a", 1_008.0), "refresh_token": "a-1", "sequence": 5}
        body = json.dumps(pair).encode()
        return WireResponse(200, {b"cache-control": b"no-store"}, body=body)


Delay = Callable[[float, int, random.Random], float]
HONEST: Delay = find_scenario("storm-dual")(PLAN.load).retry_delay


def parts(
    takes: float = 0.1, delay: Delay = HONEST
) -> tuple[ClientSession, Exchange, ClientRenewals, Tally]:
    """Return one client that has signed in, with what it uses."""
    tally = Tally()
    session = ClientSession(0, 3, PLAN.expected)
    exchange = Exchange(session, takes=takes)
    renewals = ClientRenewals(
        PLAN,
        exchange,  # type: ignore[arg-type] # only its `ask` is used
        RequestBuilder(PLAN.url, TokenTransport()),
        None,  # type: ignore[arg-type] # no login is made here
        Inspector(PLAN, tally),
        tally,
        delay=delay,
        rng=random.Random(1),
        now=lambda: exchange.now,
    )
    renewals.begin(session, a_login("a"))
    return session, exchange, renewals, tally


def test_a_refresh_is_adopted() -> None:
    """The client holds what it asked for."""
    session, _, renewals, tally = parts()
    renewals.renew(session, 2.0)
    assert session.refresh_token == "a-1"
    assert not tally.violations


LIMITED = {b"retry-after": b"3"}
DATED = {
    b"date": b"Fri, 02 Jan 2026 00:00:00 GMT",
    b"retry-after": b"Fri, 02 Jan 2026 00:00:03 GMT",
}


@pytest.mark.parametrize("headers", [LIMITED, DATED])
def test_a_client_with_a_live_token_does_not_ask_before_retry_after(
    headers: dict[bytes, bytes],
) -> None:
    """Its pages go on with the token that it holds, and a later one asks again."""
    session, exchange, renewals, tally = parts(delay=lambda asked, tries, rng: asked)
    session.expires_at = 8.0
    exchange.headers_of_429 = headers
    for exchange.now in (2.0, 3.0, 5.0):
        renewals.renew(session, exchange.now)
    assert exchange.asked == 1
    exchange.headers_of_429, exchange.now = None, 5.2
    renewals.renew(session, exchange.now)
    assert (exchange.asked, session.refresh_token) == (2, "a-1")
    assert tally.checked[TOO_SOON] == tally.checked[NO_RETRY_AFTER] == 1
    assert not tally.violations


def test_a_client_that_asks_before_retry_after_is_counted() -> None:
    """So is a 429 that does not say how long to wait."""
    session, exchange, renewals, tally = parts(delay=lambda asked, tries, rng: 0.5)
    session.expires_at = 8.0
    for exchange.headers_of_429, exchange.now in ((LIMITED, 2.0), ({}, 3.0)):
        renewals.renew(session, exchange.now)
    assert tally.violations == {TOO_SOON: 1, NO_RETRY_AFTER: 1}


def test_tokens_of_an_earlier_login_are_neither_adopted_nor_judged() -> None:
    """Another tab signed in while the response was under way: it is of another session."""
    session, exchange, renewals, tally = parts()
    exchange.meanwhile = lambda: renewals.begin(session, a_login("b"))
    renewals.renew(session, 2.0)
    assert session.refresh_token == "b-0"
    assert tally.renewals == 0
    assert tally.checked[ANOTHER_IDENTITY] == 0
    assert not tally.violations


@pytest.mark.parametrize(("first_at", "rules"), [(2.0, set()), (5.5, {SHORT_LIVES})])
def test_the_life_of_a_replayed_token_counts_from_the_first_presentation(
    first_at: float, rules: set[str]
) -> None:
    """Within the grace a tab gets the tokens that an earlier tab caused to be made."""
    session, exchange, renewals, tally = parts()
    session.first_asked("a-0", first_at)
    exchange.now = 5.6
    renewals.renew(session, 5.6)
    assert set(tally.violations) == rules


@pytest.mark.parametrize("is_head", [True, False])
def test_the_response_to_head_has_no_body(is_head: bool) -> None:
    """Its content-length is that of the body that GET would have."""
    reader = ResponseReader(is_head=is_head)
    reader.feed(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n")
    assert reader.is_whole is is_head
    assert not reader.is_kept
    if is_head:
        assert reader.response.status == 401
