"""The session service: sign in, refresh, revoke, share with sliding renewal."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clock import FakeClock
from linqi import ConfigurationError, Key, Signer, SlidingRenewal, Verifier
from linqi.errors import ApplicationFault, RefreshRefused, TokenRevoked, Unavailable
from linqi.events import Event, RefreshDenied, RefreshTokenReused, SessionRefreshed, SessionRevoked
from linqi.sessions.decision import Due
from linqi.sessions.dual import Sessions
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.revocation import Revocations
from linqi.stores.memory import MemoryStore
from waiting import until

KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")


class Service:
    """Sessions with everything around them, as an application has it."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.events: list[Event] = []
        self.store = options.pop("store", None) or MemoryStore(clock=clock)
        self.signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
        self.sessions = Sessions(
            self.store, self.signer, SECRET, hooks=[self.events.append], clock=clock, **options
        )
        self.is_revoked = self.sessions.revocations.is_revoked
        self.verifier = Verifier.trusting(self.signer, is_revoked=self.is_revoked, clock=clock)

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def service(clock: FakeClock) -> AsyncIterator[Service]:
    """Return a running service on the memory store."""
    service = Service(clock)
    await service.sessions.start()
    yield service
    await service.sessions.close()


async def test_signing_in_gives_both_tokens(service: Service, clock: FakeClock) -> None:
    """The access token verifies and carries the session; the refresh token is opaque."""
    pair = await service.sessions.sign_in(
        "alice", claims={"name": "Alice"}, scopes=["read", "write"], device="phone"
    )
    verified = service.verifier.verify(pair.access_token)
    assert verified.subject == "alice"
    assert verified.session_id == pair.session_id
    assert verified.scopes == ("read", "write")
    assert verified.claims["name"] == "Alice"
    assert verified.claims["session_end"] == pair.session_ends_at
    assert pair.access_expires_at - clock.now <= 900
    assert pair.refresh_expires_at - clock.now <= 7 * 86_400
    assert (pair.outcome, pair.sequence) == ("started", 0)
    assert pair.refresh_token not in repr(pair)
    (row,) = await service.sessions.sessions("alice")
    assert (row.device, row.session_id) == ("phone", pair.session_id)


async def test_refreshing_rotates(service: Service, clock: FakeClock) -> None:
    """A new pair, a rising sequence, the same session and its end."""
    first = await service.sessions.sign_in("alice", scopes=["read"])
    clock.move(1000)
    second = await service.sessions.refresh(first.refresh_token)
    assert (second.outcome, second.sequence) == ("rotated", 1)
    assert second.refresh_token != first.refresh_token
    assert second.session_ends_at == first.session_ends_at
    assert service.verifier.verify(second.access_token).scopes == ("read",)


async def test_five_parallel_tabs_converge_on_one_successor(service: Service) -> None:
    """Losers get the winner's tokens, byte for byte, whichever worker they meet."""
    pair = await service.sessions.sign_in("alice")
    other = Service(service.sessions._clock, store=service.store)  # type: ignore[arg-type]
    answers = await asyncio.gather(
        *[s.sessions.refresh(pair.refresh_token) for s in (service, other) for _ in range(5)]
    )
    assert len({answer.refresh_token for answer in answers}) == 1
    jtis = {service.verifier.verify(answer.access_token).token_id for answer in answers}
    assert len(jtis) == 1


async def test_a_lost_reply_is_recovered(service: Service, clock: FakeClock) -> None:
    """D4: within the grace the same child; after it another one, and the lost one is dead."""
    pair = await service.sessions.sign_in("alice")
    lost = await service.sessions.refresh(pair.refresh_token)
    clock.move(5)
    again = await service.sessions.refresh(pair.refresh_token)
    assert (again.refresh_token, again.outcome) == (lost.refresh_token, "replayed")
    clock.move(60)
    found = await service.sessions.refresh(pair.refresh_token)
    assert (found.outcome, found.sequence) == ("recovered", 2)
    assert (await service.sessions.refresh(found.refresh_token)).outcome == "rotated"


async def test_d3_reuse_revokes_the_family_and_its_access_tokens(
    service: Service, clock: FakeClock
) -> None:
    """D3: the thief and the victim are both out, other sessions are not, and it is told."""
    pair = await service.sessions.sign_in("alice")
    bystander = await service.sessions.sign_in("alice")
    thief = await service.sessions.refresh(pair.refresh_token)
    thief = await service.sessions.refresh(thief.refresh_token)
    service.verifier.verify(thief.access_token)
    with pytest.raises(RefreshRefused) as caught:
        await service.sessions.refresh(pair.refresh_token)
    assert caught.value.reason == "reused"
    with pytest.raises(TokenRevoked):
        service.verifier.verify(thief.access_token)
    with pytest.raises(RefreshRefused, match="revoked"):
        await service.sessions.refresh(thief.refresh_token)
    service.verifier.verify(bystander.access_token)
    (event,) = service.told(RefreshTokenReused)
    assert (event.user, event.presented, event.current) == ("alice", 0, 2)


async def test_the_three_checks_come_in_order(service: Service, clock: FakeClock) -> None:
    """Signature, expiry, record: a forged or expired token touches no store."""

    class Untouchable(MemoryStore):
        async def present(self, *_: Any) -> Any:
            raise AssertionError("the store was asked")

    guarded = Service(clock, store=Untouchable(clock=clock))
    pair = await guarded.sessions.sign_in("alice")
    for token in ("", pair.refresh_token[:-1] + "_-"[pair.refresh_token[-1] == "_"], "a.b.c"):
        with pytest.raises(RefreshRefused):
            await guarded.sessions.refresh(token)
    clock.move(8 * 86_400)
    with pytest.raises(RefreshRefused, match="expired"):
        await guarded.sessions.refresh(pair.refresh_token)
    assert [e.reason for e in guarded.told(RefreshDenied)] == [
        "malformed",
        "forged",
        "malformed",
        "expired",
    ]


async def test_revoking_ends_access_tokens_at_once(service: Service) -> None:
    """One session; all of a subject; all but this one."""
    sessions = service.sessions
    one, two, three = [await sessions.sign_in("alice") for _ in range(3)]
    assert await sessions.revoke(one.session_id, cause="logout")
    with pytest.raises(TokenRevoked):
        service.verifier.verify(one.access_token)
    service.verifier.verify(two.access_token)
    assert await sessions.revoke_all("alice", kept_session=three.session_id)
    with pytest.raises(TokenRevoked):
        service.verifier.verify(two.access_token)
    service.verifier.verify(three.access_token)
    await sessions.revoke_all("alice")
    with pytest.raises(TokenRevoked):
        service.verifier.verify(three.access_token)
    later = await sessions.sign_in("alice")
    service.verifier.verify(later.access_token)
    assert {event.cause for event in service.told(SessionRevoked)} == {"logout", "admin"}


async def test_a_single_access_token_can_be_refused(service: Service) -> None:
    """By its jti; the session goes on."""
    pair = await service.sessions.sign_in("alice")
    token_id = service.verifier.verify(pair.access_token).token_id
    await service.sessions.revoke_access_token(token_id or "")
    with pytest.raises(TokenRevoked):
        service.verifier.verify(pair.access_token)
    assert (await service.sessions.refresh(pair.refresh_token)).access_token


async def test_d6_a_revocation_that_was_not_kept_is_no_success(clock: FakeClock) -> None:
    """D6: the store's error comes out, whichever of the two writes failed."""

    class Broken(MemoryStore):
        async def publish(self, revocations: Any) -> None:
            if any(revocation.kind == "session" for revocation in revocations):
                raise Unavailable("disk full")

    service = Service(clock, store=Broken())
    pair = await service.sessions.sign_in("alice")
    with pytest.raises(Unavailable):
        await service.sessions.revoke(pair.session_id)


async def test_sliding_and_refresh_share_the_session(service: Service, clock: FakeClock) -> None:
    """R9: a slid token keeps sid and end, and revoking the session ends both."""
    renewal = SlidingRenewal(service.signer, is_revoked=service.is_revoked, clock=clock)
    pair = await service.sessions.sign_in("alice")
    clock.move(pair.refresh_in + 1)
    verified = service.verifier.verify(pair.access_token)
    assert isinstance(renewal.decide(verified, clock.now), Due)
    slid = await renewal.renew(verified)
    assert slid is not None
    again = service.verifier.verify(slid.token)
    assert again.session_id == pair.session_id
    assert again.claims["session_end"] == pair.session_ends_at
    await service.sessions.revoke(pair.session_id)
    with pytest.raises(TokenRevoked):
        service.verifier.verify(slid.token)


async def test_revoking_a_subject_ends_sliding_sessions_too(
    service: Service, clock: FakeClock
) -> None:
    """Those that no store holds, if they began in an earlier second."""
    renewal = SlidingRenewal(service.signer, clock=clock)
    before = renewal.start("alice")
    clock.move(2)
    await service.sessions.revoke_all("alice")
    with pytest.raises(TokenRevoked):
        service.verifier.verify(before.token)
    service.verifier.verify(renewal.start("alice").token)
    service.verifier.verify(renewal.start("bob").token)


async def test_d7_scopes_shrink_and_never_grow(service: Service) -> None:
    """For one access token only: the next refresh has them all again."""
    pair = await service.sessions.sign_in("alice", scopes=["read", "write"])
    narrow = await service.sessions.refresh(pair.refresh_token, scopes=["read"])
    assert narrow.scopes == ("read",)
    wide = await service.sessions.refresh(narrow.refresh_token)
    assert wide.scopes == ("read", "write")
    with pytest.raises(RefreshRefused) as caught:
        await service.sessions.refresh(wide.refresh_token, scopes=["read", "admin"])
    assert caught.value.reason == "scope"
    assert (await service.sessions.refresh(wide.refresh_token)).sequence == 3


async def test_r3_the_application_is_asked_at_every_refresh(clock: FakeClock) -> None:
    """It may change claims, take scopes away, or end the session; an error loses nothing."""
    answers: list[Any] = [
        {"role": "admin", "sub": "mallory", "scope": "read admin"},
        RuntimeError("directory down"),
        True,
        False,
    ]

    async def authorize(record: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    service = Service(clock, authorize=authorize)
    await service.sessions.start()
    pair = await service.sessions.sign_in("alice", scopes=["read", "write"])
    changed = await service.sessions.refresh(pair.refresh_token)
    verified = service.verifier.verify(changed.access_token)
    assert (verified.subject, verified.scopes) == ("alice", ("read",))
    assert verified.claims["role"] == "admin"
    with pytest.raises(ApplicationFault):
        await service.sessions.refresh(changed.refresh_token)
    kept = await service.sessions.refresh(changed.refresh_token)
    assert kept.outcome == "replayed"
    with pytest.raises(RefreshRefused) as caught:
        await service.sessions.refresh(kept.refresh_token)
    assert caught.value.reason == "denied"
    with pytest.raises(TokenRevoked):
        service.verifier.verify(kept.access_token)
    await service.sessions.close()


async def test_a_waiter_that_leaves_does_not_stop_the_others(service: Service) -> None:
    """The successor is not lost when the first of several requests is cancelled."""
    pair = await service.sessions.sign_in("alice")
    tasks = [asyncio.create_task(service.sessions.refresh(pair.refresh_token)) for _ in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert len({pair.refresh_token for pair in done[1:]}) == 1  # type: ignore[union-attr]


async def test_too_many_sessions_end_the_oldest(clock: FakeClock) -> None:
    """D12: its access tokens included."""
    service = Service(clock, settings=SessionSettings(most_sessions=2))
    await service.sessions.start()
    pairs = []
    for _ in range(3):
        pairs.append(await service.sessions.sign_in("alice"))
        clock.move(1)
    with pytest.raises(TokenRevoked):
        service.verifier.verify(pairs[0].access_token)
    assert len(await service.sessions.sessions("alice")) == 2
    await service.sessions.close()


async def test_rfc_7009_revocation_by_refresh_token(service: Service) -> None:
    """One of ours ends its session; a stranger's text is no error and no success."""
    pair = await service.sessions.sign_in("alice")
    assert not await service.sessions.revoke_refresh_token("nonsense")
    assert await service.sessions.revoke_refresh_token(pair.refresh_token)
    with pytest.raises(TokenRevoked):
        service.verifier.verify(pair.access_token)


async def test_what_is_not_known_is_not_served(clock: FakeClock) -> None:
    """A service whose feed was never started answers 503, not 200."""
    service = Service(clock)
    pair = await service.sessions.sign_in("alice")
    unheard = Revocations(MemoryStore(), clock=clock)
    verifier = Verifier.trusting(
        service.sessions.signer, is_revoked=unheard.is_revoked, clock=clock
    )
    with pytest.raises(Unavailable, match=r"not started"):
        verifier.verify(pair.access_token)


async def test_events_of_a_session(service: Service) -> None:
    """Each refresh is told with its outcome and number."""
    pair = await service.sessions.sign_in("alice")
    await service.sessions.refresh(pair.refresh_token)
    (event,) = service.told(SessionRefreshed)
    assert (event.user, event.outcome, event.sequence) == ("alice", "rotated", 1)


@pytest.mark.parametrize(
    ("subject", "claims"),
    [("", None), ("a\0b", None), ("alice", {"sub": "bob"}), ("alice", {"x": "y" * 5000})],
)
async def test_what_cannot_begin_a_session_is_refused(
    service: Service, subject: str, claims: Any
) -> None:
    """Before anything is kept."""
    with pytest.raises(ConfigurationError):
        await service.sessions.sign_in(subject, claims=claims)
    assert await service.sessions.sessions("alice") == []


async def test_a_purge_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A store that grows without end, such as one without the right to delete, is reported."""

    class Undeletable(MemoryStore):
        async def purge(self, now: float, most: int = 500) -> int:
            raise Unavailable("permission denied for table sessions")

    signer = Signer(KEY, issuer="https://shop.example", audience="shop")
    sessions = Sessions(Undeletable(), signer, SECRET, hooks=[], sleep=lambda _: asyncio.sleep(0))
    await sessions.start()
    await until(lambda: "permission denied for table sessions" in caplog.text)
    await sessions.close()


async def test_thousands_of_revocations_are_published_in_slices(service: Service) -> None:
    """Sign-out everywhere of one subject lets other requests run in between."""
    sizes: list[int] = []
    publish = service.store.publish

    async def counted(revocations: Any) -> None:
        sizes.append(len(revocations))
        await publish(revocations)

    service.store.publish = counted
    ids = [new_session_id("alice") for _ in range(1_600)]
    await service.sessions._publisher.revoke_subject("alice", ids, 1_000.0, "")
    assert sizes == [500, 500, 500, 101]
    assert all(service.sessions.revocations.knows(name) for name in ids)
