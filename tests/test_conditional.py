"""Polls of an unchanged resource keep their session (R6), and every other reason is reported."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.staticfiles import StaticFiles

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    JWTMiddleware,
    Key,
    RenewalBudget,
    RenewalSettings,
    SlidingRenewal,
    Threshold,
    Verifier,
)
from linqi.events import RenewalSkipped, SessionCapReached, TokenRenewed
from tokens import good_claims, make, signer_of

SIGNER = signer_of(Key.generate("HS256"))
RSA = signer_of(Key.generate("RS256"))


class Site:
    """A guarded application, its events, and a token that is just near expiry."""

    def __init__(
        self, clock: FakeClock, app: Any = None, signer: Any = SIGNER, **options: Any
    ) -> None:
        self.heard: list[Any] = []
        self.app = App() if app is None else app
        settings = RenewalSettings(policy=Threshold(), **options.pop("settings", {}))
        self.renewal = SlidingRenewal(signer, settings, clock=clock, **options)
        self.middleware = JWTMiddleware(
            self.app,
            Verifier.trusting(signer, bound_tokens="accept", clock=clock),
            renewal=self.renewal,
            hooks=[self.heard.append],
            clock=clock,
        )
        issued = self.renewal.start("alice")
        self.token = issued.token
        clock.move(issued.refresh_in + 1)

    def heard_of(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.heard if type(event) is kind]

    async def poll(self, etag: bytes = b'"1"', **options: Any) -> list[bytes]:
        """Ask once for what has not changed; return the conditions that the application saw."""
        scope = http(token=self.token, headers=[(b"if-none-match", etag)], **options)
        answer = await call(self.middleware, scope)
        self.token = answer.successor or self.token
        return [n for n, _ in self.app.scopes[-1]["headers"] if n.startswith(b"if-")]


@pytest.mark.parametrize("condition", ["if-none-match", "if-modified-since"])
async def test_r6_a_poll_of_an_unchanged_file_keeps_its_session(
    clock: FakeClock, tmp_path: Path, condition: str
) -> None:
    """Starlette's StaticFiles answers 304 all day but once a renewal, when it sends the file."""
    (tmp_path / "news.json").write_text("{}")
    site = Site(clock, StaticFiles(directory=tmp_path))
    transport = httpx2.ASGITransport(app=site.middleware)
    statuses: list[int] = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as client:
        known: dict[str, str] = {}
        for _ in range(120):  # 20 minutes, a poll every 10 s
            bearer = {"Authorization": f"Bearer {site.token}"}
            answer = await client.get("/news.json", headers=bearer | known)
            source = "etag" if condition == "if-none-match" else "last-modified"
            known = {condition: answer.headers.get(source, known.get(condition, ""))}
            site.token = answer.headers.get("x-refresh-token", site.token)
            statuses.append(answer.status_code)
            clock.move(10)
    assert set(statuses) == {200, 304}
    assert len(site.heard_of(TokenRenewed)) == 2 == statuses[1:].count(200) + 1


async def test_a_condition_is_hidden_only_while_a_renewal_is_due(clock: FakeClock) -> None:
    """Before the buffer the application decides; in it the condition is gone."""
    site = Site(clock)
    clock.move(-10)
    assert await site.poll() == [b"if-none-match"]
    clock.move(10)
    assert await site.poll() == []


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_no_condition_of_another_method_is_hidden(clock: FakeClock, method: str) -> None:
    """``If-None-Match: *`` on PUT guards against a lost update (RFC 9110, section 13.1.2)."""
    site = Site(clock)
    assert await site.poll(b"*", method=method) == [b"if-none-match"]


@pytest.mark.parametrize("name", [b"if-match", b"if-range", b"if-unmodified-since", b"if"])
async def test_no_other_condition_is_hidden(clock: FakeClock, name: bytes) -> None:
    """They guard writes and the parts of a body, and are answered by other statuses than 304."""
    site = Site(clock)
    headers = [(name, b'"1"'), (b"if-none-match", b'"1"'), (b"range", b"bytes=0-1")]
    await call(site.middleware, http(token=site.token, headers=headers))
    seen = dict(site.app.scopes[-1]["headers"])
    assert (seen[name], seen[b"range"]) == (b'"1"', b"bytes=0-1")
    assert b"if-none-match" not in seen


async def test_a_token_is_asked_for_the_whole_body_once_in_ten_seconds(clock: FakeClock) -> None:
    """A client that drops its successors gets one 200 in 10 s, not one for each poll."""
    site = Site(clock)
    token, hidden = site.token, []
    for _ in range(25):
        site.token = token
        hidden.append(await site.poll() == [])
        clock.move(1)
    assert [second for second, was in enumerate(hidden) if was] == [0, 10, 20]


async def test_the_memory_of_hidden_conditions_is_bounded(clock: FakeClock) -> None:
    """At most 10,000 tokens are remembered, however many poll."""
    site = Site(clock)
    conditions = site.middleware._renewer._conditions  # type: ignore[union-attr]
    for number in range(10_500):
        conditions.hide(http(), number.to_bytes(32))
    assert len(conditions._lately) == 10_000


@pytest.mark.parametrize("signer", [SIGNER, RSA], ids=["on the loop", "in a thread"])
async def test_nothing_is_hidden_while_the_budget_grants_no_renewal(
    clock: FakeClock, signer: Any
) -> None:
    """The 200 would carry no successor, so the poll keeps its 304."""
    site = Site(clock, signer=signer, budget=RenewalBudget(rate=0.001, burst=1))
    other = site.renewal.start("bob")
    assert await site.poll() == []
    site.token = other.token
    clock.move(other.refresh_in + 1)
    assert await site.poll() == [b"if-none-match"]
    clock.move(289)
    assert await site.poll() == []
    site.renewal.close()


async def test_a_look_at_the_budget_takes_nothing(clock: FakeClock) -> None:
    """A poll that the application answers 404 leaves the budget to others, and signs nothing."""
    budget = RenewalBudget(rate=0.001, burst=1)
    site = Site(clock, App(404), budget=budget)
    before = SIGNER.signatures
    assert await site.poll() == []
    assert SIGNER.signatures == before
    assert budget.affords(clock(), 299, 300, 10)


# Every reason why a near-expiry request brings no successor


@pytest.mark.parametrize("status", [304, 302, 404, 429, 500, 503])
async def test_a_response_that_is_no_success_is_told(clock: FakeClock, status: int) -> None:
    """The status is in the event."""
    site = Site(clock, App(status))
    await call(site.middleware, http(token=site.token))
    (event,) = site.heard
    assert (event.reason, event.status, event.user) == ("status", status, "alice")
    assert event.seconds_left == 299


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_are_told(clock: FakeClock, method: str) -> None:
    """They change nothing, so they renew nothing."""
    site = Site(clock)
    await call(site.middleware, http(token=site.token, method=method))
    (event,) = site.heard_of(RenewalSkipped)
    assert event.reason == "method"


async def test_a_handshake_is_told(clock: FakeClock) -> None:
    """A socket gets its successor in band."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000})

    site = Site(clock, app)
    await call(site.middleware, http(token=site.token, type="websocket", subprotocols=[]))
    (event,) = site.heard_of(RenewalSkipped)
    assert event.reason == "websocket"


async def test_an_application_that_sends_nothing_is_told(clock: FakeClock) -> None:
    """An exception of the application propagates."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("of the application")

    site = Site(clock, app)
    with pytest.raises(RuntimeError, match="of the application"):
        await call(site.middleware, http(token=site.token))
    (event,) = site.heard
    assert event.reason == "unanswered"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"sid": ...}, "no_session"),
        ({"auth_time": ...}, "no_session"),
        ({"cnf": {"jkt": "x"}}, "bound"),
    ],
)
async def test_a_token_that_is_never_renewed_is_told(
    clock: FakeClock, claims: dict[str, Any], reason: str
) -> None:
    """No session, or a key that was not proved: the token ends, and an event says why."""
    site = Site(clock)
    now = int(clock())
    token = make(
        SIGNER.keys.keys[0],
        good_claims(
            **{"iat": now, "exp": now + 60, "auth_time": now, "session_end": now + 9000} | claims
        ),
    )
    assert (await call(site.middleware, http(token=token))).successor is None
    (event,) = site.heard
    assert event.reason == reason


async def test_a_session_at_its_end_has_an_event_of_its_own(clock: FakeClock) -> None:
    """SessionCapReached, and nothing beside it."""
    site = Site(clock, settings={"max_session": 900})
    await call(site.middleware, http(token=site.token))
    assert [type(event) for event in site.heard] == [SessionCapReached]


async def test_a_token_that_is_not_near_expiry_costs_no_event(clock: FakeClock) -> None:
    """Before the buffer nothing is reported, whatever the response is."""
    site = Site(clock, App(500))
    clock.move(-10)
    for method in ("GET", "HEAD", "OPTIONS"):
        await call(site.middleware, http(token=site.token, method=method))
    assert site.heard == []
