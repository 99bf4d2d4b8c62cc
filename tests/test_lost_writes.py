"""A store that lost acknowledged writes: a failover to a lagging replica, an older copy."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aging import overwrite
from clock import FakeClock
from linqi import Key, Signer, Verifier
from linqi.errors import RefreshRefused, TokenRevoked
from linqi.events import (
    Event,
    RefreshTokenReused,
    SessionRefreshed,
    SessionRevoked,
    StoreForgot,
)
from linqi.sessions.dual import Sessions
from linqi.sessions.pair import TokenPair
from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from test_refresh import START, session
from waiting import until

RULES = SessionSettings(idle=1000, absolute=50_000, grace=10, recover_seconds=300)
KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")
CLIENTS = 50


def test_d3_after_a_take_over_every_lower_number_is_reuse() -> None:
    """The old current one and its parent included, in their grace too; the same one replays."""
    row = session(counter=5, parent=4, ends_at=START + 5000)
    outcome = decide_rotation(row, 7, START + 1, RULES)
    assert (outcome.kind, outcome.forgotten) == ("recovered", 2)
    after = outcome.record
    assert after is not None
    assert (after.counter, after.parent) == (8, 7)
    assert after.rotated_at == after.first_rotated_at == START + 1
    kinds = [decide_rotation(after, number, START + 2, RULES).kind for number in range(9)]
    assert kinds == ["reused"] * 7 + ["replayed", "rotated"]
    assert decide_rotation(after, 7, START + 2, RULES).record is after
    assert decide_rotation(after, 7, START + 12, RULES).kind == "recovered"
    assert decide_rotation(after, 7, START + 302, RULES).kind == "reused"


def test_a_revoked_or_expired_session_is_never_taken_over() -> None:
    """Whatever its token's number: the row decides first."""
    gone = session(counter=5, parent=4, revoked_at=START, cause="logout")
    assert decide_rotation(gone, 6, START + 1, RULES).kind == "revoked"
    assert decide_rotation(session(counter=5), 6, START + 1000, RULES).kind == "expired"
    assert decide_rotation(None, 6, START, RULES).kind == "unknown"


class LossyStore(RuleBasedStateMachine):
    """One session in a store that forgets its last rotations now and then, and a thief."""

    @initialize()
    def begin(self) -> None:
        """Sign in."""
        self.sign_in()

    def sign_in(self) -> None:
        """Begin a session that nothing has happened to."""
        self.rows: list[SessionRecord] = [session(ends_at=START + 50_000)]
        self.now, self.held, self.issued = START, 0, 0
        self.stolen: list[int] = []

    def present(self, counter: int) -> tuple[str, int]:
        """Present a token; return the outcome and the number of the successor."""
        outcome = decide_rotation(self.rows[-1], counter, self.now, RULES)
        assert outcome.record is not None
        if outcome.forgotten:
            assert outcome.kind == "recovered"
            assert outcome.forgotten == counter - self.rows[-1].counter <= RULES.most_forgotten
        if outcome.record is not self.rows[-1]:
            self.rows.append(outcome.record)
        self.issued = max(self.issued, outcome.record.counter)
        return outcome.kind, outcome.record.counter

    @rule(pause=st.sampled_from([0.0, 9.0, 11.0, 100.0]))
    def wait(self, pause: float) -> None:
        """Let time pass, never so long that the session is idle."""
        self.now = min(self.now + pause, self.rows[-1].expires_at - 101)

    @precondition(lambda self: len(self.rows) > 1)
    @rule(writes=st.integers(1, 4))
    def lose(self, writes: int) -> None:
        """Fall back to an earlier row, from which the client is no further ahead than stated."""
        kept = self.rows[: max(1, len(self.rows) - writes)]
        if kept[-1].counter >= self.held - RULES.most_forgotten and kept[-1].is_live(
            self.now + 200
        ):
            self.rows = kept

    @rule(is_lost=st.booleans(), times=st.integers(1, 3))
    def refresh(self, is_lost: bool, times: int) -> None:
        """Present what the client holds, several times at once; the replies may be lost."""
        row = self.rows[-1]
        if self.held == row.parent and self.now - row.first_rotated_at > RULES.recover_seconds:
            return  # a reply was lost for too long
        answers = [self.present(self.held) for _ in range(times)]
        assert {kind for kind, _ in answers} <= {"rotated", "replayed", "recovered"}
        assert len({counter for _, counter in answers}) == 1
        if not is_lost:
            self.held = answers[0][1]

    @rule()
    def steal(self) -> None:
        """Copy, as a thief, what the client holds now."""
        self.stolen.append(self.held)

    @precondition(lambda self: self.stolen)
    @rule(data=st.data(), is_first=st.booleans())
    def use_stolen(self, data: st.DataObject, is_first: bool) -> None:
        """Present a copy: refused at once, or found when both have gone on once or twice."""
        counter = data.draw(st.sampled_from(self.stolen))
        holds = {"thief": counter, "client": self.held}
        kind, holds["thief"] = self.present(counter)
        order = ["thief", "client"] if is_first else ["client", "thief"]
        for who in order * 2:
            if kind != "reused":
                self.now += 11
                kind, holds[who] = self.present(holds[who])
        assert kind == "reused", "both go on"
        self.sign_in()


TestLossyStore = LossyStore.TestCase
TestLossyStore.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)


class Service:
    """Sessions on a store whose rows a test takes back."""

    def __init__(self, store: SessionStore, **options: Any) -> None:
        self.events: list[Event] = []
        self.store = store
        signer = Signer(KEY, issuer="https://shop.example", audience="shop")
        self.sessions = Sessions(store, signer, SECRET, hooks=[self.events.append], **options)
        self.verifier = Verifier.trusting(signer, is_revoked=self.sessions.revocations.is_revoked)

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def row(self, pair: TokenPair) -> SessionRecord:
        """Return the row of a session."""
        found = await self.sessions.find(pair.session_id)
        assert found is not None
        return found

    async def refuse(self, pair: TokenPair) -> str:
        """Present a token that is refused; return the reason."""
        with pytest.raises(RefreshRefused) as caught:
            await self.sessions.refresh(pair.refresh_token)
        return caught.value.reason


@pytest.fixture
async def service(make_store: Callable[[], SessionStore]) -> AsyncIterator[Service]:
    """Return a running service on each kind of store."""
    service = Service(make_store())
    await service.sessions.start()
    yield service
    await service.sessions.close()


async def test_a_store_that_lost_its_last_writes_signs_nobody_out(service: Service) -> None:
    """50 clients at once, 1 or 2 rotations lost each: all go on, no alarm, each loss is told."""
    pairs = [await service.sessions.sign_in(f"user-{n}") for n in range(CLIENTS)]
    thief = pairs[0]

    async def refreshed() -> list[TokenPair]:
        return await asyncio.gather(*[service.sessions.refresh(p.refresh_token) for p in pairs])

    pairs = await refreshed()
    kept = [await service.row(pair) for pair in pairs]
    for _ in range(2):
        pairs = await refreshed()
    lost = [2 if n % 2 else 1 for n in range(CLIENTS)]
    for n, row in enumerate(kept):
        if lost[n] == 1:
            row = decide_rotation(row, row.counter, row.rotated_at, SessionSettings()).record
        assert row is not None
        await overwrite(service.store, row)
    service.events.clear()
    pairs = await refreshed()
    assert {(pair.outcome, pair.sequence) for pair in pairs} == {("recovered", 4)}
    told = {event.user: event.rotations for event in service.told(StoreForgot)}
    assert told == {f"user-{n}": lost[n] for n in range(CLIENTS)}
    assert len(service.told(SessionRefreshed)) == CLIENTS
    assert len(service.events) == 2 * CLIENTS
    pairs = await refreshed()
    assert {pair.outcome for pair in pairs} == {"rotated"}
    assert await service.refuse(thief) == "reused"
    (alarm,) = service.told(RefreshTokenReused)
    assert (alarm.presented, alarm.current) == (0, 5)
    assert await service.refuse(pairs[0]) == "revoked"


async def test_a_command_of_a_take_over_that_is_sent_again_gives_the_same_child(
    service: Service,
) -> None:
    """D4: a driver sends it twice, or the reply was lost: one successor, told once."""
    first = await service.sessions.sign_in("alice")
    kept = await service.row(first)
    pair = await service.sessions.refresh(first.refresh_token)
    await overwrite(service.store, kept)
    present = [service.store.present(first.session_id, 1, SessionSettings()) for _ in range(20)]
    outcomes = await asyncio.gather(*present)
    assert sorted(outcome.forgotten for outcome in outcomes) == [0] * 19 + [1]
    assert {outcome.record for outcome in outcomes} == {await service.row(first)}
    again = await service.sessions.refresh(pair.refresh_token)
    assert (again.outcome, again.sequence) == ("replayed", 2)
    assert await service.refuse(first) == "reused"  # the old parent has no grace any more


async def test_a_session_too_far_ahead_is_ended(service: Service) -> None:
    """D3: no failover loses so much; the alarm says how far it was."""
    pair = await service.sessions.sign_in("alice")
    kept = await service.row(pair)
    for _ in range(3):
        pair = await service.sessions.refresh(pair.refresh_token)
    await overwrite(service.store, kept)
    assert await service.refuse(pair) == "reused"
    (alarm,) = service.told(RefreshTokenReused)
    assert (alarm.presented, alarm.current) == (3, 0)
    assert not service.told(StoreForgot)


@pytest.mark.parametrize("rotations", [0, 1])
async def test_a_revocation_that_the_store_lost_is_stored_again(
    service: Service, rotations: int
) -> None:
    """I2: what this process knows of a sign-out counts, and the store learns it again."""
    pair = await service.sessions.sign_in("alice")
    kept = await service.row(pair)
    for _ in range(rotations):
        pair = await service.sessions.refresh(pair.refresh_token)
    await service.sessions.revoke(pair.session_id, cause="logout")
    await overwrite(service.store, kept)
    service.events.clear()
    assert await service.refuse(pair) == "revoked"
    row = await service.row(pair)
    assert (row.revoked_at > 0, row.cause) == (True, "lost")
    assert [event.cause for event in service.told(SessionRevoked)] == ["lost"]
    assert not service.told(StoreForgot)
    assert await service.refuse(pair) == "revoked"
    assert len(service.told(SessionRevoked)) == 1
    with pytest.raises(TokenRevoked):
        service.verifier.verify(pair.access_token)


async def test_a_revocation_known_by_the_feed_alone_is_enough(
    service: Service, make_store: Callable[[], SessionStore]
) -> None:
    """A worker that only heard of a sign-out tells the store that forgot it, and the others."""
    other = Service(make_store())
    await other.sessions.start()
    pair = await service.sessions.sign_in("alice")
    kept = await service.row(pair)
    await service.sessions.revoke(pair.session_id)
    await until(lambda: other.sessions.revocations.knows(pair.session_id))
    await overwrite(service.store, kept)
    assert await other.refuse(pair) == "revoked"
    assert (await service.row(pair)).cause == "lost"
    await other.sessions.close()


async def test_a_session_whose_sign_in_was_lost_is_not_made_anew(clock: FakeClock) -> None:
    """A flushed store and a deleted row end sessions, whatever tokens say: sign in again."""
    store = MemoryStore()
    service = Service(store)
    await service.sessions.start()
    pair = await service.sessions.sign_in("alice")
    pair = await service.sessions.refresh(pair.refresh_token)
    store._rows.clear()
    service.events.clear()
    assert await service.refuse(pair) == "unknown"
    assert not service.told(RefreshTokenReused)
    assert not service.told(StoreForgot)
    assert not store._rows
    await service.sessions.close()
