"""Probes against a service with one fault at a time."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linqi import Key, Sessions, SessionSettings, Signer, SQLiteStore
from linqi.errors import RefreshRefused
from linqi_storm.clients.client_session import Tally
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.probe_requests import ProbeRequests
from linqi_storm.clients.prober import Prober
from linqi_storm.clients.unverified_claims import claims_in
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.run.probe_sessions import stored_probes
from linqi_storm.run.worker_stalls import overdue_of
from linqi_storm.scenarios.registry import find_scenario
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.generator_plan import GeneratorPlan, TokenTransport
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.probes import Probe, ProbeKind
from linqi_storm.schema.violations import (
    EXPIRED,
    FORGED,
    HOSTILE_FAILED,
    LONG_REFRESH,
    NO_TOKEN,
    OTHER_STATUS,
    PREMATURE,
    REFRESH_AS_ACCESS,
    REPLAYED_BRANCH,
    REPLAYED_LATE,
    REVOKED,
    STOLEN,
    SURVIVED_THEFT,
)

SIGNER = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a")
STRANGER = Signer(SIGNER.keys, issuer="https://b.example", audience="a")
LOAD = StormLoad(sessions=10, lifetime=60, buffer=20, duration=30)
REFUSED = {
    b"www-authenticate": b'Bearer error="invalid_token"',
    b"cache-control": b"no-store",
}


class Service:
    """A service with dual tokens on a clock that only waiting moves; `fault` breaks one rule."""

    def __init__(self, fault: str = "") -> None:
        self.now = 1_000.0
        self.fault = fault
        self.counter = self.parent = 0
        self.revoked_at: float | None = None
        self.lines: list[bytes] = []

    def exchange(self, request: bytes) -> WireResponse:
        """Answer a request."""
        self.now += 0.001
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"POST /refresh"):
            return self.refresh(int(json.loads(body)["refresh_token"]))
        if head.startswith(b"POST /logout"):
            self.revoke("ignores sign-out")
            return WireResponse(204)
        self.lines.append(head.partition(b"\r\n")[0])
        if b"Bearer " not in head:
            return self.refuse() if self.fault != "serves without token" else WireResponse(200)
        presented = head.rpartition(b"Bearer ")[2]
        claims = claims_in(presented)
        if not claims:  # a refresh token
            is_taken = self.fault == "takes refresh tokens"
            return WireResponse(200) if is_taken else self.refuse()
        if claims.get("iss") != SIGNER.issuer and self.fault != "ignores the issuer":
            return self.refuse()
        late = 2.0 if self.fault == "accepts expired" else 0.0
        early = 2.0 if self.fault == "accepts premature" else 0.0
        is_revoked = self.revoked_at is not None and claims.get("sid") == "s"
        if claims.get("nbf", 0) - early <= self.now < claims["exp"] + late and not is_revoked:
            return WireResponse(200)
        return self.refuse()

    def refuse(self) -> WireResponse:
        """Refuse, with the status of the fault."""
        status = {"answers 403": 403, "answers 500": 500}.get(self.fault, 401)
        return WireResponse(status, dict(REFUSED))

    def refresh(self, presented: int) -> WireResponse:
        """Redeem a refresh token, which is its number."""
        if self.revoked_at is not None:
            return WireResponse(400)
        is_lenient = self.fault == "misses reuse"
        if presented == self.parent != self.counter and self.fault != "branches":
            if self.fault == "replays for ever" or self.now < 1_005:
                return self.pair()
        elif presented != self.counter and not is_lenient and self.fault != "branches":
            self.revoke("keeps the family")
            return WireResponse(400)
        if self.now > 2_000 and not is_lenient:
            self.revoke("keeps the family")
            return WireResponse(400)
        self.parent, self.counter = presented, self.counter + 1
        return self.pair()

    def revoke(self, fault: str) -> None:
        """Revoke the session, unless the service has that fault."""
        if self.fault != fault:
            self.revoked_at = self.now

    def pair(self) -> WireResponse:
        """Return the newest tokens."""
        claims = {"sub": "probe", "sid": "s", "iat": self.now, "exp": self.now + 40}
        pair: dict[str, Any] = {"access_token": SIGNER.sign(claims)}
        pair["refresh_token"] = str(self.counter)
        pair["refresh_token_timeout"] = 3_600 if self.fault == "lasts too long" else 600
        return WireResponse(200, {b"cache-control": b"no-store"}, body=json.dumps(pair).encode())


def run(probe: Probe | None, service: Service, monkeypatch: pytest.MonkeyPatch) -> Tally:
    """Run one probe, or requests without a token; waiting moves the clock of the service."""

    def sleep(seconds: float) -> None:
        service.now += seconds

    monkeypatch.setattr("linqi_storm.clients.probe_requests.gevent.sleep", sleep)
    monkeypatch.setattr("linqi_storm.clients.prober.gevent.sleep", sleep)
    plan = GeneratorPlan(
        scenario="storm-dual",
        url="http://127.0.0.1:1",
        mode="dual",
        load=LOAD,
        expected=Expectations(grace=5, idle=600),
        begins_at=1_000.0,
    )
    tally = Tally()
    inspector = Inspector(plan, tally)

    def spawn(work: Callable[..., None], *arguments: Any) -> None:
        work(*arguments)

    requests = ProbeRequests(
        service,  # type: ignore[arg-type] # only its `exchange` is used
        RequestBuilder(plan.url, TokenTransport()),
        inspector,
        tally,
        now=lambda: service.now - plan.begins_at,
        ends=LOAD.duration,
    )
    prober = Prober(plan, requests, inspector, tally, spawn=spawn)
    if probe is None:
        prober.ask_without_token()
    else:
        prober.run([probe])
    # What delayed the workers is known after the run: nothing did.
    wrong, _, examples = overdue_of(tally, [], plan.begins_at)
    tally.violations += wrong
    tally.examples += examples
    return tally


def probe_of(kind: ProbeKind) -> Probe:
    """Return a probe of `kind` that begins with the load."""
    claims: dict[str, Any] = {"sub": "probe", "iat": 990.0, "exp": 1_001.0}
    if kind == "premature":
        claims |= {"nbf": 1_000.5, "exp": 1_050.0}
    instant = {"premature": 1_000.5}.get(kind, 1_001.0)
    signer = STRANGER if kind == "foreign" else SIGNER
    token = signer.sign(claims)
    is_spent = kind in ("past_grace", "past_recovery")
    return Probe(
        kind=kind,
        begins_at=0.0,
        token=token,
        instant=instant,
        refresh_token="1" if is_spent else "0",
        spent="0" if is_spent else "",
    )


def service_for(kind: ProbeKind, fault: str = "") -> Service:
    """Return the service in the state that a probe of `kind` needs."""
    service = Service(fault)
    if kind in ("past_grace", "past_recovery"):
        service.counter = 1
        service.now = 1_006.0 if kind == "past_grace" else 2_001.0
    return service


CASES: list[tuple[ProbeKind, str, str]] = [
    ("expiring", "accepts expired", EXPIRED),
    ("expiring", "answers 403", OTHER_STATUS),
    ("expiring", "answers 500", HOSTILE_FAILED),
    ("foreign", "ignores the issuer", FORGED),
    ("signed_out", "takes refresh tokens", REFRESH_AS_ACCESS),
    ("signed_out", "lasts too long", LONG_REFRESH),
    ("premature", "accepts premature", PREMATURE),
    ("signed_out", "ignores sign-out", REVOKED),
    ("stolen", "misses reuse", STOLEN),
    ("stolen", "keeps the family", SURVIVED_THEFT),
    ("in_grace", "branches", REPLAYED_BRANCH),
    ("past_grace", "replays for ever", REPLAYED_LATE),
    ("past_grace", "misses reuse", STOLEN),
]


@pytest.mark.parametrize(("kind", "fault", "rule"), CASES)
def test_each_fault_breaks_its_own_rule(
    kind: ProbeKind, fault: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correct service breaks no rule, and the faulty one breaks exactly the one of its fault."""
    fine = run(probe_of(kind), service_for(kind), monkeypatch)
    assert dict(fine.violations) == {}
    assert fine.checked[rule] >= (0 if rule == SURVIVED_THEFT else 1)
    broken = run(probe_of(kind), service_for(kind, fault), monkeypatch)
    assert set(broken.violations) == {rule}
    assert rule in broken.examples[0]


def test_requests_without_a_token_are_sent_by_get_and_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A guard that looks at one method only is none."""
    service = Service()
    fine = run(None, service, monkeypatch)
    assert not fine.violations
    assert set(service.lines) == {b"GET /me HTTP/1.1", b"HEAD /me HTTP/1.1"}
    broken = run(None, Service("serves without token"), monkeypatch)
    assert set(broken.violations) == {NO_TOKEN}
    assert broken.violations[NO_TOKEN] == fine.checked[NO_TOKEN] == 60


def test_a_thief_after_the_time_of_recovery_is_found_or_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No one refreshed since, and still the spent token is reuse."""
    monkeypatch.setattr("linqi_storm.clients.probe_requests._LAST_SECONDS", 2_000)
    assert not run(probe_of("past_recovery"), service_for("past_recovery"), monkeypatch).violations
    missed = service_for("past_recovery", "misses reuse")
    assert set(run(probe_of("past_recovery"), missed, monkeypatch).violations) == {STOLEN}


def test_a_token_is_presented_at_each_time_after_it_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0.05, 0.5, 2 and 5 s: a service that accepts it for two seconds more accepts two."""
    tally = run(probe_of("expiring"), service_for("expiring", "accepts expired"), monkeypatch)
    assert tally.checked[EXPIRED] == 4
    assert tally.violations[EXPIRED] == 2


def test_a_store_that_is_down_is_no_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 503 decides nothing: the theft counts neither as detected nor as missed."""
    service = service_for("stolen")
    monkeypatch.setattr(service, "refresh", lambda presented: WireResponse(503))
    tally = run(probe_of("stolen"), service, monkeypatch)
    assert not tally.violations
    assert not tally.checked[STOLEN]


async def test_spent_tokens_are_as_old_in_the_store_as_their_probes_say(tmp_path: Path) -> None:
    """The store judges by its own clock, so a token that was spent long ago must have been."""
    store = SQLiteStore(tmp_path / "sessions.db")
    settings = SessionSettings(grace=3, recover_seconds=60)
    sessions = Sessions(store, SIGNER, Key.generate("HS256"), settings=settings, hooks=[])
    await sessions.start()
    try:
        # A barrier so long ago that all instants of the probes have passed.
        begins_at = time.time() - LOAD.duration - 1
        made = await stored_probes(
            find_scenario("storm-dual")(LOAD), sessions, lambda _: None, begins_at, "run"
        )
        assert sessions.store is store
        outcomes: dict[str, set[str]] = {"past_grace": set(), "past_recovery": set()}
        for probe in made:
            if probe.spent:
                outcomes[probe.kind].add(await redeemed(sessions, probe.spent))
    finally:
        await sessions.close()
    assert outcomes == {"past_grace": {"recovered"}, "past_recovery": {"reused"}}


async def redeemed(sessions: Sessions, refresh_token: str) -> str:
    """Return the outcome of a refresh."""
    try:
        return (await sessions.refresh(refresh_token)).outcome
    except RefreshRefused as refused:
        return refused.reason
