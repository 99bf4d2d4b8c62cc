"""Revocation in every worker: what arrives, how soon, and what happens when nothing does."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clock import FakeClock
from linqi import ConfigurationError, Key, Revocation, Revocations, Signer, Verifier
from linqi.errors import TokenRevoked, Unavailable
from linqi.events import Event, RevocationFeedLost, RevocationFeedRestored
from linqi.sessions.known_revocations import SubjectMarks
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from waiting import until

KEY = Key.generate("HS256")


class FlakyStore(MemoryStore):
    """A store whose feed can be cut."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.is_down = False
        self.cut = asyncio.Event()

    async def follow(self, since: float, reader: Any) -> None:
        """Follow until cut."""
        if self.is_down:
            raise Unavailable("connection refused")
        following = asyncio.create_task(super().follow(since, reader))
        cutting = asyncio.create_task(self.cut.wait())
        try:
            await asyncio.wait({following, cutting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (following, cutting):
                task.cancel()
            await asyncio.gather(following, cutting, return_exceptions=True)
        raise Unavailable("connection lost")


def sweep_all(known: Revocations, moments: list[float]) -> None:
    """Let the feed say often enough that it has nothing new."""
    for _ in range(128):
        moments[0] += 0.5
        known.begin_read()
        known.caught_up()


def token_of(clock: FakeClock, **claims: Any) -> tuple[Signer, str]:
    """Return a signer and a token of it."""
    signer = Signer(KEY, issuer="https://own.example", audience="api", clock=clock)
    now = int(clock.now)
    said = {"sub": "alice", "sid": "s1", "jti": "j1", "iat": now, "exp": now + 900} | claims
    return signer, signer.sign(said)


def revocation(kind: Any, value: str, clock: FakeClock, **changes: Any) -> Revocation:
    """Return a revocation that lasts 20 minutes."""
    options = {"kind": kind, "value": value, "at": clock.now, "until": clock.now + 1200}
    return Revocation(**options | changes)


async def test_k3_sessions_subjects_and_tokens_are_refused_on_every_hit(clock: FakeClock) -> None:
    """K3, K7: by sid, sub and jti; never by the token's text; cached tokens too."""
    for kind, value in (("session", "s1"), ("subject", "alice"), ("token", "j1")):
        known = Revocations(MemoryStore(), clock=clock)
        await known.start()
        signer, token = token_of(clock)
        verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
        verifier.verify(token)
        clock.move(2)
        known.add([revocation(kind, value, clock)])
        with pytest.raises(TokenRevoked):
            verifier.verify(token)
        await known.close()


async def test_a_subject_signs_in_again_after_a_revocation(clock: FakeClock) -> None:
    """Only sessions that began before it are over, and the spared one is not."""
    known = Revocations(MemoryStore(), clock=clock)
    await known.start()
    known.add([revocation("subject", "alice", clock, at=clock.now, kept_session="kept")])
    signer, _ = token_of(clock)
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    for claims, is_over in (
        ({"auth_time": clock.now - 1}, True),
        ({"auth_time": clock.now - 1, "sid": "kept"}, False),
        ({"auth_time": clock.now}, False),
        ({"auth_time": clock.now - 1, "sub": "bob"}, False),
    ):
        _, token = token_of(clock, **claims)
        if is_over:
            with pytest.raises(TokenRevoked):
                verifier.verify(token)
        else:
            verifier.verify(token)
    await known.close()


def test_a_subject_that_is_revoked_every_second_keeps_one_mark() -> None:
    """Each check of its tokens, and each further revocation, would cost more than the one before.

    A session that was kept by one of several is refused if another did not keep it.
    """
    marks = SubjectMarks(())
    for second in range(100):
        marks = marks.joined(SubjectMarks(((float(second), "", second << 40 | second),)))
    assert marks.marks == ((99.0, "", 99 << 40 | 99),)
    marks = marks.joined(SubjectMarks(((150.0, "kept", 150 << 40 | 150),)))
    assert len(marks.marks) == 2
    assert marks.concern(98, "kept")
    assert not marks.concern(120, "kept")
    assert marks.concern(120, "other")
    longer = marks.joined(SubjectMarks(((50.0, "", 999 << 40 | 1),)))
    assert len(longer.marks) == 3


async def test_what_concerns_no_living_token_is_forgotten(clock: FakeClock) -> None:
    """The memory is bounded by the access lifetime."""
    moments = [1000.0]
    store = FlakyStore(clock=clock)
    known = Revocations(store, clock=clock, monotonic=lambda: moments[0])
    await known.start()
    await store.publish(
        [
            revocation(kind, f"v{n}", clock)
            for kind in ("session", "subject", "token")
            for n in range(5)
        ]
    )
    await until(lambda: known.state().sessions == 5)
    assert (known.state().subjects, known.state().tokens) == (5, 5)
    clock.move(1208)  # an end is rounded up by less than 8 s
    moments[0] += 1208
    known.add([revocation("session", "new", clock)])
    sweep_all(known, moments)
    state = known.state()
    assert (state.sessions, state.subjects, state.tokens) == (1, 0, 0)
    await known.close()


@pytest.mark.parametrize("kind", ["session", "subject", "token"])
async def test_k3_a_clock_that_is_set_ahead_and_back_frees_no_revoked_token(
    clock: FakeClock, kind: str
) -> None:
    """The sweep of a process whose clock was an hour ahead for 64 s keeps what it knows."""
    moments, store = [1000.0], FlakyStore()
    known = Revocations(store, clock=clock, monotonic=lambda: moments[0])
    await known.start()
    signer, token = token_of(clock)
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    clock.move(2)
    value = {"session": "s1", "subject": "alice", "token": "j1"}[kind]
    await store.publish([revocation(kind, value, clock)])
    await until(lambda: any((known.state().sessions, known.state().subjects, known.state().tokens)))
    clock.move(3600)
    sweep_all(known, moments)
    clock.move(-3600)
    with pytest.raises(TokenRevoked):
        verifier.verify(token)
    await known.close()


@pytest.mark.parametrize(("stale_after", "is_served"), [(5, False), (math.inf, True)])
async def test_a_lost_feed_is_served_by_until_it_is_too_old(
    clock: FakeClock, stale_after: float, is_served: bool
) -> None:
    """The setting: 503 from a stated age on, or never; what was missed arrives afterwards."""
    moments, events = [1000.0], list[Event]()
    store = FlakyStore()
    known = Revocations(
        store,
        stale_after=stale_after,
        clock=clock,
        monotonic=lambda: moments[0],
        hooks=[events.append],
        sleep=lambda _: asyncio.sleep(0.005),
    )
    signer, token = token_of(clock)
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    await known.start()
    verifier.verify(token)
    store.is_down = True
    store.cut.set()
    await until(lambda: bool(events))
    assert isinstance(events[0], RevocationFeedLost)
    moments[0] += 4.9
    verifier.verify(token)
    await store.publish([revocation("session", "s1", clock)])
    moments[0] += 100
    if is_served:
        verifier.verify(token)
    else:
        with pytest.raises(Unavailable, match="connection"):
            verifier.verify(token)
    store.is_down = False
    store.cut.clear()
    await until(lambda: isinstance(events[-1], RevocationFeedRestored))
    with pytest.raises(TokenRevoked):
        verifier.verify(token)
    assert len(events) == 2
    await known.close()


async def test_a_store_that_is_down_at_the_start_is_waited_for(clock: FakeClock) -> None:
    """The service starts, answers 503, and serves once the store has spoken."""
    store = FlakyStore()
    store.is_down = True
    known = Revocations(store, clock=clock, sleep=lambda _: asyncio.sleep(0.005))
    starting = asyncio.create_task(known.start())
    signer, token = token_of(clock)
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked, clock=clock)
    await until(lambda: "refused" in known.state().last_error)
    with pytest.raises(Unavailable):
        verifier.verify(token)
    store.is_down = False
    await starting
    verifier.verify(token)
    await known.close()


def test_a_stale_age_has_a_lower_bound() -> None:
    """The feed speaks once a second: less than two seconds would flap."""
    with pytest.raises(ConfigurationError, match="stale_after"):
        Revocations(MemoryStore(), stale_after=1)


@pytest.mark.parametrize(("kind", "poll"), [("sqlite", 0.05), ("valkey", 0), ("postgres", 0)])
async def test_k8_how_soon_another_process_refuses(
    kind: str, poll: float, valkey_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    """K8: from `publish` returning to knowing, over 60 revocations.

    Bounded by what a publication itself takes at this moment on this machine, however busy it is.
    """
    stores: list[SessionStore] = []
    if kind == "sqlite":
        from linqi.stores.sqlite import SQLiteStore

        stores = [SQLiteStore(tmp_path / "s.db") for _ in range(2)]
    elif kind == "valkey":
        from linqi.stores.valkey import ValkeyStore

        stores = [ValkeyStore(valkey_url, prefix="latency") for _ in range(2)]
    else:
        from linqi.stores.postgres import PostgresStore

        stores = [PostgresStore(postgres_dsn) for _ in range(2)]
    for store in stores:
        await store.start()
    here, there = stores
    known = Revocations(there)
    await known.start()
    took, published = [], []
    for _ in range(60):
        name, now = new_session_id("alice"), time.time()
        sent = time.perf_counter()
        await here.publish([Revocation(kind="session", value=name, at=now, until=now + 60)])
        began = time.perf_counter()
        published.append(began - sent)
        while not known.knows(name):
            await asyncio.sleep(0.0005)
        took.append(time.perf_counter() - began)
    # The medians: a shared machine may hold any one back.
    assert sorted(took)[30] < 2 * poll + 20 * sorted(published)[30] + 0.005
    await known.close()
    for store in stores:
        await store.close()
