"""The user's own application under a storm, however the middleware is put around it."""

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from free_ports import free_port
from linqi import ConfigurationError, Key, KeySet
from linqi_storm.run.preflight import Preflight, run_preflight
from linqi_storm.run.runner import choose_target
from linqi_storm.run.targets import plan_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import StormLogin
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.workload import PageKind, PauseLengths, Workload, WorkloadRequest

# Every application makes keys of its own, which differ from process to process: it works only
# with the keys of the run.
PARTS = """
from linqi import JWTMiddleware, Key, KeySet, SessionRoutes, Sessions, Signer, SlidingRenewal
from linqi import MemoryStore, Verifier

signer = Signer(KeySet([Key.generate("ES256")]), issuer="https://shop.example", audience="shop")
verifier = Verifier.trusting(signer)
renewal = SlidingRenewal(signer, on_issue=verifier.cache_issued)
wiring = {"verifier": verifier, "renewal": renewal, "public": ["/login"]}


async def me(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    found = {"/open": 200, "/me": 200, "/api/me": 200}.get(scope["path"], 404)
    user = scope["user"].identity if found == 200 and scope["path"] != "/open" else ""
    await send({"type": "http.response.start", "status": found, "headers": []})
    await send({"type": "http.response.body", "body": user.encode()})
"""
APPS = {
    "fastapi": """
        from fastapi import FastAPI, Request
        app = FastAPI()
        app.add_middleware(JWTMiddleware, **wiring)

        @app.get("/me")
        async def who(request: Request) -> str:
            return request.user.identity
        """,
    "wrapped bare app": "app = JWTMiddleware(me, **wiring)",
    "list of Starlette": """
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def who(request):
            return PlainTextResponse(request.user.identity)

        guard = Middleware(JWTMiddleware, **wiring)
        app = Starlette(routes=[Route("/me", who)], middleware=[guard])
        """,
    "inside another wrapper": """
        from starlette.middleware.cors import CORSMiddleware
        app = CORSMiddleware(JWTMiddleware(me, **wiring), allow_origins=["https://shop.example"])
        """,
    "inside a closure": """
        def timed(inner):
            async def app(scope, receive, send):
                await inner(scope, receive, send)
            return app

        app = timed(JWTMiddleware(me, **wiring))
        """,
    "in an attribute of a framework": """
        class Framework:
            def __init__(self):
                self.asgi_app = me

            async def __call__(self, scope, receive, send):
                await self.asgi_app(scope, receive, send)

        app = Framework()
        app.asgi_app = JWTMiddleware(app.asgi_app, **wiring)
        """,
    "a factory": """
        def app():
            return JWTMiddleware(me, **wiring)
        """,
    "dual tokens beside sliding": """
        sessions = Sessions(MemoryStore(), signer, Key.generate("HS256"))
        routes = SessionRoutes(me, sessions, verifier, lambda form: None)
        app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
        """,
    "no middleware": "app = me",
}
MOUNTED = """
from starlette.applications import Starlette
from starlette.routing import Mount
app = Starlette(routes=[Mount("/api", app=JWTMiddleware(me, **wiring))])
"""
OTHER_VERIFIER = """
class Guard:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        start = {"type": "http.response.start", "status": 401, "headers": []}
        await send({**start, "headers": [(b"www-authenticate", b"Bearer realm=guard")]})
        await send({"type": "http.response.body", "body": b""})

app = Guard(me)
"""


# A deployment whose key the storm has.
OWN_KEY = PARTS.replace('KeySet([Key.generate("ES256")])', 'KeySet.load("key.json")').replace(
    "/login", "/open"
)


@contextlib.contextmanager
def serving(app: str) -> Iterator[str]:
    """Serve an application by uvicorn in a process of its own; yield its URL."""
    Path("deployed.py").write_text(app)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "deployed:app", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder of the test, as workers import the application from there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linqi.toml").write_text(
        '[verify]\nissuer = "https://shop.example"\naudience = "shop"\n'
        '[keys]\nfile = "keys.json"\n'
        '[store]\nurl = "sqlite:own.db"\nsecrets_file = "refresh.json"\n'
        '[renewal]\nsliding = true\n[paths]\npublic = ["/open"]\n'
    )
    return tmp_path


@pytest.fixture
def deployment(folder: Path) -> Iterator[str]:
    """Yield the URL of a running deployment."""
    for name in ("key.json", "other.json"):
        KeySet([Key.generate("ES256")]).save(folder / name)
    with serving(OWN_KEY + APPS["wrapped bare app"]) as url:
        yield url


def preflight(app: str, *, path: str = "", scenario: str = "storm-sliding") -> Preflight:
    """Return what the preflight of a storm on the application `app` shows."""
    Path("shop.py").write_text(PARTS + textwrap.dedent(app))
    load = StormLoad(sessions=10, lifetime=15, buffer=5, compression=60)
    storm = StormConfig(
        scenario=scenario,
        load=load,
        alg="ES256",
        workers=1,
        app="shop:app",
        config=Path("linqi.toml"),
        path=path,
    )
    made = find_scenario(scenario)(load)
    target = choose_target(storm, made)
    with target.running(Path.cwd()):
        plan = replace(plan_of(storm, made, target), timeout=60)
        return run_preflight(plan, target.describe())


@pytest.mark.parametrize("wiring", APPS)
def test_the_middleware_is_found_wherever_it_is(wiring: str) -> None:
    """A token of the run is accepted and renewed, and the path is not public."""
    assert preflight(APPS[wiring]) == Preflight()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no niceness")
def test_a_worker_starts_with_the_priority_of_the_storm() -> None:
    """It yields to the generator once it serves; before, other work would delay its start."""
    app = f"""
import os
assert os.nice(0) == {os.nice(0)}
app = JWTMiddleware(me, **wiring)
"""
    assert preflight(app) == Preflight()


def test_the_middleware_of_a_mounted_application_is_found() -> None:
    """The application around it keeps its other routes without a token."""
    assert preflight(MOUNTED, path="/api/me") == Preflight()


def test_an_application_around_the_configuration_is_stormed() -> None:
    """`linqi.config.wrap` in the user's module reads keys of its own, which are replaced."""
    app = """
from linqi.config import wrap
app = wrap(me, "linqi.toml", authenticate=lambda form: None)
"""
    KeySet([Key.generate("ES256")]).save("keys.json")
    KeySet([Key.generate("HS256")]).save("refresh.json")
    assert preflight(app) == Preflight()
    assert preflight(app, scenario="storm-dual") == Preflight()
    assert not Path("own.db").exists()


def test_session_routes_with_a_store_of_their_own_are_replaced() -> None:
    """A storm of dual tokens signs in at the store of the run."""
    assert preflight(APPS["dual tokens beside sliding"], scenario="storm-dual") == Preflight()


@pytest.mark.parametrize(
    ("app", "path", "message"),
    [
        ("app = me", "/nothing", r"GET /nothing answered 404 .*--path"),
        ("app = me", "/open", r"GET /open answered without looking at the token.*--path"),
        (OTHER_VERIFIER, "", r"GET /me answered 401 .*realm=guard.*another verifier.*--url"),
    ],
)
def test_a_storm_that_its_target_does_not_understand_does_not_begin(
    app: str, path: str, message: str
) -> None:
    """The message has the request, the answer, the cause and the option to change."""
    with pytest.raises(ConfigurationError, match=message):
        preflight(app, path=path)


def test_a_workload_whose_requests_are_partly_refused_is_stormed_with_notes(
    deployment: str,
) -> None:
    """Public requests are found; a few missing pages are told, and more are an error."""

    def shown(weight: float, *paths: str) -> Preflight:
        pages = [PageKind(weight=weight, requests=(WorkloadRequest(path="/gone"),))]
        pages += [PageKind(weight=1, requests=(WorkloadRequest(path=path),)) for path in paths]
        pauses = PauseLengths(mean_seconds=1)
        workload = Workload(version=1, pages=tuple(pages), pauses=pauses)
        load = StormLoad(lifetime=900, buffer=300, compression=1, workload=workload)
        return of_deployment(deployment, load=load)

    found = shown(0.1, "/me", "/api/me", "/open")
    assert found.public == {("GET", "/open")}
    assert [note.partition(" (")[0] for note in found.notes] == [
        "before the load: GET /gone answered 404"
    ]
    with pytest.raises(ConfigurationError, match=r"GET /gone answered 404"):
        shown(0.5, "/me", "/api/me", "/open")
    with pytest.raises(ConfigurationError, match=r"GET /open answered without looking"):
        shown(0.01, "/open")


def test_an_application_without_a_configuration_is_refused_with_the_remedy(folder: Path) -> None:
    """The message names the command that writes the file, and the way without one."""
    storm = StormConfig(scenario="storm-sliding", load=StormLoad(), app="shop:app")
    with pytest.raises(ConfigurationError, match=r"--config.*linqi init.*--url with --key"):
        choose_target(storm, find_scenario("storm-sliding")(storm.load))


def test_a_correct_fastapi_application_passes_a_storm(tmp_path: Path) -> None:
    """The wiring of the README signs no session out; each page says who called."""
    Path("shop.py").write_text(PARTS + textwrap.dedent(APPS["fastapi"]))
    output = tmp_path / "storm.json"
    command = [
        *(sys.executable, "-m", "linqi", "storm", "--app", "shop:app", "--config", "linqi.toml"),
        *("--sessions", "40", "--compress", "60", "--alg", "ES256", "--seconds", "12"),
        *("--gap-seconds", "60", "--output", str(output)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert output.exists(), done.stderr + done.stdout
    run = load_run(output)
    assert [check.name for check in run.checks if not check.passed] == []
    assert run.sessions.renewals >= 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuer": "https://shop.example/"}, r"401 .*iss 'https://shop.example/'.*--issuer"),
        ({"audience": "shops"}, r"401 .*aud 'shops'.*--audience"),
        ({"key": Path("other.json")}, r"401 .*ES256 and kid .*--key"),
        ({"path": "/open"}, r"GET /open answered without looking at the token"),
        ({"path": "/nothing"}, r"GET /nothing answered 404 .*--path"),
        ({"url": "http://127.0.0.1:9"}, r"http://127.0.0.1:9 does not answer"),
    ],
)
def test_a_deployment_under_wrong_options_is_not_stormed(
    deployment: str, changes: dict[str, Any], message: str
) -> None:
    """The message names what the storm signed, and the option that is likely wrong."""
    with pytest.raises(ConfigurationError, match=message):
        of_deployment(deployment, **changes)


def test_a_deployment_that_knows_the_clients_is_stormed(deployment: str) -> None:
    """The right key, issuer, audience, path and buffer begin the storm."""
    assert of_deployment(deployment) == Preflight()


def test_a_deployment_that_renews_nothing_is_not_stormed(folder: Path) -> None:
    """The message names the header and the buffer that were expected."""
    KeySet([Key.generate("ES256")]).save(folder / "key.json")
    app = APPS["wrapped bare app"].replace("**wiring", 'verifier, public=["/open"]')
    with (
        serving(OWN_KEY + app) as url,
        pytest.raises(ConfigurationError, match=r"without a successor .*X-Refresh-Token.*--buffer"),
    ):
        of_deployment(url)


def of_deployment(address: str, **changes: Any) -> Preflight:
    """Return what the preflight of a storm on a running deployment shows."""
    load = StormLoad(sessions=10, lifetime=900, buffer=300, compression=1)
    right = {"url": address, "key": Path("key.json"), "issuer": "https://shop.example"}
    wanted = {"scenario": "storm-sliding", "load": load, **right, "audience": "shop", **changes}
    storm = StormConfig(**wanted)
    made = find_scenario(storm.scenario)(storm.load)
    target = choose_target(storm, made)
    return run_preflight(plan_of(storm, made, target), target.describe())


DUAL = """
from linqi import Person
sessions = Sessions(MemoryStore(), signer, Key.generate("HS256"))


def check(form):
    return Person(subject=form["username"]) if form["password"] == "right" else None


routes = SessionRoutes(me, sessions, verifier, check)
app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
"""


def test_a_deployment_with_a_login_signs_in_and_refreshes_before_a_storm(folder: Path) -> None:
    """A wrong password, token member or path of the refresh is named, with the answer."""
    KeySet([Key.generate("ES256")]).save(folder / "key.json")
    body = {"username": "user-{n}", "password": "right"}
    with serving(OWN_KEY + DUAL) as url:
        right = StormLogin(url=f"{url}/login", body=body, headers={"x-token-delivery": "body"})
        assert of_deployment(url, **signing_in(right)) == Preflight()
        for wrong, message in (
            (
                {"body": {**body, "password": "wrong"}},
                r"POST .*/login answered 400: .*grant.*--login",
            ),
            ({"token_field": "jwt"}, r"POST .*/login answered 200: .*'jwt'.*token_field"),
            ({"refresh_path": "/renew"}, r"POST /renew answered 40.*refresh_path"),
        ):
            login = msgspec.structs.replace(right, **wrong)
            with pytest.raises(ConfigurationError, match=message):
                of_deployment(url, **signing_in(login))


def signing_in(login: StormLogin) -> dict[str, Any]:
    """Return the settings of a storm of dual tokens that signs in by `login`."""
    return {"scenario": "storm-dual", "login": login, "key": None, "issuer": "", "audience": ""}
