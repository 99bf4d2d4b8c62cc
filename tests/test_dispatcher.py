"""Hooks that raise change no request, no rotation and no background task."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    KeySet,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.events import Event, RenewalNotDue, RevocationFailed
from linqi.events.dispatcher import Dispatcher
from linqi.instrumentation.logging import LoggingHook
from linqi.jwks.key_file import KeyFile
from linqi.sessions.dual import Sessions
from linqi.sessions.revocation import Revocations
from linqi.stores.memory import MemoryStore
from waiting import until

RAISED = [
    ValueError("hook"),
    KeyError("hook"),
    RecursionError("hook"),
    asyncio.CancelledError(),
    TimeoutError(),
    StopIteration(),
    StopAsyncIteration(),
    AssertionError(),
    ExceptionGroup("hooks", [OSError()]),
]


class Raising:
    """A hook that raises on every event, and in ``is_verbose()``."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.received: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Raise."""
        self.received.append(event)
        raise self.error

    def is_verbose(self) -> bool:
        """Raise too."""
        raise self.error


@given(st.lists(st.sampled_from(RAISED), max_size=4))
def test_every_hook_receives_every_event(errors: list[BaseException]) -> None:
    """Hooks that raise are called between the others and do not affect them."""
    received: list[str] = []
    hooks: list[Any] = [received.append]
    for error in errors:
        hooks += [Raising(error), lambda event, box=received: box.append(event)]
    dispatcher: Dispatcher[Any] = Dispatcher(hooks)
    dispatcher("event")
    dispatcher.if_verbose(lambda: "verbose")
    assert received == ["event"] * (len(errors) + 1)


def test_a_hook_is_added_once() -> None:
    """A hook that is passed to several parts receives each event once."""
    received: list[str] = []
    dispatcher: Dispatcher[Any] = Dispatcher([received.append])
    dispatcher.add(received.append, received.append)
    dispatcher("event")
    assert received == ["event"]
    logging_twice: Dispatcher[Event] = Dispatcher([LoggingHook(), LoggingHook()])
    assert len(logging_twice) == 1
    assert len(Dispatcher[Event]([LoggingHook(), LoggingHook("other")])) == 2


def test_a_hook_that_returns_a_coroutine_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A plain function around a coroutine function cannot be refused: it is named in the log."""

    async def asynchronous(event: str) -> None:
        raise AssertionError

    received: list[str] = []
    dispatcher: Dispatcher[str] = Dispatcher([lambda event: asynchronous(event), received.append])
    dispatcher("event")
    assert received == ["event"]
    assert "returned a coroutine on str, which nothing awaits" in caplog.text


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    """A coroutine function would be called and never awaited."""

    async def asynchronous(event: Event) -> None:
        raise AssertionError

    class Asynchronous:
        async def __call__(self, event: Event) -> None:
            raise AssertionError

    with pytest.raises(ConfigurationError) as caught:
        Dispatcher([asynchronous, Asynchronous(), 7])  # type: ignore[list-item]
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_requests_do_not_change_whatever_hooks_raise(
    error: BaseException, clock: FakeClock
) -> None:
    """Refused, cached and near-expiry requests, and failed checks, are answered as usual."""
    hook = Raising(error)
    signer = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a", clock=clock)
    renewal = SlidingRenewal(signer, clock=clock, on_issue=hook)  # type: ignore[arg-type]
    is_broken = False

    def is_revoked(verified: object) -> bool:
        if is_broken:
            raise OSError
        return False

    verifier = Verifier.trusting(
        signer, clock=clock, is_revoked=is_revoked, on_revocation_error="open"
    )
    app = JWTMiddleware(App(), verifier, renewal=renewal, hooks=[hook], clock=clock)
    token = renewal.start("alice").token
    assert (await call(app, http())).status == 401
    assert (await call(app, http(token=token))).status == 200
    clock.move(verifier.verify(token).expires_at - clock.now - 1)
    assert (await call(app, http(token=token))).successor
    is_broken = True
    assert (await call(app, http(token=token))).status == 200
    assert any(isinstance(event, RevocationFailed) for event in hook.received)
    assert not any(isinstance(event, RenewalNotDue) for event in hook.received)


async def test_the_verifiers_events_reach_the_middlewares_hooks_once(clock: FakeClock) -> None:
    """Passing a hook to both is not necessary, and has no effect."""
    signer = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a", clock=clock)
    received: list[Event] = []

    def is_revoked(verified: object) -> bool:
        raise OSError

    for hooks in ([], [received.append]):
        received.clear()
        verifier = Verifier.trusting(signer, clock=clock, is_revoked=is_revoked, hooks=hooks)
        app = JWTMiddleware(App(), verifier, hooks=[received.append], clock=clock)
        token = SlidingRenewal(signer, clock=clock).start("alice").token
        assert (await call(app, http(token=token))).status == 503
        assert [type(event) for event in received].count(RevocationFailed) == 1


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_rotations_and_the_feed_do_not_change_whatever_hooks_raise(
    error: BaseException, clock: FakeClock
) -> None:
    """The session rotates once, the response is sent, and a sign-out reaches the feed."""
    hook = Raising(error)
    store = MemoryStore()
    signer = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a", clock=clock)
    revocations = Revocations(store, hooks=[hook], clock=clock)
    sessions = Sessions(
        store,
        signer,
        b"0123456789abcdef0123456789abcdeF",
        revocations=revocations,
        on_issue=hook,  # type: ignore[arg-type]
        hooks=[hook],
        clock=clock,
    )
    await sessions.start()
    first = await sessions.sign_in("alice")
    second = await sessions.refresh(first.refresh_token)
    assert (second.outcome, second.sequence) == ("rotated", 1)
    other = Revocations(store, hooks=[hook], clock=clock)
    await other.start()
    await sessions.revoke(second.session_id)
    for _ in range(10):
        await asyncio.sleep(0)
    assert other.knows(second.session_id)
    assert other.state().is_trusted
    await other.close()
    await sessions.close()


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_a_withdrawn_key_is_withdrawn_whatever_hooks_raise(
    error: BaseException, tmp_path: Path
) -> None:
    """The follower of a key file runs on: first a fault, then a file without the old key."""
    path = tmp_path / "keys.json"
    old, new = Key.generate("ES256"), Key.generate("ES256")
    KeySet([old, new]).save(path)
    looked = asyncio.Event()

    async def sleep(seconds: float) -> None:
        looked.set()
        await asyncio.sleep(0.001)

    keys = KeyFile(path, hooks=[Raising(error)], sleep=sleep)
    await keys.start()
    path.write_text("{}")
    await until(lambda: bool(keys._last_fault))
    path.write_text(json.dumps({"keys": [new.private_jwk()]}))
    path.chmod(0o600)
    await until(lambda: {key.kid for key in keys.keys.keys} == {new.kid})
    await keys.close()
