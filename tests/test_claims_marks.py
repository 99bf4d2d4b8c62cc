"""A role changed: access tokens with earlier claims are refused until they are refreshed."""

import asyncio
import json
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import App, call, http
from clock import FakeClock, FakeTime
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    Person,
    Revocations,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
)
from linqi._base64url import decode
from linqi.errors import InvalidSubject, StaleClaims, TokenRevoked, Unavailable
from linqi.events import ClaimsOutdated, SessionRevoked
from linqi.sessions.claims_marks import claims_at_of, is_stale, next_mark
from linqi.sessions.record import claims_changed
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from waiting import until

KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")
INSTANTS = st.floats(0, 4e9, allow_nan=False)


class Worker:
    """One worker of a deployment; `roles` is the database that all of them read."""

    def __init__(self, store: SessionStore, roles: dict[str, str], **options: Any) -> None:
        self.events: list[Any] = []
        self.roles = roles
        clock = options.get("clock")
        clocked = {} if clock is None else {"clock": clock}
        signer = Signer(KEY, issuer="https://shop.example", audience="shop", **clocked)
        options = {"authorize": self.authorize, "hooks": [self.events.append]} | options
        self.sessions = Sessions(store, signer, SECRET, **options)
        self.revocations = self.sessions.revocations
        self.verifier = Verifier.trusting(signer, is_revoked=self.revocations.is_revoked, **clocked)

    async def authorize(self, row: Any) -> dict[str, str]:
        """Return the role of now."""
        return {"role": self.roles[row.subject]}

    async def sign_in(self, user: str) -> Any:
        """Return the first tokens, with the role of now."""
        return await self.sessions.sign_in(user, claims={"role": self.roles[user]})

    def role(self, token: str) -> str:
        """Return the role in a token that is accepted."""
        return str(self.verifier.verify(token).claims["role"])

    def is_stale(self, token: str) -> bool:
        """Return whether the token is refused because of its claims."""
        try:
            self.verifier.verify(token)
        except StaleClaims:
            return True
        return False

    async def until_stale(self, token: str) -> None:
        """Wait until the mark has arrived."""
        await until(lambda: self.is_stale(token))


@asynccontextmanager
async def working(
    store: SessionStore, roles: dict[str, str], **options: Any
) -> AsyncIterator[Worker]:
    """Yield a started worker."""
    worker = Worker(store, roles, **options)
    await worker.sessions.start()
    try:
        yield worker
    finally:
        await worker.sessions.close()


async def test_a_changed_role_takes_effect_on_every_worker_with_nobody_signed_out(
    make_store: Callable[[], SessionStore],
) -> None:
    """K9: tokens of before are refused everywhere, one refresh brings the new role, others stay."""
    user, other = f"u{secrets.token_hex(4)}", f"v{secrets.token_hex(4)}"
    roles = {user: "clerk", other: "clerk"}
    async with working(make_store(), roles) as here, working(make_store(), roles) as there:
        first, tablet = await here.sign_in(user), await here.sign_in(user)
        bystander = await here.sign_in(other)
        assert there.role(first.access_token) == "clerk"
        roles[user] = "admin"
        await here.sessions.refresh_claims(user)
        assert here.is_stale(first.access_token)
        await there.until_stale(first.access_token)
        assert there.is_stale(tablet.access_token)
        assert there.role(bystander.access_token) == "clerk"
        for worker in (here, there):
            fresh = await worker.sessions.refresh(
                first.refresh_token if worker is here else tablet.refresh_token
            )
            assert here.role(fresh.access_token) == there.role(fresh.access_token) == "admin"
        signed_in = await there.sign_in(user)
        assert here.role(signed_in.access_token) == "admin"
        assert len(await here.sessions.sessions(user)) == 3
        (told,) = [event for event in here.events if isinstance(event, ClaimsOutdated)]
        assert told.user == user


async def test_a_worker_that_starts_later_knows_the_mark(
    make_store: Callable[[], SessionStore],
) -> None:
    """K9: the mark is stored: a new worker refuses tokens of before from its first decision."""
    user = f"u{secrets.token_hex(4)}"
    roles = {user: "clerk"}
    async with working(make_store(), roles) as here:
        old = await here.sign_in(user)
        await here.sessions.refresh_claims(user)
        new = await here.sessions.refresh(old.refresh_token)
        async with working(make_store(), roles) as later:
            assert later.is_stale(old.access_token)
            assert later.role(new.access_token) == "clerk"


async def test_a_refresh_at_a_worker_that_lacks_the_mark_is_good_at_once(
    make_store: Callable[[], SessionStore],
) -> None:
    """K9: the instant in the token is the store's, whichever worker makes it."""
    user = f"u{secrets.token_hex(4)}"
    roles = {user: "clerk"}
    async with working(make_store(), roles) as here:
        deaf = Worker(make_store(), roles)  # it follows no feed
        await deaf.sessions.store.start()
        deaf.sessions._once._is_done = True
        deaf.sessions._once._loop = asyncio.get_running_loop()
        first = await here.sign_in(user)
        roles[user] = "admin"
        await here.sessions.refresh_claims(user)
        try:
            fresh = await deaf.sessions.refresh(first.refresh_token)
        finally:
            await deaf.sessions.store.close()
        assert deaf.revocations.latest_mark == 0
        assert here.role(fresh.access_token) == "admin"


@pytest.fixture
async def worker(clock: FakeClock) -> AsyncIterator[Worker]:
    """Return a worker whose clock stands still."""
    async with working(MemoryStore(clock=clock), {"alice": "clerk"}, clock=clock) as made:
        yield made


async def test_tokens_of_the_same_instant_are_told_apart(worker: Worker) -> None:
    """With a clock that stands still: what was made before is refused, what came after is not."""
    for role in ("editor", "admin", "clerk"):
        before = await worker.sign_in("alice")
        refreshed = await worker.sessions.refresh(before.refresh_token)
        worker.roles["alice"] = role
        await worker.sessions.refresh_claims("alice")
        assert worker.is_stale(before.access_token)
        assert worker.is_stale(refreshed.access_token)
        after = await worker.sessions.refresh(refreshed.refresh_token)
        assert worker.role(after.access_token) == role
        assert worker.role((await worker.sign_in("alice")).access_token) == role


async def test_a_token_of_the_same_second_before_or_after(worker: Worker, clock: FakeClock) -> None:
    """K9: whole seconds of ``iat`` decide nothing: 0.1 s before is refused, 0.1 s after is good."""
    clock.now = math.floor(clock.now) + 0.4
    first = await worker.sign_in("alice")
    clock.move(0.1)
    worker.roles["alice"] = "admin"
    await worker.sessions.refresh_claims("alice")
    clock.move(0.1)
    second = await worker.sessions.refresh(first.refresh_token)
    one, other = (json.loads(decode(pair.access_token.split(".")[1])) for pair in (first, second))
    assert int(one["iat"]) >= int(other["iat"])
    assert worker.is_stale(first.access_token)
    assert worker.role(second.access_token) == "admin"


async def test_a_store_whose_clock_was_set_back_makes_no_loop(clock: FakeClock) -> None:
    """A mark may lie in the future of the store's clock: what follows it is as of it."""
    of_store = FakeClock(clock.now)
    store = MemoryStore(clock=of_store)
    async with working(store, {"alice": "clerk"}, clock=clock) as worker:
        first = await worker.sign_in("alice")
        await worker.sessions.refresh_claims("alice")
        of_store.move(-100)
        second = await worker.sessions.refresh(first.refresh_token)
        assert worker.role(second.access_token) == "clerk"
        worker.roles["alice"] = "admin"
        await worker.sessions.refresh_claims("alice")
        assert worker.is_stale(second.access_token)
        third = await worker.sessions.refresh(second.refresh_token)
        assert worker.role(third.access_token) == "admin"


async def test_what_began_before_the_mark_is_not_shared_after_it(clock: FakeClock) -> None:
    """A refresh that still reads the old role gives no token to one that came for the new one."""
    roles, gate, asked = {"alice": "clerk"}, asyncio.Event(), asyncio.Event()

    async def authorize(row: Any) -> dict[str, str]:
        role = roles[row.subject]
        if role == "clerk":
            asked.set()
            await gate.wait()
        return {"role": role}

    store = MemoryStore(clock=clock)
    async with working(store, roles, clock=clock, authorize=authorize) as worker:
        first = await worker.sign_in("alice")
        slow = asyncio.create_task(worker.sessions.refresh(first.refresh_token))
        await asked.wait()
        roles["alice"] = "admin"
        await worker.sessions.refresh_claims("alice")
        quick = await worker.sessions.refresh(first.refresh_token)
        assert worker.role(quick.access_token) == "admin"
        gate.set()
        assert worker.is_stale((await slow).access_token)


async def test_a_sign_in_that_read_the_role_before_is_refused_after(clock: FakeClock) -> None:
    """The route notes the instant before `authenticate`, which may take long."""
    roles, gate, asked = {"alice": "clerk"}, asyncio.Event(), asyncio.Event()

    async def authenticate(form: Any) -> Person:
        role = roles["alice"]
        asked.set()
        await gate.wait()
        return Person(subject="alice", claims={"role": role})

    async with working(MemoryStore(clock=clock), roles, clock=clock) as worker:
        routes = SessionRoutes(App(), worker.sessions, worker.verifier, authenticate, clock=clock)
        app = JWTMiddleware(routes, worker.verifier, public=routes.public, clock=clock, hooks=[])
        body = b'{"username":"alice","password":"x"}'
        scope = http("/login", method="POST", headers=[(b"content-type", b"application/json")])
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            messages.append(message)

        login = asyncio.create_task(app(scope, receive, send))
        await asked.wait()
        roles["alice"] = "admin"
        await worker.sessions.refresh_claims("alice")
        gate.set()
        await login
        answer = json.loads(messages[1]["body"])
        assert worker.is_stale(answer["access_token"])
        fresh = await worker.sessions.refresh(answer["refresh_token"])
        assert worker.role(fresh.access_token) == "admin"


async def test_the_refusal_is_401_invalid_token_also_where_a_token_is_optional(
    worker: Worker, clock: FakeClock
) -> None:
    """Clients refresh on that answer; a public path does not look at the token."""
    pair = await worker.sign_in("alice")
    await worker.sessions.refresh_claims("alice")
    app = JWTMiddleware(
        App(), worker.verifier, optional=["/any"], public=["/open"], clock=clock, hooks=[]
    )
    for path in ("/me", "/any"):
        answer = await call(app, http(path, token=pair.access_token))
        assert answer.status == 401
        assert 'error="invalid_token"' in str(answer.header("www-authenticate"))
    assert (await call(app, http("/open", token=pair.access_token))).status == 200


async def test_an_authorize_that_raises_spends_nothing(clock: FakeClock) -> None:
    """The refresh fails and can be repeated; the token with the old role stays refused."""
    roles = {"alice": "clerk"}
    faults = [RuntimeError("the database is away")]

    async def authorize(row: Any) -> dict[str, str]:
        if faults:
            raise faults.pop()
        return {"role": roles[row.subject]}

    store = MemoryStore(clock=clock)
    async with working(store, roles, clock=clock, authorize=authorize) as worker:
        pair = await worker.sign_in("alice")
        roles["alice"] = "admin"
        await worker.sessions.refresh_claims("alice")
        with pytest.raises(Exception, match="authorize"):
            await worker.sessions.refresh(pair.refresh_token)
        assert worker.is_stale(pair.access_token)
        fresh = await worker.sessions.refresh(pair.refresh_token)
        assert worker.role(fresh.access_token) == "admin"


async def test_a_mark_is_forgotten_once_no_token_can_be_older() -> None:
    """The store purges it, and the table sweeps it, after the longest lifetime."""
    time = FakeTime()
    store = MemoryStore(clock=time.wall)
    known = Revocations(store, longest_lifetime=900, clock=time.wall, monotonic=time.monotonic)
    await known.refresh_claims("alice")
    assert known.state().claims == 1
    assert await store.purge(time.wall() + 1199, 10) == 0
    assert await store.purge(time.wall() + 1201, 10) == 1
    for moved in (1190, 30):
        time.move(moved)
        for _ in range(128):
            known._known.sweep(time.wall(), time.now)
        assert known.state().claims == (1 if moved == 1190 else 0)


async def test_while_the_feed_is_lost_too_long_the_answer_is_unknown(clock: FakeClock) -> None:
    """As with a revocation: 503 rather than old claims."""
    moments = [1000.0]
    store = MemoryStore(clock=clock)
    known = Revocations(store, clock=clock, monotonic=lambda: moments[0])
    async with working(store, {"alice": "a"}, clock=clock, revocations=known) as worker:
        pair = await worker.sign_in("alice")
        assert not worker.is_stale(pair.access_token)
        await known.close()
        moments[0] += 11
        with pytest.raises(Unavailable):
            worker.verifier.verify(pair.access_token)


async def test_wrong_calls_are_named(worker: Worker, clock: FakeClock) -> None:
    """No subject that means all of them, no call that could change nothing."""
    for call_ in (
        worker.sessions.refresh_claims,
        worker.sessions.password_changed,
        worker.sessions.account_disabled,
    ):
        for subject in ("", "a\0b", "x" * 1025, 7, None):
            with pytest.raises(InvalidSubject):
                await call_(subject)
    store = MemoryStore(clock=clock)
    async with working(store, {}, clock=clock, authorize=None) as other:
        with pytest.raises(ConfigurationError, match="authorize"):
            await other.sessions.refresh_claims("alice")
    with pytest.raises(ConfigurationError, match="longest_lifetime"):
        await Revocations(MemoryStore()).refresh_claims("alice")
    with pytest.raises(ConfigurationError, match="claims_at"):
        await worker.sessions.sign_in("alice", claims={"claims_at": 9e9})


async def test_a_password_changed_ends_all_but_the_kept_session(
    make_store: Callable[[], SessionStore],
) -> None:
    """On every store, with the cause in the record and in the event."""
    user = f"u{secrets.token_hex(4)}"
    async with working(make_store(), {user: "clerk"}) as worker:
        kept, lost = await worker.sign_in(user), await worker.sign_in(user)
        assert await worker.sessions.password_changed(user, keep=kept.session_id) == [
            lost.session_id
        ]
        assert worker.role(kept.access_token) == "clerk"
        with pytest.raises(TokenRevoked):
            worker.verifier.verify(lost.access_token)
        row = await worker.sessions.find(lost.session_id)
        assert row is not None
        assert row.cause == "password"
        (told,) = [event for event in worker.events if isinstance(event, SessionRevoked)]
        assert (told.session, told.cause) == (lost.session_id, "password")


async def test_a_disabled_account_has_no_session_left(
    make_store: Callable[[], SessionStore],
) -> None:
    """All end; what a later sign-in may do is decided by the application."""
    user = f"u{secrets.token_hex(4)}"
    async with working(make_store(), {user: "clerk"}) as worker:
        pairs = [await worker.sign_in(user) for _ in range(2)]
        ended = await worker.sessions.account_disabled(user)
        assert sorted(ended) == sorted(pair.session_id for pair in pairs)
        assert await worker.sessions.sessions(user) == []
        for pair in pairs:
            with pytest.raises(TokenRevoked):
                worker.verifier.verify(pair.access_token)
        told = [event for event in worker.events if isinstance(event, SessionRevoked)]
        assert {event.cause for event in told} == {"disabled"}


@given(store_now=INSTANTS, latest=INSTANTS, read=INSTANTS)
def test_the_mark_is_after_everything_before_and_not_after_what_follows(
    store_now: float, latest: float, read: float
) -> None:
    """A stamp is max(store, latest mark known): before the mark it is stale, with it it is not."""
    mark = next_mark(store_now, latest)
    assert mark > store_now
    assert mark > latest
    assert is_stale(max(store_now, latest), mark)
    assert not is_stale(max(read, mark), mark)
    assert is_stale(min(read, store_now), mark)


@pytest.mark.parametrize(
    "payload",
    [b"{}", b'{"claims_at":"9e9"}', b'{"claims_at":true}', b'{"claims_at":null}', b"[]", b"x"],
)
def test_a_payload_without_a_number_is_older_than_every_mark(payload: bytes) -> None:
    """A claim of another type never counts as new, and never raises."""
    assert claims_at_of(payload) == 0.0
    assert is_stale(claims_at_of(payload), next_mark(0.0, 0.0))


def test_workers_of_an_earlier_release_read_the_entry_and_refuse_nothing() -> None:
    """The kind is one they know, and the id is that of no token."""
    entry = claims_changed("alice", 5.5)
    assert (entry.kind, entry.value, entry.kept_session, entry.at) == ("token", "", "alice", 5.5)
