"""Complete small storms on real servers in processes of their own."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from free_ports import free_port
from linqi import ConfigurationError, Key, KeySet
from linqi_report.processes import running
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.report.verdict import EXIT_CODES
from linqi_storm.run.runner import choose_target
from linqi_storm.run.worker_pool import WorkerPool
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import StormLogin
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.results import StormRun
from linqi_storm.schema.violations import FORGED, LONG_REFRESH, NO_TOKEN, OTHER_STATUS, SAME_ID
from served import Server
from signed_in import PASSWORD

SMALL = ["--sessions", "60", "--alg", "ES256", "--gap-seconds", "60"]
TINY = [*SMALL, "--compress", "120", "--lifetime-seconds", "900", "--buffer-seconds", "300"]

HERE = Path(__file__).parent


def run_command(folder: Path, *arguments: str, cwd: Path | None = None) -> tuple[int, StormRun]:
    """Run ``linqi storm``; return its exit code and its result."""
    output = folder / "storm.json"
    done = subprocess.run(
        [sys.executable, "-m", "linqi", "storm", *arguments, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=cwd,
    )
    assert output.exists(), done.stderr + done.stdout
    return done.returncode, load_run(output)


def run_in_time(folder: Path, *arguments: str) -> tuple[int, StormRun]:
    """Run ``linqi storm``, and again, at most twice, while a busy machine delays its clients."""
    for _ in range(3):
        code, run = run_command(folder, *arguments)
        if run.generator.is_valid:
            break
    return code, run


def broken(run: StormRun) -> list[str]:
    """Return the invariants that do not hold."""
    return [f"{check.name}: {check.measured}" for check in run.broken]


def test_a_small_storm_keeps_every_invariant_and_reports_every_figure(tmp_path: Path) -> None:
    """Clients and servers are counted, and the exit code is that of the verdict."""
    junit = tmp_path / "storm.xml"
    code, run = run_in_time(tmp_path, *TINY, "--seconds", "9", "--junit", str(junit))
    assert broken(run) == []
    assert code == EXIT_CODES[run.verdict]
    assert run.sessions.renewals >= 50
    assert run.sessions.forced_out == 0
    assert run.peaks[0].factor < 6
    assert sum(second.requests for second in run.timeline) == run.traffic.requests > 300
    assert sum(second.signatures or 0 for second in run.timeline) >= run.sessions.renewals
    assert run.latencies.intended.count == run.traffic.requests
    assert run.latencies.intended.at(99) >= run.latencies.service.at(99)
    assert run.lags.lags.total >= 50
    assert len(run.workers) == 2
    assert any(second.cache_hits for second in run.timeline)
    cases = [case.get("name") for case in Xml.parse(junit).iter("testcase")]  # noqa: S314
    assert "forced logouts of honest users" in cases


def test_the_hand_written_renewal_shows_what_is_wrong_with_it(tmp_path: Path) -> None:
    """Parallel requests get different successors, and two generators count them.

    No limits apply to it, so the run does not fail.
    """
    code, run = run_in_time(tmp_path, "naive", *TINY, "--seconds", "9", "--processes", "2")
    seen = {check.name: check.seen for check in run.checks}
    assert seen["renewals with two different successors"] > 0
    assert seen["signatures per renewal"] > 1.2
    assert code in (0, 3)
    # Its logins are not on the grid: no token is due within the first period.
    assert not any(second.renewals for second in run.timeline if second.second < 4)
    assert run.setup.generators == 2
    assert len(run.lags.by_session) > 30, "one generator holds 30 of the 60 sessions"
    assert run.latencies.service.count == run.traffic.requests > 150


def test_a_key_withdrawn_too_early_is_found(tmp_path: Path) -> None:
    """The invariants can fail: tokens whose key is withdrawn are forced logouts."""
    code, run = run_command(
        tmp_path,
        *("key-rotation", "--sessions", "40", "--alg", "ES256", "--seconds", "8"),
        *("--set", "at=2", "--set", "withdraw=2"),
    )
    assert "forced logouts of honest users" in {check.name for check in run.broken}
    assert code == 1  # also where a busy machine makes the run void


def test_the_users_own_app_is_stormed_under_its_own_configuration(tmp_path: Path) -> None:
    """The sessions are in a store of the run: that of the configuration is not used."""
    (tmp_path / "shop.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n        return\n"
        "    start = {'type': 'http.response.start', 'status': 200, 'headers': []}\n"
        "    await send(start)\n"
        "    await send({'type': 'http.response.body', 'body': scope['path'].encode()})\n"
    )
    (tmp_path / "linqi.toml").write_text(
        '[verify]\nissuer = "https://shop.example"\naudience = "shop"\n'
        '[keys]\nfile = "keys.json"\n'
        '[store]\nurl = "sqlite:own.db"\nsecrets_file = "refresh.json"\n'
    )
    _, run = run_command(
        tmp_path,
        *("storm-dual", "--app", "shop:app", "--config", "linqi.toml", "--path", "/cart"),
        *(*SMALL, "--compress", "100", "--seconds", "7"),
        cwd=tmp_path,
    )
    assert broken(run) == []
    assert run.sessions.renewals >= 60
    assert (run.setup.target.kind, run.setup.target.name) == ("app", "shop:app")
    assert run.setup.load.lifetime_seconds == pytest.approx(9)
    assert not (tmp_path / "own.db").exists()


@pytest.fixture
def worker_pool(tmp_path: Path) -> Iterator[WorkerPool]:
    """Yield a running deployment with its key in ``key.json``."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "key.json")
    spec = AppSpec(kind="sliding", lifetime=8, buffer=3, jwks=str(tmp_path / "key.json"), workers=1)
    with WorkerPool([spec] * spec.workers, tmp_path).running() as running:
        yield running


@pytest.mark.parametrize("processes", [1, 2])
def test_plain_locust_storms_a_running_deployment(
    tmp_path: Path, worker_pool: WorkerPool, processes: int
) -> None:
    """``locust -f`` with the key of the deployment keeps every invariant, without samples.

    Two processes are a master with two workers, as they would be on two machines.
    """
    users = str(processes)
    port = str(free_port())  # of the master; another test may have one
    several = ["--processes", users, "--master-bind-port", port, "--master-port", port]
    locustfile = Path(sys.modules["linqi_storm"].__path__[0]) / "run" / "locustfile.py"
    output = tmp_path / "storm.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(locustfile), "--headless"),
            *("-u", users, "-r", users, "-H", worker_pool.url, "--only-summary"),
            *(several if processes > 1 else ()),
            *("--linqi-key", str(tmp_path / "key.json")),
            *("--linqi-issuer", "https://storm.linqi.example"),
            *("--linqi-audience", "linqi-storm", "--linqi-sessions", "40"),
            *("--linqi-lifetime-seconds", "8", "--linqi-buffer-seconds", "3"),
            *("--linqi-gap-seconds", "0.5", "--linqi-seconds", "9"),
            *("--linqi-output", str(output), "--linqi-require", "sessions == 40, renewals > 30"),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert output.exists(), done.stderr
    run = load_run(output)
    assert broken(run) == []
    assert {NO_TOKEN, OTHER_STATUS, FORGED, SAME_ID} <= {check.name for check in run.checks}
    assert [each.passed for each in run.requirements] == [True, True]
    assert done.returncode == EXIT_CODES[run.verdict]
    assert run.sessions.renewals > 30
    assert run.sessions.total == 40
    assert run.workers == ()
    assert run.setup.generators == processes


def test_a_login_endpoint_of_a_running_deployment_is_stormed(tmp_path: Path) -> None:
    """All clients sign in there and renew at the given path, and no session is lost.

    They are one user, whose sessions the server limits to 20.
    """
    server = Server(tmp_path / "data", "--lifetime-seconds", "8", "--buffer-seconds", "3").start()
    login = {
        "url": f"{server.base}/auth/login",
        "body": {"username": "alice", "password": PASSWORD},
        "headers": {"x-token-delivery": "body"},
        "refresh_path": "/auth/refresh",
        "logout_path": "/auth/logout",
    }
    try:
        _, run = run_command(
            tmp_path,
            *("storm-dual", "--url", server.base, "--path", "/auth/me", "--sessions", "15"),
            *("--lifetime-seconds", "8", "--buffer-seconds", "3", "--gap-seconds", "1"),
            *("--seconds", "9", "--login", json.dumps(login)),
        )
    finally:
        server.stop()
    assert broken(run) == [], run.notes
    assert run.sessions.renewals >= 22
    assert run.sessions.logins == 0
    assert {NO_TOKEN, OTHER_STATUS, LONG_REFRESH} <= {check.name for check in run.checks}


def test_a_slow_login_endpoint_signs_each_client_in_once(tmp_path: Path) -> None:
    """The load waits for the logins: a second round would end the sessions of the first."""
    notes = tmp_path / "notes"
    notes.touch()
    environment = {
        "STORE": f"sqlite:{tmp_path / 's.db'}",
        "SECRET": secrets.token_hex(32),
        "NOTES": str(notes),
        "PAUSE": "2",
    }
    command = ["uvicorn", "login_app:app", "--app-dir", str(HERE), "--port", "0"]
    log = tmp_path / "log"
    with running(command, log, health="/here", environment=environment) as url:
        login = {
            "url": f"{url}/login",
            "body": {"username": "alice", "password": "right"},
            "headers": {"x-token-delivery": "body"},
        }
        _, run = run_command(
            tmp_path,
            *("storm-dual", "--url", url, "--path", "/orders", "--sessions", "8"),
            *("--lifetime-seconds", "900", "--buffer-seconds", "300", "--gap-seconds", "1"),
            *("--seconds", "4", "--login", json.dumps(login)),
        )
    assert broken(run) == [], run.notes
    before_the_load = 1
    assert notes.read_text().splitlines() == ["alice"] * (8 + before_the_load)


ONE_USER = StormLogin(url="http://127.0.0.1:1/login", body={"username": "alice"})


def url_config(place: str, **changes: object) -> StormConfig:
    """Return the settings for a running deployment."""
    scenario = find_scenario("storm-sliding")
    tokens: dict[str, object] = {
        "key": Path("k.json"),
        "issuer": "https://a.example",
        "audience": "a",
    }
    settings = {"scenario": "storm-sliding", "load": scenario.load, "url": place, **tokens}
    return StormConfig(**(settings | changes))  # type: ignore[arg-type]


def refused(config: StormConfig) -> str:
    """Return the reason why the settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        choose_target(config, find_scenario(config.scenario)(config.load))
    return str(caught.value)


async def test_signing_in_leaves_nothing_running_at_a_closed_store(tmp_path: Path) -> None:
    """A storm of more than 30 s would log that sessions which are over were not deleted."""
    load = StormLoad(sessions=5, lifetime=9, buffer=3, duration=11, gap=1, compression=100)
    storm = StormConfig(scenario="storm-dual", load=load, alg="ES256", workers=1)
    scenario = find_scenario(storm.scenario)(storm.load, storm.options)
    target = choose_target(storm, scenario)
    with target.running(tmp_path):
        made = await target.clients(scenario, time.time() + 60)
    assert len(made.credentials) == load.sessions
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_foreign_host_is_not_stormed_by_mistake() -> None:
    """Only loopback is allowed, unless the user states that the host is theirs."""
    assert "--i-own-this-host" in refused(url_config("https://shop.example"))
    for own in (
        url_config("https://shop.example", is_own_host=True),
        url_config("http://127.0.0.1:8000"),
        url_config("http://[::1]:8000"),
        url_config("http://localhost:8000"),
    ):
        choose_target(own, find_scenario(own.scenario)(own.load))


def test_a_foreign_login_is_not_stormed_either() -> None:
    """The endpoint that signs clients in is a host too."""
    config = url_config(
        "http://127.0.0.1:1", key=None, login=StormLogin(url="https://id.example/token")
    )
    assert "id.example" in refused(config)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": None}, "--key"),
        ({"issuer": ""}, "--issuer"),
        ({"scenario": "storm-dual"}, "--login"),
        ({"scenario": "key-rotation"}, "servers of its own"),
        ({"scenario": "naive"}, "servers of its own"),
        ({"scenario": "cold-start"}, "servers of its own"),
        ({"scenario": "switch-on", "key": None, "login": ONE_USER}, "give --key"),
        ({"scenario": "dead-token", "key": None, "login": ONE_USER}, "{n}"),
        ({"url": "ftp://127.0.0.1"}, "http"),
    ],
)
def test_what_a_running_deployment_cannot_give_is_said_before_the_storm(
    changes: dict[str, object], why: str
) -> None:
    """The settings are refused with what is missing."""
    assert why in refused(url_config("http://127.0.0.1:1", **changes))


def test_the_example_results_are_real_ones() -> None:
    """The recorded results can be read with the current schema."""
    folder = Path(__file__).parent / "storms"
    policies = {load_run(path).setup.target.policy for path in folder.glob("*.json")}
    assert {"grid", "plain"} <= policies
    assert all(json.loads(path.read_bytes())["schema"] == 1 for path in folder.glob("*.json"))


def test_a_storm_that_locust_cannot_begin_ends_with_its_reason(tmp_path: Path) -> None:
    """Locust ends at once instead of waiting for clients."""
    locustfile = Path(sys.modules["linqi_storm"].__path__[0]) / "run" / "locustfile.py"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "-u", "1"),
            *("-H", "http://127.0.0.1:1", "--only-summary", "--linqi-login", '{"adress": "x"}'),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 2
    assert "the storm cannot begin" in done.stderr
    assert "adress" in done.stderr


def test_polls_of_pages_left_open_extend_no_session(tmp_path: Path) -> None:
    """On real servers polls get no successor, and are counted apart from pages."""
    code, run = run_command(tmp_path, "polling", *TINY, "--seconds", "9", "--set", "every=0.5")
    assert broken(run) == []
    assert code == EXIT_CODES[run.verdict]
    outcomes = [second.outcomes for second in run.timeline]
    quiet = sum(seen.get("quiet", 0) for seen in outcomes)
    assert run.sessions.quiet == quiet > 300
    assert run.sessions.quiet_unsent > 0, "some token expired, and its page stopped polling"
    assert run.sessions.lapsed > 0
    assert run.traffic.pages < run.traffic.requests - quiet + 1
    assert "sessions extended by quiet requests" in [check.name for check in run.checks]
