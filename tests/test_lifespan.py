"""Services run from the start-up to the shutdown of the wrapped application, or from a request."""

import asyncio
import contextlib
import gc
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from asgi import App, call, http
from free_ports import free_port
from linqi import JWTMiddleware, Key, LoggingHook, Signer, Verifier
from linqi._start_once import StartOnce
from linqi.errors import Unavailable
from linqi.events import Event, ServicesNotStarted
from linqi.sessions.dual import Sessions
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from outside import Issuer, verifier_of
from tokens import AUDIENCE, ISSUER
from tokens import verifier_of as verifier_of_key

KEY = Key.generate("ES256")
EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


class Recorder:
    """A service that records its calls, and fails where a test asks for it."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    async def start(self) -> None:
        """Begin."""
        self.log.append(f"{self.name} starts")
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """End."""
        self.log.append(f"{self.name} closes")


def lifespan_app(log: list[str]) -> Any:
    """Return an application that answers start-up and shutdown."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for name in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{name}"
            log.append(f"app {name}")
            await send({"type": f"lifespan.{name}.complete"})

    return app


async def run(app: Any, verifier: Verifier, *services: Any) -> list[dict[str, Any]]:
    """Run one lifespan; return what the server received."""
    said: list[dict[str, Any]] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        said.append(message)

    guarded = JWTMiddleware(app, verifier, services=services, hooks=[])
    with contextlib.suppress(Unavailable):  # raised after a failed start was told
        await guarded({"type": "lifespan"}, receive, send)
    return said


async def test_services_start_before_the_application_and_close_after_it() -> None:
    """The first request finds them there, the last one too."""
    log: list[str] = []
    said = await run(lifespan_app(log), verifier_of_key(KEY), Recorder("a", log))
    assert log == ["a starts", "app startup", "app shutdown", "a closes"]
    assert [message["type"] for message in said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_services_of_an_application_without_lifespan_start_and_close() -> None:
    """Django and Channels raise on the scope: the start-up and the shutdown are answered here."""
    log: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(f"only HTTP is handled, not {scope['type']}")

    said = await run(app, verifier_of_key(KEY), Recorder("a", log))
    assert log == ["a starts", "a closes"]
    assert [message["type"] for message in said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_an_application_that_fails_in_its_start_up_is_not_answered_for() -> None:
    """It has read the start-up: its exception reaches the server as it is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        await run(app, verifier_of_key(KEY))


async def test_a_service_that_cannot_start_fails_the_start_up() -> None:
    """The server receives the reason, the application is not called, the others are closed."""
    log: list[str] = []
    broken = Recorder("b", log, OSError("no disk"))
    said = await run(lifespan_app(log), verifier_of_key(KEY), Recorder("a", log), broken)
    assert said == [{"type": "lifespan.startup.failed", "message": "OSError: no disk"}]
    assert "app startup" not in log
    assert "a closes" in log


async def test_a_fault_of_several_services_is_said_once() -> None:
    """Sessions and throttle share a server: its fault is not repeated."""
    services = [Recorder(name, [], OSError("no disk")) for name in "ab"]
    said = await run(lifespan_app([]), verifier_of_key(KEY), *services)
    assert said == [{"type": "lifespan.startup.failed", "message": "OSError: no disk"}]


async def test_a_service_that_does_not_close_is_logged_and_hides_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others are closed, and the server receives the reason of the failed start."""

    class Stuck(Recorder):
        async def close(self) -> None:
            raise RuntimeError("close")

    log: list[str] = []
    said = await run(lifespan_app(log), verifier_of_key(KEY), Stuck("s", log), Recorder("a", log))
    assert said[-1]["type"] == "lifespan.shutdown.complete"
    assert log[-1] == "a closes"
    assert "RuntimeError: close" in caplog.text
    caplog.clear()
    broken = Stuck("s", log, OSError("no disk"))
    said = await run(lifespan_app(log), verifier_of_key(KEY), broken, Recorder("a", log))
    assert said == [{"type": "lifespan.startup.failed", "message": "OSError: no disk"}]
    assert log[-1] == "a closes"
    assert "Traceback" in caplog.text
    assert "OSError: no disk" in caplog.text


async def test_sessions_run_until_the_last_middleware_closes_them() -> None:
    """The shutdown of one middleware does not cut the revocations of another."""
    sessions = dual(MemoryStore(), 10)
    await sessions.start()
    await sessions.start()
    await sessions.close()
    assert sessions.revocations._follower.is_running
    await sessions.close()
    assert not sessions.revocations._follower.is_running


async def test_remote_keys_are_fetched_before_the_first_request() -> None:
    """The middleware finds them through its verifier: nothing else is to be wired."""
    async with Issuer() as issuer:
        keys = issuer.keys()
        log: list[str] = []
        await run(lifespan_app(log), verifier_of(keys))
        assert issuer.counts() == (1, 1)
        assert keys.state().is_ready


async def test_required_keys_that_are_not_there_fail_the_start_up() -> None:
    """The message names the issuer and what it answered."""
    async with Issuer() as issuer:
        issuer.fault("error")
        (said,) = await run(lifespan_app([]), verifier_of(issuer.keys(required=True)))
        assert said["type"] == "lifespan.startup.failed"
        assert issuer.url in said["message"]
        assert "500" in said["message"]


async def test_without_lifespan_the_first_request_fetches() -> None:
    """Servers that speak no lifespan, and test clients, work all the same."""
    async with Issuer() as issuer:
        app = JWTMiddleware(App(), verifier_of(issuer.keys()), hooks=[LoggingHook()])
        token = issuer.token()
        answers = await asyncio.gather(*[call(app, http(token=token)) for _ in range(20)])
        assert {answer.status for answer in answers} == {200}
        assert issuer.counts() == (1, 1)


async def test_a_dead_issuer_at_a_cold_start_is_503_with_retry_after() -> None:
    """J2, I5: no 500; the client learns when to come again."""
    async with Issuer() as issuer:
        token = issuer.token()
        issuer.fault("error")
        app = JWTMiddleware(App(), verifier_of(issuer.keys()), hooks=[])
        answer = await call(app, http(token=token))
        assert answer.status == 503
        assert 1 <= int(answer.header("retry-after") or 0) <= 33


def started(*services: Any, hooks: Any = (), **options: Any) -> tuple[Any, str]:
    """Return a middleware that no lifespan reaches, and a token for it."""
    verifier = verifier_of_key(KEY)
    signer = Signer(KEY, issuer=ISSUER, audience=AUDIENCE)
    token = signer.sign({"sub": "alice", "exp": 4_000_000_000})
    return JWTMiddleware(App(), verifier, services=services, hooks=hooks, **options), token


async def test_without_lifespan_the_first_request_starts_the_services_once() -> None:
    """All that come meanwhile wait for one start; those without a token do not wait at all."""
    log: list[str] = []
    may_start = asyncio.Event()

    class Slow(Recorder):
        async def start(self) -> None:
            await super().start()
            await may_start.wait()

    app, token = started(Slow("a", log), public=["/open"], optional=["/either"])
    for scope in (http("/open", token=token), http("/either")):
        assert (await call(app, scope)).status == 200
    assert (await call(app, http())).status == 401
    assert log == []
    waiting = [asyncio.create_task(call(app, http(token=token))) for _ in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()  # one that leaves does not stop the start
    may_start.set()
    answers = await asyncio.gather(*waiting[1:])
    assert {answer.status for answer in answers} == {200}
    assert log == ["a starts"]


async def test_a_lifespan_that_comes_later_finds_them_started() -> None:
    """Nothing is started twice, and the shutdown closes them."""
    log: list[str] = []
    app, token = started(Recorder("a", log))
    assert (await call(app, http(token=token))).status == 200
    app.app = lifespan_app(log)
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        log.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert log.count("a starts") == 1
    assert log[-2:] == ["a closes", "lifespan.shutdown.complete"]


async def test_a_failed_start_is_tried_again_after_a_pause_not_per_request() -> None:
    """I5: requests meanwhile get 503 with Retry-After; hooks receive one event per attempt."""
    log: list[str] = []
    heard: list[Event] = []
    service = Recorder("b", log, OSError("no disk"))
    app, token = started(Recorder("a", log), service, hooks=[heard.append])
    now = 0.0
    app._services._once._monotonic = lambda: now
    for _ in range(50):
        answer = await call(app, http(token=token))
        assert answer.status == 503
        assert answer.header("retry-after") == "1"
    assert log.count("b starts") == 1
    failed = [event for event in heard if isinstance(event, ServicesNotStarted)]
    assert [(event.detail, event.retry_in) for event in failed] == [("OSError: no disk", 0.5)]
    now = 0.6
    assert (await call(app, http(token=token))).status == 503
    assert log.count("b starts") == 2
    service.error = None
    now = 1.0
    assert (await call(app, http(token=token))).status == 503  # the pause has doubled
    now = 1.7
    assert (await call(app, http(token=token))).status == 200


def test_on_another_event_loop_they_start_anew() -> None:
    """A test client that makes a loop per request finds running services in each."""
    log: list[str] = []
    app, token = started(Recorder("a", log))
    for _ in range(3):
        assert asyncio.run(call(app, http(token=token))).status == 200
    assert log == ["a starts"] * 3


@pytest.mark.parametrize("begins", [1, 5])
async def test_a_start_shares_one_run(begins: int) -> None:
    """However many ask, one run; after a reset, one more."""
    runs = 0

    async def begin() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)

    once = StartOnce(begin)
    await asyncio.gather(*[once.ensure() for _ in range(begins)])
    assert (runs, once.is_done) == (1, True)
    once.reset()
    assert not once.is_done
    await once.start()
    assert runs == 2


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the sockets of loops that ended
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sessions_serve_every_event_loop(make_store: Callable[[], SessionStore]) -> None:
    """Stores, feed and purge of a loop that ended are left behind, on each kind of store."""
    sessions = dual(make_store(), stale_after=10)

    async def use(token: str) -> str:
        pair = await sessions.refresh(token) if token else await sessions.sign_in("alice")
        assert sessions.revocations.state().is_trusted
        return pair.refresh_token

    token = ""
    for _ in range(3):
        token = asyncio.run(use(token))
    asyncio.run(sessions.close())
    gc.collect()  # here, where their warnings are expected


def test_a_feed_of_a_dead_loop_is_not_trusted() -> None:
    """Even where a silent store is served by for ever: nothing can arrive there any more."""
    sessions = dual(MemoryStore(), stale_after=math.inf)
    loop = asyncio.new_event_loop()
    pair = loop.run_until_complete(sessions.sign_in("alice"))
    verifier = Verifier.trusting(sessions.signer, is_revoked=sessions.revocations.is_revoked)
    assert verifier.verify(pair.access_token).subject == "alice"
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with pytest.raises(Unavailable, match="not known"):
        verifier.verify(pair.access_token)
    asyncio.run(sessions.start())


def dual(store: SessionStore, stale_after: float) -> Sessions:
    """Return a service of sessions that nothing started."""
    return Sessions(
        store,
        Signer(KEY, issuer="https://shop.example", audience="shop"),
        b"0123456789abcdef0123456789abcdeF",
        revocations=Revocations(store, stale_after=stale_after),
        hooks=[],
    )


SERVERS = {
    "uvicorn": ["uvicorn", "--lifespan", "off", "--port", "{port}"],
    "daphne": ["daphne", "-b", "127.0.0.1", "-p", "{port}"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_servers_that_send_no_lifespan_serve_dual_tokens(server: str, tmp_path: Path) -> None:
    """Sign in, call, refresh and sign out: the first request starts what is needed."""
    port = str(free_port())
    command = [part.format(port=port) for part in SERVERS[server]]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "dual_tokens:app"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as api:
            first = _when_up(api, {"username": "alice", "password": "correct horse"})
            second = api.post("/refresh", json={"refresh_token": first["refresh_token"]}).json()
            bearer = {"authorization": f"Bearer {second['access_token']}"}
            assert api.get("/", headers=bearer).text == "alice"
            assert api.post("/logout-all", headers=bearer).status_code == 204
            assert api.get("/", headers=bearer).status_code == 401
    finally:
        process.terminate()
        process.wait(60)


def _when_up(api: httpx2.Client, form: dict[str, str]) -> dict[str, str]:
    """Return the answer to a login, once the server answers."""
    for _ in range(1200):
        try:
            answer = api.post("/login", json=form)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            tokens: dict[str, str] = answer.raise_for_status().json()
            return tokens
    raise AssertionError("the server did not start")


async def test_a_service_that_never_starts_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests do not wait without limit: they get 503, and hooks receive the reason."""
    monkeypatch.setattr("linqi.asgi.lifespan._START_SECONDS", 0.01)
    heard: list[Event] = []

    class Hanging(Recorder):
        async def start(self) -> None:
            await asyncio.Event().wait()

    app, token = started(Hanging("h", []), hooks=[heard.append])
    assert (await call(app, http(token=token))).status == 503
    (event,) = [event for event in heard if isinstance(event, ServicesNotStarted)]
    assert event.detail == "Hanging.start() took more than 0.01 s"
