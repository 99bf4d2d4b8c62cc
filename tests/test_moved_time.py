"""Time that tests move: every clock of the library at once, and nothing else."""

import ast
import asyncio
import functools
import gc
import importlib
import inspect
import json
import secrets
import threading
import time
import tomllib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import linqi
from linqi import (
    JWTMiddleware,
    Key,
    RemoteKeys,
    RenewalSettings,
    Sessions,
    SessionSettings,
    Signer,
    SlidingRenewal,
    SQLiteStore,
    ValkeyStore,
    VerifiedCache,
    Verifier,
)
from linqi.config import build, read, wrap
from linqi.errors import ConfigurationError, RefreshRefused, TokenExpired
from linqi.testing import CannotTest, Clock, ClockNotMoved, FakeIssuer, ProcessClock, moved_time
from linqi.testing.adoption import OUTSIDE
from linqi.testing.process_clock import install

ROOT = Path(linqi.__file__).parent
REAL = {"time.time": time.time, "time.monotonic": time.monotonic, "asyncio.sleep": asyncio.sleep}
KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")
SIGNER = Signer(KEY, issuer="https://shop.example", audience="shop")


def defaults() -> Iterator[tuple[str, str, str, Any]]:
    """Yield each parameter of the package that a clock is the default of, and that clock."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        for owner, node in functions(ast.parse(path.read_text()), ""):
            given = node.args
            named = [*given.posonlyargs, *given.args]
            pairs = [*zip(named[::-1], given.defaults[::-1], strict=False)]
            pairs += [(a, d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d]
            for argument, default in pairs:
                if ast.unparse(default) in REAL and module != "linqi.testing.clock":
                    yield module, owner, argument.arg, REAL[ast.unparse(default)]


def functions(tree: ast.AST, owner: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions of a module with their qualified names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{owner}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{owner}{node.name}.")


PARAMETERS = [*defaults()]


def test_every_clock_that_is_a_default_is_moved(linqi_clock: ProcessClock) -> None:
    """Each ``clock``, ``monotonic`` and ``sleep``, but for those of which is said why not."""
    assert len(PARAMETERS) > 45
    for module in sorted({module for module, *_ in PARAMETERS}):
        importlib.import_module(module)
    linqi_clock.advance(0)
    moved = vars(linqi_clock)["_clock"]
    found = {time.time: moved.__call__, time.monotonic: moved.monotonic, asyncio.sleep: moved.sleep}
    for module, owner, name, real in PARAMETERS:
        function = functools.reduce(getattr, owner.split("."), importlib.import_module(module))
        now = inspect.signature(function).parameters[name].default
        is_outside = f"{module}.{owner.partition('.')[0]}" in OUTSIDE and real is time.monotonic
        assert now == (real if is_outside else found[real]), f"{module}.{owner}({name})"


def test_what_counts_real_time_is_there() -> None:
    """The list of exceptions names classes and functions with a monotonic clock, and no others."""
    known = {f"{module}.{owner.partition('.')[0]}": real for module, owner, _, real in PARAMETERS}
    assert OUTSIDE.keys() <= known.keys()


SETTINGS = """
[verify]
issuer = "https://shop.example"
audience = "shop"
off_loop = ["ES256"]
[keys]
env = "KEYS"
[store]
url = "memory:"
secrets_env = "SECRET"
[renewal]
sliding = true
[cookies]
origins = ["https://shop.example"]
[http]
accept = ["header", "cookie", "subprotocol"]
[[issuers]]
issuer = "https://login.example"
audience = ["shop"]
algorithms = ["ES256"]
"""


def whole_app() -> JWTMiddleware:
    """Return an application with everything that a file can configure."""
    environ = {"SECRET": secrets.token_urlsafe(32), "KEYS": json.dumps(KEY.private_jwk())}
    config = read(tomllib.loads(SETTINGS), environ={})
    components = build(config, hooks=[], environ=environ)
    return wrap(Starlette(), components, authenticate=lambda form: None)


WHOLE = whole_app()
"""Made at import, before the clock."""


def held_clocks(start: object) -> Iterator[tuple[str, str]]:
    """Yield who in the graph of `start` refers to a real clock: its class, and the clock."""
    seen, waiting = {id(start)}, deque([(start, "")])
    while waiting:
        one, owner = waiting.popleft()
        if type(one).__module__ != "builtins":
            owner = f"{type(one).__module__}.{type(one).__qualname__}"
        if type(one) is FunctionType:
            owner = f"{one.__module__}.{one.__qualname__}"
            referred: list[Any] = [one.__closure__, one.__defaults__, one.__kwdefaults__]
        else:
            referred = gc.get_referents(one)
        for other in referred:
            if any(other is real for real in REAL.values()):
                yield owner, other.__name__
            if id(other) in seen or isinstance(other, type | ModuleType | BuiltinFunctionType):
                continue
            if type(other).__module__ == "linqi.testing.clock":
                continue
            seen.add(id(other))
            waiting.append((other, owner))


def test_an_application_that_was_made_before_holds_no_real_clock(
    linqi_clock: ProcessClock,
) -> None:
    """Nothing that the middleware refers to, however deep, reads another clock."""
    left = {one for one in held_clocks(WHOLE) if one[0].startswith(("linqi", "cachetools"))}
    assert left == {("linqi.sessions.revocation.Revocations", "monotonic")}


def test_the_search_for_real_clocks_can_fail() -> None:
    """Without a moved time the same application is full of them."""
    with moved_time() as clock:
        verifier = Verifier.trusting(SIGNER)
        assert [*held_clocks(verifier)] == []
        vars(clock)["_clock"].return_to_the_time()
    verifier.clock = time.time
    verifier.cache._monotonic = time.monotonic  # type: ignore[union-attr]
    assert {what for _, what in held_clocks(verifier)} == {"time", "monotonic"}


def test_the_clock_goes_on_and_comes_back(linqi_clock: ProcessClock) -> None:
    """It runs with the time of the process, whose own clocks stay as they are."""
    wall, moment = time.time(), time.monotonic()
    linqi_clock.advance(10_000)
    assert 0 <= linqi_clock() - wall - 10_000 < 60
    assert linqi_clock.now <= linqi_clock()
    assert 0 <= time.time() - wall < 60
    assert 0 <= time.monotonic() - moment < 60
    linqi_clock.move_to(wall)
    assert abs(linqi_clock() - wall) < 60
    assert repr(linqi_clock).startswith("<ProcessClock ")


def test_after_a_test_the_wall_clock_is_real_and_the_other_never_steps_back() -> None:
    """What was cached in a moved hour ends as it would have, and tokens are of today."""
    cache = VerifiedCache(lifetime=60)
    verifier = Verifier.trusting(SIGNER, cache=cache)
    with moved_time() as clock:
        before = vars(clock)["_clock"].monotonic()
        clock.advance(3_600)
        verifier.verify(SlidingRenewal(SIGNER).start("alice").token)
        ends = next(iter(cache._entries.values()))._cached_until
    after = vars(clock)["_clock"].monotonic()
    assert abs(clock() - time.time()) < 60
    assert after >= before + 3_600
    assert ends - after <= 60
    assert SlidingRenewal(SIGNER).start("alice").expires_at - time.time() <= 900


async def test_timers_of_the_event_loop_are_not_touched(linqi_clock: ProcessClock) -> None:
    """A moved hour ends no time limit, and none hangs."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        before = loop.time()
        linqi_clock.advance(3_600)
        await asyncio.sleep(0.01)
        assert loop.time() - before < 30


async def test_background_tasks_that_have_waited_long_enough_go_on(
    linqi_clock: ProcessClock,
) -> None:
    """A key set is fetched ahead of its end, in the order of production, without a wait."""
    with FakeIssuer() as issuer:
        keys = RemoteKeys(issuer.issuer, ["ES256"], client=issuer.client)
        await keys.start()
        gone = issuer.key
        issuer.rotate()
        issuer.withdraw()
        assert keys.find("ES256", gone.kid)
        linqi_clock.advance(299)
        async with asyncio.timeout(20):
            while issuer.requests["keys"] < 2:
                await asyncio.sleep(0.001)
            while keys.state().kids != (issuer.key.kid,):
                await asyncio.sleep(0.001)
        await keys.close()


def test_a_task_in_the_loop_of_another_thread_is_woken(linqi_clock: ProcessClock) -> None:
    """The application of a synchronous client runs in a thread."""
    clock, started = Clock(), threading.Event()

    async def wait() -> float:
        began = clock()
        asyncio.get_running_loop().call_soon(started.set)
        await clock.sleep(3_600)
        return clock() - began

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asyncio.run, wait())
        assert started.wait(20)
        clock.advance(3_600)
        assert waiting.result(20) >= 3_600


def test_many_threads_move_one_clock(linqi_clock: ProcessClock) -> None:
    """No step is lost."""
    before = linqi_clock()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: vars(linqi_clock)["_clock"].advance(1), range(400)))
    assert 400 <= linqi_clock() - before < 460


def test_a_clock_that_is_set_back(linqi_clock: ProcessClock) -> None:
    """A token of the future is refused, and the caches end no earlier and no later."""
    verifier = Verifier.trusting(SIGNER, cache=VerifiedCache(lifetime=60))
    linqi_clock.advance(500)
    token = SlidingRenewal(SIGNER).start("alice").token
    moment = vars(linqi_clock)["_clock"].monotonic()
    linqi_clock.advance(-500)
    assert vars(linqi_clock)["_clock"].monotonic() >= moment
    with pytest.raises(linqi.errors.TokenNotYetValid):
        verifier.verify(token)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e20, -1e20, "5", None, True])
def test_a_step_that_is_no_time_is_refused(linqi_clock: ProcessClock, seconds: Any) -> None:
    """The clock stays where it is."""
    with pytest.raises(ConfigurationError, match="expected a number, at most 100 years"):
        linqi_clock.advance(seconds)
    assert abs(linqi_clock() - time.time()) < 60


@pytest.mark.parametrize("instant", [-1.0, float("nan"), "now", 1e15])
def test_an_instant_that_is_none_is_refused(instant: Any) -> None:
    """As the beginning of a clock, and as its aim."""
    with pytest.raises(ConfigurationError, match="expected Unix seconds"):
        Clock(instant)
    with pytest.raises(ConfigurationError, match="expected Unix seconds"):
        Clock().move_to(instant)


def test_two_clocks_do_not_move_one_process(linqi_clock: ProcessClock) -> None:
    """The second one is refused while the first is in use."""
    with pytest.raises(CannotTest, match="moved by another test already"), moved_time():
        pass
    assert install() is linqi_clock


def test_an_object_with_a_clock_of_its_own_keeps_it(linqi_clock: ProcessClock) -> None:
    """A clock that was given is not replaced; one that stands is moved to the instant exactly."""
    own = Clock(1_800_000_000.25)
    verifier = Verifier.trusting(SIGNER, clock=own, cache=None)
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=own)
    token = SlidingRenewal(signer, clock=own).start("alice").token
    linqi_clock.advance(10_000)
    ends = verifier.verify(token).expires_at
    own.move_to(ends - 0.5)
    verifier.verify(token)
    own.move_to(ends)
    assert own.now == ends
    with pytest.raises(TokenExpired):
        verifier.verify(token)


async def test_stored_sessions_end_by_the_moved_clock(
    tmp_path: Path, linqi_clock: ProcessClock
) -> None:
    """A SQLite file is judged by the clock of the process that opened it."""
    store = SQLiteStore(tmp_path / "sessions.db")
    settings = SessionSettings(idle=3_600, absolute=86_400)
    access = RenewalSettings(lifetime=900, buffer=300)
    sessions = Sessions(store, SIGNER, SECRET, settings=settings, access=access, hooks=[])
    pair = await sessions.sign_in("alice")
    linqi_clock.advance(3_500)
    pair = await sessions.refresh(pair.refresh_token)
    linqi_clock.advance(3_700)
    with pytest.raises(RefreshRefused, match="expired"):
        await sessions.refresh(pair.refresh_token)
    await sessions.close()


async def test_a_store_of_a_server_is_not_moved(valkey_url: str, linqi_clock: ProcessClock) -> None:
    """An error says so, instead of tokens and sessions that live in two times."""
    store = ValkeyStore(valkey_url, prefix="moved")
    linqi_clock.advance(1)  # it is not in use yet
    await store.start()
    before = linqi_clock()
    with pytest.raises(ClockNotMoved, match=r"store in Valkey, .* use memory: or sqlite:"):
        linqi_clock.advance(700)
    assert linqi_clock() - before < 60
    await store.close()
    linqi_clock.advance(700)


def test_a_throttle_lets_in_after_its_window(
    linqi_clock: ProcessClock,
) -> None:
    """Failed sign-ins are forgotten in moved time."""
    with TestClient(WHOLE, base_url="https://shop.example") as client:
        wrong = {"username": "alice", "password": "x"}
        answers = [client.post("/login", json=wrong).status_code for _ in range(6)]
        assert answers[0] == 400
        assert answers[-1] == 429
        linqi_clock.advance(301)
        assert client.post("/login", json=wrong).status_code == 400
