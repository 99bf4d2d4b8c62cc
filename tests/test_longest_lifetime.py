"""Revocations outlive every token they concern, however the access lifetime was set before."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import Answer, App, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    KeySet,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verifier,
)
from linqi.config import build, read
from linqi.errors import LifetimeExceeded, MissingClaim, TokenExpired, TokenRevoked, Unavailable
from linqi.jose.issuers import own_issuer
from linqi.sessions.record import Revocation
from linqi.sessions.renewal import Grid, Jitter, Threshold, first_span
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from records import revocation
from test_revocation import sweep_all
from waiting import until

KEY, SECRET = Key.generate("HS256"), Key.generate("HS256")
MakeStore = Callable[[], SessionStore]


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still and agrees with those of the stores."""
    return FakeClock(int(time.time()) + 0.25)


class Worker:
    """A process of a deployment: its sessions, and the verifier that asks them."""

    def __init__(
        self, store: SessionStore, clock: FakeClock, lifetime: float, leeway: float = 0
    ) -> None:
        self.signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
        access = RenewalSettings(lifetime=lifetime, buffer=100, policy=Threshold())
        self.sessions = Sessions(store, self.signer, SECRET, access=access, hooks=[], clock=clock)
        self.verifier = Verifier.trusting(
            self.signer,
            is_revoked=self.sessions.revocations.is_revoked,
            leeway=leeway,
            clock=clock,
        )

    def sign(self, clock: FakeClock, life: float, **claims: Any) -> str:
        """Sign a token of our own making."""
        now = int(clock.now)
        return self.signer.sign(
            {"sub": "alice", "jti": secrets.token_hex(8), "iat": now, "exp": now + life} | claims
        )


@asynccontextmanager
async def working(
    make_store: MakeStore, clock: FakeClock, lifetime: float, leeway: float = 0
) -> AsyncIterator[Worker]:
    """Run a worker from its start to its end."""
    worker = Worker(make_store(), clock, lifetime, leeway)
    await worker.sessions.start()
    yield worker
    await worker.sessions.close()


async def check_refused(make_store: MakeStore, clock: FakeClock, token: str, exp: float) -> None:
    """Check that workers which start anew refuse `token` until its own expiry, and after it."""
    for instant in (clock.now + 1, clock.now + 601, exp - 300, exp - 1, exp + 299):
        clock.now = instant
        async with working(make_store, clock, 300, leeway=300) as worker:
            while await worker.sessions.store.purge(clock.now, 500):
                pass
            with pytest.raises(TokenRevoked):
                worker.verifier.verify(token)
    clock.now = exp + 300
    async with working(make_store, clock, 300, leeway=300) as worker:
        with pytest.raises(TokenExpired):
            worker.verifier.verify(token)


@pytest.mark.parametrize("what", ["session", "subject"])
async def test_k7_a_revoked_token_stays_refused_after_the_lifetime_was_shortened(
    make_store: MakeStore, clock: FakeClock, what: str
) -> None:
    """From 3,600 s to 300 by a restart: a token made before it lives on, and so its revocation."""
    user = f"user-{secrets.token_hex(4)}"
    async with working(make_store, clock, 3600) as before:
        pair = await before.sessions.sign_in(user)
        before.verifier.verify(pair.access_token)
    assert pair.access_expires_at == int(clock.now) + 3600
    clock.move(60)
    async with working(make_store, clock, 300) as after:
        after.verifier.verify(pair.access_token)
        if what == "session":
            await after.sessions.revoke(pair.session_id)
        else:
            await after.sessions.revoke_all(user)
        with pytest.raises(TokenRevoked):
            after.verifier.verify(pair.access_token)
    await check_refused(make_store, clock, pair.access_token, pair.access_expires_at)


async def test_reuse_after_a_restart_with_a_short_setting_ends_old_tokens_too(
    make_store: MakeStore, clock: FakeClock
) -> None:
    """D3: the family's access tokens, whatever lifetime they were made with."""
    async with working(make_store, clock, 3600) as before:
        first = await before.sessions.sign_in(f"user-{secrets.token_hex(4)}")
        second = await before.sessions.refresh(first.refresh_token)
        await before.sessions.refresh(second.refresh_token)
    async with working(make_store, clock, 300) as after:
        with pytest.raises(Exception, match="was spent"):
            await after.sessions.refresh(first.refresh_token)
    await check_refused(make_store, clock, second.access_token, second.access_expires_at)


async def test_one_token_is_refused_until_its_own_exp(
    make_store: MakeStore, clock: FakeClock
) -> None:
    """``POST /revoke`` of a token with a long ``exp``, in a deployment of short ones."""
    async with working(make_store, clock, 300) as worker:
        worker.sessions.revocations.raise_lifetime(20_000)
        await worker.sessions.revocations.agree_on_lifetime()
        token = worker.sign(clock, 20_000)
        verified = worker.verifier.verify(token)
        routes = SessionRoutes(App(), worker.sessions, worker.verifier, lambda _: None)
        body, answer = json.dumps({"token": token}).encode(), Answer()
        scope = http("/revoke", method="POST", headers=[(b"content-type", b"application/json")])

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        await routes(scope, receive, answer.send)
        assert answer.status == 200
    await check_refused(make_store, clock, token, verified.expires_at)


async def test_a_token_revoked_by_its_id_alone_is_refused_for_the_longest_life(
    make_store: MakeStore, clock: FakeClock
) -> None:
    """Without its ``exp`` the deployment's longest life stands for it."""
    async with working(make_store, clock, 3600) as before:
        token = before.sign(clock, 3600)
    async with working(make_store, clock, 300) as after:
        verified = after.verifier.verify(token)
        await after.sessions.revoke_access_token(str(verified.token_id))
    await check_refused(make_store, clock, token, verified.expires_at)


async def test_a_worker_with_a_longer_lifetime_is_heard_of_before_its_tokens(
    make_store: MakeStore, clock: FakeClock
) -> None:
    """While a longer setting is rolled out, workers with the shorter one let its tokens in."""
    async with working(make_store, clock, 300) as short:
        async with working(make_store, clock, 7200) as long:
            pair = await long.sessions.sign_in(f"user-{secrets.token_hex(4)}")
            await until(lambda: short.sessions.revocations.longest_lifetime >= 7200)
            short.verifier.verify(pair.access_token)
        await short.sessions.revoke(pair.session_id)
    await check_refused(make_store, clock, pair.access_token, pair.access_expires_at)


async def test_v21_own_tokens_that_outlive_revocations_are_refused(clock: FakeClock) -> None:
    """Above the bound, or of unknown length: without ``iat``. Foreign ones are not concerned."""
    async with working(MemoryStore, clock, 300) as worker:
        verifier, revocations = worker.verifier, worker.sessions.revocations
        verifier.verify(worker.sign(clock, 300))
        long = worker.sign(clock, 301)
        for _ in range(2):
            with pytest.raises(LifetimeExceeded, match="lives 301 s"):
                verifier.verify(long)
        now = int(clock.now)
        with pytest.raises(MissingClaim, match="iat"):
            verifier.verify(worker.signer.sign({"sub": "alice", "exp": now + 10}))
        revocations.raise_lifetime(400)
        verifier.verify(long)
        verifier.verify(long)
        assert verifier.longest_lifetime == 400
        assert verifier.cache_issued(worker.sign(clock, 500)).expires_at == now + 500
        trusted = own_issuer(worker.signer)
        outside = TrustedIssuer(
            issuer=trusted.issuer,
            audience=trusted.audience,
            keys=trusted.keys,
            algorithms=trusted.algorithms,
        )
        foreign = Verifier(outside, is_revoked=revocations.is_revoked, clock=clock)
        foreign.verify(worker.sign(clock, 90_000))
        foreign.verify(worker.signer.sign({"sub": "alice", "exp": now + 10}))


async def test_a_bound_that_is_learned_late_empties_the_cache(clock: FakeClock) -> None:
    """K3: what was let in while no bound was known is asked for again."""
    store = MemoryStore()
    known = Revocations(store, clock=clock)
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    now = int(clock.now)
    long = signer.sign({"sub": "alice", "iat": now, "exp": now + 5000})
    with pytest.raises(Unavailable):  # and not 401, while the store was not heard
        verifier.verify(long)
    await known.start()
    verifier.verify(long)
    await store.publish([Revocation(kind="lifetime", value="900.0", at=now, until=now + 300)])
    await until(lambda: known.longest_lifetime == 900)
    verifier.verify(signer.sign({"sub": "bob", "iat": now, "exp": now + 900}))
    with pytest.raises(LifetimeExceeded):
        verifier.verify(long)
    await known.close()


async def test_a_store_that_forgot_the_longest_lifetime_learns_it_again(clock: FakeClock) -> None:
    """After a failover to an empty server, from any worker that knew it."""
    store = MemoryStore()
    async with working(lambda: store, clock, 3600):
        pass
    async with working(lambda: store, clock, 300) as worker:
        store._longest_lifetime = 0
        await worker.sessions.revoke("s-unknown")
        assert await store.raise_lifetime(0) == 3600


def test_a_revocation_that_is_heard_twice_keeps_its_later_end(clock: FakeClock) -> None:
    """A worker that spreads an old one again does not cut the newer one short."""
    moments = [1000.0]
    known = Revocations(MemoryStore(), clock=clock, monotonic=lambda: moments[0])
    for kind in ("session", "token"):
        for end in (1000.0, 3000.0, 2000.0):
            known.add([revocation(kind, value="x", until=clock.now + end)])
    moments[0] += 4000
    clock.move(2500)
    sweep_all(known, moments)
    assert (known.state().sessions, known.state().tokens) == (1, 1)
    clock.move(508)
    sweep_all(known, moments)
    assert (known.state().sessions, known.state().tokens) == (0, 0)


@given(
    policy=st.sampled_from([Grid(), Threshold(), Jitter(0.3)]),
    lifetime=st.one_of(st.integers(10, 86_400), st.floats(10, 86_400)),
    share=st.floats(0.01, 0.49),
    now=st.floats(1.6e9, 2.5e9),
    is_whole=st.booleans(),
)
def test_no_policy_makes_a_token_that_lives_too_long(
    policy: Any, lifetime: float, share: float, now: float, is_whole: bool
) -> None:
    """Otherwise the verifier would refuse what the same deployment signs."""
    settings = RenewalSettings(
        lifetime=lifetime,
        buffer=max(0.001, lifetime * share),
        max_session=366 * 86_400,
        whole_seconds=is_whole,
    )
    made = (
        first_span("s", now, settings),
        policy.successor("s", now, now + settings.buffer / 2, settings),
        policy.access("s", now, settings),
    )
    for span in made:
        assert span.expires_at - span.issued_at <= lifetime + 0.0005


def test_a_renewal_whose_tokens_the_verifier_would_refuse_is_a_fault(clock: FakeClock) -> None:
    """Found at construction, not by the first person who is signed out."""
    worker = Worker(MemoryStore(), clock, 300)
    renewal = SlidingRenewal(worker.signer, RenewalSettings(lifetime=900), clock=clock)
    with pytest.raises(ConfigurationError, match=r"live 900 s.*above 300"):
        JWTMiddleware(App(), worker.verifier, renewal=renewal)
    worker.sessions.revocations.raise_lifetime(900)
    JWTMiddleware(App(), worker.verifier, renewal=renewal)


@pytest.mark.parametrize("longest", [-1, 0, float("nan")])
def test_unfit_bounds_are_refused(longest: float) -> None:
    """By the verifier and by the revocations; 0 leaves it to the store."""
    signer = Signer(KEY, issuer="https://shop.example", audience="shop")
    with pytest.raises(ConfigurationError, match="longest_lifetime"):
        Verifier.trusting(signer, longest_lifetime=longest)
    if longest != 0:
        with pytest.raises(ConfigurationError, match="longest_lifetime"):
            Revocations(MemoryStore(), longest_lifetime=longest)


async def test_the_file_and_the_store_say_it_and_the_higher_holds(
    tmp_path: Path, clock: FakeClock
) -> None:
    """``longest_lifetime_seconds`` above the mark raises it; below it changes nothing."""
    KeySet([KEY]).save(tmp_path / "keys.json")
    KeySet([SECRET]).save(tmp_path / "refresh.json")

    async def in_force(**renewal: float) -> float:
        raw = {
            "verify": {"issuer": "https://shop.example", "audience": "shop"},
            "keys": {"file": "keys.json"},
            "store": {"url": "sqlite:s.db", "secrets_file": "refresh.json"},
            "renewal": renewal,
        }
        components = build(read(raw, folder=tmp_path), environ={}, hooks=[id], clock=clock)
        assert components.sessions is not None
        await components.sessions.start()
        found = components.verifier.longest_lifetime
        assert await components.sessions.store.raise_lifetime(0) == found
        await components.sessions.close()
        return found

    assert await in_force() == 900
    assert await in_force(longest_lifetime_seconds=5000) == 5000
    assert await in_force(longest_lifetime_seconds=2000) == 5000
    assert await in_force(lifetime_seconds=7000) == 7000
    assert await in_force() == 7000
