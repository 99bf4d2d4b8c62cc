"""Sliding through the middleware: one signature, one successor, no harm to the response."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    Grid,
    Jitter,
    JWTMiddleware,
    Key,
    Policy,
    RenewalBudget,
    RenewalSettings,
    Signer,
    SlidingRenewal,
    Threshold,
    Verified,
    Verifier,
)
from linqi.errors import RenewalRefused, SigningError
from linqi.events import (
    RenewalDeferred,
    RenewalDenied,
    RenewalFailed,
    SessionCapReached,
    TokenRenewed,
)
from tokens import AUDIENCE, ISSUER, signer_of

SECRET = Key.generate("HS256")
RSA = Key.generate("RS256")


class Stack:
    """A signer, its verifier, sliding renewal and the middleware on one clock."""

    def __init__(
        self,
        clock: FakeClock,
        key: Key = SECRET,
        app: Any = None,
        wait_seconds: float = 30.0,
        **options: Any,
    ) -> None:
        self.clock = clock
        self.signer = signer_of(key)
        self.verifier = Verifier.trusting(self.signer, clock=clock)
        self.renewal = SlidingRenewal(self.signer, clock=clock, **options)
        self.heard: list[Any] = []
        self.app = App() if app is None else app
        self.middleware = JWTMiddleware(
            self.app,
            self.verifier,
            renewal=self.renewal,
            hooks=[self.heard.append],
            wait_seconds=wait_seconds,
            clock=clock,
        )

    def near_expiry(self, **options: Any) -> str:
        """Sign a user in and go to one second after the renewal is due."""
        issued = self.renewal.start("alice", **options)
        self.clock.move(issued.refresh_in + 1)
        return issued.token

    def heard_of(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.heard if type(event) is kind]


async def test_a_fresh_token_has_no_successor(clock: FakeClock) -> None:
    """Before the buffer the response is the application's own, untouched."""
    stack = Stack(clock)
    answer = await call(stack.middleware, http(token=stack.renewal.start("alice").token))
    assert answer.status == 200
    assert answer.headers == []


@pytest.mark.parametrize("key", [SECRET, RSA], ids=["on the loop", "in a thread"])
async def test_500_parallel_requests_share_one_signature(clock: FakeClock, key: Key) -> None:
    """All are inside the application before any response starts, and get the same successor."""
    inside, go = asyncio.Semaphore(0), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.release()
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    stack = Stack(clock, key, app)
    token = stack.near_expiry()
    before = stack.signer.signatures
    calls = [asyncio.create_task(call(stack.middleware, http(token=token))) for _ in range(500)]
    for _ in range(500):
        await inside.acquire()
    go.set()
    successors = {answer.successor for answer in await asyncio.gather(*calls)}
    assert len(successors) == 1
    assert None not in successors
    assert stack.signer.signatures - before == 1
    assert (stack.renewal.counts.signatures, stack.renewal.counts.coalesced) == (1, 499)
    assert sum(event.signed for event in stack.heard_of(TokenRenewed)) == 1
    stack.renewal.close()


@pytest.mark.parametrize("policy", [Threshold(), Jitter(0.25)])
async def test_one_token_has_one_successor_off_the_grid(clock: FakeClock, policy: Policy) -> None:
    """R6: a request half a second later gets what the first one got, under every policy."""
    stack = Stack(clock, settings=RenewalSettings(policy=policy, whole_seconds=False))
    token = stack.near_expiry()
    first = await call(stack.middleware, http(token=token))
    clock.move(0.5)
    second = await call(stack.middleware, http(token=token))
    assert first.successor == second.successor is not None
    assert stack.renewal.counts.signatures == 1


@pytest.mark.parametrize(
    ("policy", "agreed"), [(Grid(), True), (Jitter(0.25), True), (Threshold(), False)]
)
async def test_two_workers_agree_under_every_policy_but_plain(
    clock: FakeClock, policy: Policy, agreed: bool
) -> None:
    """A plain successor lives from now, so workers that share no memo make different ones."""
    settings = RenewalSettings(policy=policy, whole_seconds=False)
    stack = Stack(clock, Key.generate("HS256"), settings=settings)
    token = stack.verifier.verify(stack.near_expiry())
    made = []
    for pause in (0.0, 0.5, 20.0):
        clock.move(pause)
        worker = SlidingRenewal(stack.signer, settings, clock=clock)
        issued = await worker.renew(token)
        assert issued is not None
        made.append(issued.token)
    assert len(set(made)) == (1 if agreed else 3)


async def test_a_slow_signature_begins_before_the_application_runs(clock: FakeClock) -> None:
    """With RSA the flight is under way while the application works."""
    begun: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.append(len(stack.renewal._flight))
        await App()(scope, receive, send)

    stack = Stack(clock, RSA, app)
    answer = await call(stack.middleware, http(token=stack.near_expiry()))
    assert begun == [1]
    assert answer.successor
    stack.renewal.close()


WORKER = """
import asyncio, json, sys
from linqi import Key, Signer, SlidingRenewal, Verifier
jwk, token, now = json.loads(sys.stdin.readline())
signer = Signer(Key.from_jwk(jwk), issuer=sys.argv[1], audience=sys.argv[2])
clock = lambda: now
verified = Verifier.trusting(signer, clock=clock).verify(token)
print(asyncio.run(SlidingRenewal(signer, clock=clock).renew(verified)).token)
"""


@pytest.mark.parametrize("alg", ["HS256", "ES256", "EdDSA", "RS256", "PS256"])
def test_two_processes_make_the_same_successor(clock: FakeClock, alg: str) -> None:
    """Workers that never talk agree on all claims, and on the bytes where nothing is salted."""
    key = Key.generate(alg)
    stack = Stack(clock, key)
    token = stack.near_expiry(claims={"role": "editor"})
    made = []
    for later in (0.0, 123.4):
        line = json.dumps([key.private_jwk(), token, clock.now + later])
        done = subprocess.run(
            [sys.executable, "-c", WORKER, ISSUER, AUDIENCE],
            input=line,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        made.append(done.stdout.strip())
    claims = [dict(stack.verifier.verify(successor).claims) for successor in made]
    assert claims[0] == claims[1]
    assert claims[0]["role"] == "editor"
    assert (made[0] == made[1]) == (alg != "PS256")


async def test_r3_a_successor_keeps_who_the_session_is(clock: FakeClock) -> None:
    """Only jti, iat and exp are new; acr and auth_time are never freshened."""
    stack = Stack(clock)
    token = stack.near_expiry(claims={"acr": "gold", "amr": ["pwd"], "x": 1}, scopes=["read"])
    old = dict(stack.verifier.verify(token).claims)
    answer = await call(stack.middleware, http(token=token))
    assert answer.successor
    new = dict(stack.verifier.verify(answer.successor).claims)
    changed = {name for name in old | new if old.get(name) != new.get(name)}
    assert changed == {"jti", "iat", "exp"}
    assert new["exp"] > old["exp"]
    (event,) = stack.heard_of(TokenRenewed)
    assert (event.user, event.old_expires_at, event.buffer) == ("alice", old["exp"], 300)
    assert event.lag == pytest.approx(1)


async def test_r1_a_session_slides_to_its_end_and_no_further(clock: FakeClock) -> None:
    """Renewed whenever possible, no token outlives auth_time + max_session; then it is 401."""
    stack = Stack(clock, settings=RenewalSettings(max_session=7200))
    token = stack.renewal.start("alice").token
    start = clock.now
    renewals = 0
    while (answer := await call(stack.middleware, http(token=token))).status == 200:
        if answer.successor:
            token, renewals = answer.successor, renewals + 1
            assert stack.verifier.verify(token).expires_at <= start + 7200
        clock.move(20)
    assert 6 <= renewals <= 14
    assert 7200 * 0.9 - 20 <= clock.now - start <= 7200 + 20
    assert stack.heard_of(SessionCapReached)


async def test_the_memo_answers_late_requests_with_the_old_token(clock: FakeClock) -> None:
    """A request 29 s later gets the same successor without a signature."""
    stack = Stack(clock)
    token = stack.near_expiry()
    first = await call(stack.middleware, http(token=token))
    clock.move(29)
    second = await call(stack.middleware, http(token=token))
    clock.move(2)
    third = await call(stack.middleware, http(token=token))
    assert first.successor == second.successor == third.successor
    assert stack.renewal.counts.signatures == 2, "after the memo the same token is signed again"


async def test_a_waiter_that_leaves_stops_nobody(clock: FakeClock) -> None:
    """A cancelled request leaves the shared signature running for the others."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def authorize(verified: Verified) -> bool:
        asked.set()
        await go.wait()
        return True

    stack = Stack(clock, authorize=authorize)
    token = stack.near_expiry()
    leaving = asyncio.create_task(call(stack.middleware, http(token=token)))
    staying = asyncio.create_task(call(stack.middleware, http(token=token)))
    await asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go.set()
    assert (await staying).successor
    assert stack.renewal.counts.signatures == 1


@pytest.mark.parametrize("failure", [SigningError("no entropy"), MemoryError("secret-detail")])
@pytest.mark.parametrize("key", [SECRET, RSA], ids=["on the loop", "in a thread"])
async def test_a_failed_signature_leaves_the_response_intact(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, key: Key, failure: Exception
) -> None:
    """The user gets the application's answer without a header; the failure is counted and told."""
    stack = Stack(clock, key)
    token = stack.near_expiry()

    def fail(claims: object) -> str:
        raise failure

    monkeypatch.setattr(stack.signer, "sign", fail)
    answer = await call(stack.middleware, http(token=token))
    assert (answer.status, answer.headers) == (200, [])
    assert answer.messages[1]["body"] == b"done"
    assert stack.renewal.counts.failed == 1
    (event,) = stack.heard_of(RenewalFailed)
    assert "secret-detail" not in event.detail
    stack.renewal.close()


async def test_a_slow_signature_defers_the_renewal(clock: FakeClock) -> None:
    """The response does not wait longer than wait_seconds; a later request gets the successor."""
    go = threading.Event()
    stack = Stack(clock, RSA)
    sign = stack.signer.sign

    def slow(claims: Any) -> str:
        go.wait(10)
        return sign(claims)

    token = stack.near_expiry()
    stack.signer.sign = slow  # type: ignore[method-assign]
    hurried = JWTMiddleware(
        stack.app,
        stack.verifier,
        renewal=stack.renewal,
        wait_seconds=0.01,
        hooks=[stack.heard.append],
        clock=clock,
    )
    assert (await call(hurried, http(token=token))).successor is None
    assert stack.heard_of(RenewalDeferred)[0].reason == "slow"
    go.set()
    assert (await call(stack.middleware, http(token=token))).successor
    assert stack.renewal.counts.signatures == 1
    stack.renewal.close()


async def test_a_late_event_loop_does_not_lose_a_successor_that_is_made(clock: FakeClock) -> None:
    """The time to wait is over when the loop runs again, and so is the signature."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asyncio.get_running_loop().call_soon(hold_up)
        await App()(scope, receive, send)

    def hold_up() -> None:
        go.set()
        thread.submit(int).result(30)  # the one thread has told the loop of the signature
        time.sleep(0.02)

    def slow(claims: Any) -> str:
        go.wait(30)
        return sign(claims)

    go, thread = threading.Event(), ThreadPoolExecutor(1)
    stack = Stack(clock, RSA, app, wait_seconds=0.01)
    stack.renewal._threads = thread
    token, sign = stack.near_expiry(), stack.signer.sign
    stack.signer.sign = slow  # type: ignore[method-assign]
    assert (await call(stack.middleware, http(token=token))).successor
    assert stack.heard_of(RenewalDeferred) == []
    stack.renewal.close()


async def test_the_application_can_say_no(clock: FakeClock) -> None:
    """If `authorize` returns False, the renewal is refused and the request is served."""
    stack = Stack(clock, authorize=lambda verified: False)
    answer = await call(stack.middleware, http(token=stack.near_expiry()))
    assert (answer.status, answer.successor) == (200, None)
    assert [event.reason for event in stack.heard_of(RenewalDenied)] == ["authorize"]
    assert stack.renewal.counts.denied == 1


async def test_the_application_can_change_its_own_claims_only(clock: FakeClock) -> None:
    """A role changes; the identity does not, and scopes only become fewer."""
    answered = {"role": "guest", "scope": "read admin", "sub": "root", "exp": 9e9, "auth_time": 0}
    stack = Stack(clock, authorize=lambda verified: answered)
    token = stack.near_expiry(claims={"role": "editor"}, scopes=["read", "write"])
    answer = await call(stack.middleware, http(token=token))
    assert answer.successor
    verified = stack.verifier.verify(answer.successor)
    assert (verified.claims["role"], verified.subject) == ("guest", "alice")
    assert verified.scopes == ("read",)


@pytest.mark.parametrize("answer", [None, "yes", 1])
async def test_an_unclear_answer_of_the_application_is_no(clock: FakeClock, answer: Any) -> None:
    """Only True and a mapping go on: a hook that forgot to return does not renew."""
    stack = Stack(clock, authorize=lambda verified: answer)
    assert (await call(stack.middleware, http(token=stack.near_expiry()))).successor is None


async def test_a_hook_that_raises_fails_the_renewal_only(clock: FakeClock) -> None:
    """The database behind authorize is down: the response goes out, the failure is told."""

    async def authorize(verified: Verified) -> bool:
        raise ConnectionError("db")

    stack = Stack(clock, authorize=authorize)
    answer = await call(stack.middleware, http(token=stack.near_expiry()))
    assert (answer.status, answer.successor) == (200, None)
    assert "ConnectionError" in stack.heard_of(RenewalFailed)[0].detail


async def test_r5_a_revoked_session_is_not_renewed(clock: FakeClock) -> None:
    """Revocation is asked before minting and again before a remembered successor goes out."""
    revoked = False
    stack = Stack(clock, is_revoked=lambda verified: revoked)
    token = stack.near_expiry()
    assert (await call(stack.middleware, http(token=token))).successor
    revoked = True
    assert (await call(stack.middleware, http(token=token))).successor is None
    clock.move(60)
    assert (await call(stack.middleware, http(token=token))).successor is None
    assert stack.renewal.counts.signatures == 1
    assert {event.reason for event in stack.heard_of(RenewalDenied)} == {"revoked"}


async def test_r5_no_renewal_while_revocation_cannot_be_asked(clock: FakeClock) -> None:
    """The store is down: the request is served, the session does not slide."""

    def broken(verified: Verified) -> bool:
        raise OSError("down")

    stack = Stack(clock, is_revoked=broken)
    assert (await call(stack.middleware, http(token=stack.near_expiry()))).successor is None
    assert stack.renewal.counts.signatures == 0


async def test_a_budget_puts_off_and_the_margin_overrules_it(clock: FakeClock) -> None:
    """Deferred renewals cost nothing, and no session is deferred until it expires."""
    stack = Stack(clock, budget=RenewalBudget(rate=1e-6, burst=1))
    await call(stack.middleware, http(token=stack.near_expiry()))
    token = stack.near_expiry()
    assert (await call(stack.middleware, http(token=token))).successor is None
    assert stack.heard_of(RenewalDeferred)[-1].reason == "budget"
    assert stack.renewal.counts.deferred == 1
    clock.now = stack.verifier.verify(token).expires_at - 9
    assert (await call(stack.middleware, http(token=token))).successor


async def test_renew_serves_callers_outside_the_middleware(clock: FakeClock) -> None:
    """None while it is not due, the successor when it is, RenewalRefused when it may not be."""
    stack = Stack(clock, is_revoked=lambda verified: verified.subject == "mallory")
    fresh = stack.verifier.verify(stack.renewal.start("alice").token)
    assert await stack.renewal.renew(fresh) is None
    due = stack.verifier.verify(stack.near_expiry())
    issued = await stack.renewal.renew(due)
    assert issued
    assert issued.token not in repr(issued)
    assert issued == await stack.renewal.renew(due)
    mallory = stack.renewal.start("mallory")
    clock.move(mallory.refresh_in + 1)
    with pytest.raises(RenewalRefused):
        await stack.renewal.renew(stack.verifier.verify(mallory.token))


async def test_a_new_token_is_a_cache_hit_where_it_was_signed(clock: FakeClock) -> None:
    """`on_issue=verifier.cache_issued` saves the first verification of each token."""
    signer = signer_of(SECRET)
    verifier = Verifier.trusting(signer, clock=clock)
    renewal = SlidingRenewal(signer, on_issue=verifier.cache_issued, clock=clock)
    middleware = JWTMiddleware(App(), verifier, renewal=renewal, hooks=[], clock=clock)
    issued = renewal.start("alice")
    clock.move(issued.refresh_in + 1)
    answer = await call(middleware, http(token=issued.token))
    assert answer.successor
    await call(middleware, http(token=answer.successor))
    assert verifier.cache is not None
    assert verifier.cache.info().misses == 0


@pytest.mark.parametrize(
    ("subject", "options"),
    [
        *((subject, {}) for subject in ("", "a\0", "x" * 1025, None)),
        *(("a", {"claims": claims}) for claims in ({"exp": 1}, {"sid": "x"})),
        *(("a", {"scopes": scopes}) for scopes in ("read", ["a b"], [""])),
    ],
)
def test_a_session_that_cannot_be_started_says_why(
    clock: FakeClock, subject: Any, options: dict[str, Any]
) -> None:
    """Bad subjects, reserved claims and bad scopes are refused before anything is signed."""
    stack = Stack(clock)
    with pytest.raises(ConfigurationError):
        stack.renewal.start(subject, **options)
    assert stack.signer.signatures == 0


def test_claims_that_are_no_json_fail_to_sign(clock: FakeClock) -> None:
    """An object that JSON does not know is a SigningError with its type."""
    with pytest.raises(SigningError, match="object"):
        Stack(clock).renewal.start("alice", claims={"x": object()})


def test_a_signer_and_a_renewal_check_their_settings() -> None:
    """Missing names, public keys and memo bounds are faults of the set-up, told together."""
    with pytest.raises(ConfigurationError) as caught:
        Signer(RSA.public_half(), issuer="", audience="")
    assert len(caught.value.faults) == 3
    with pytest.raises(ConfigurationError) as caught:
        SlidingRenewal(signer_of(SECRET), memo_seconds=0, memo_entries=0)
    assert len(caught.value.faults) == 2
