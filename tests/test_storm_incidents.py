"""Incidents as scenarios: a correct service passes, and the fault of the incident fails."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from asgi import App, call, http
from linqi import Key, KeySet
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.apps.refresh_limit import RefreshLimit
from linqi_storm.run.worker_pool import WorkerPool
from linqi_storm.scenarios import SCENARIOS, find_scenario
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.results import StormRun
from linqi_storm.schema.violations import REVOKED
from mutants import storms
from mutants.catalogue import MUTANTS
from mutants.runner import run_one

INCIDENTS = {
    "polling": storms.POLLS,
    "dead-token": storms.DEAD_TOKEN,
    "ssr": storms.SSR,
    "audiences": storms.AUDIENCES,
    "switch-on": storms.SWITCH_ON,
    "throttled": storms.THROTTLED,
    "cold-start": storms.COLD_START,
}
FAULTS = {
    "polling": "quiet-requests-renew",
    "dead-token": "refused-refreshes-are-tried-five-times",
    "ssr": "renewal-is-written-by-hand",
    "audiences": "race-kills-the-family",
    "switch-on": "workers-renew-by-the-plain-threshold",
    "throttled": "limit-does-not-say-how-long",
    "cold-start": "cold-workers-fetch-for-each-request",
}
"""Each is killed by the invariant that its incident broke."""
PASSWORD = "correct horse battery staple"
IMPATIENT = """
from linqi_storm.scenarios import find_scenario


class Impatient(find_scenario("throttled")):
    name = "impatient"

    def retry_delay(self, asked, tries, rng):
        return 0.1
"""


@pytest.mark.long
@pytest.mark.parametrize("name", INCIDENTS)
def test_a_correct_service_survives_the_incident(name: str) -> None:
    """Every invariant holds on real servers; on a busy machine those that can be judged."""
    outcome = run_one(name, INCIDENTS[name], None, tries=3)
    assert not outcome.failed, outcome
    assert outcome.is_good or outcome.is_void, outcome


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(name, fault, marks=[pytest.mark.long] if name != "audiences" else [])
        for name, fault in FAULTS.items()
    ],
)
def test_the_fault_of_the_incident_breaks_its_invariant(name: str, fault: str) -> None:
    """The workers have the fault, and the invariant that fails is that of the incident."""
    outcome = run_one(fault, INCIDENTS[name], MUTANTS[fault], tries=3)
    assert outcome.is_good, outcome
    assert MUTANTS[fault].killed_by in outcome.failed


def test_a_client_that_does_not_wait_after_429_is_found(tmp_path: Path) -> None:
    """A client of the user's own is a method of a scenario."""
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    storm = ["impatient:Impatient", *storms.THROTTLED[1:], "--output", "storm.json"]
    done = subprocess.run(
        [sys.executable, "-m", "linqi", "storm", *storm],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    run = load_run(tmp_path / "storm.json")
    assert "retries before the end of Retry-After" in {check.name for check in run.broken}


def dead_tokens_at(url: str, folder: Path) -> StormRun:
    """Return the result of ``dead-token`` on a running deployment."""
    login = {
        "url": f"{url}/login",
        "body": {"username": "user-{n}", "password": PASSWORD},
        "headers": {"x-token-delivery": "body"},
        "refresh_path": "/refresh",
        "logout_path": "/logout",
    }
    output = folder / "storm.json"
    subprocess.run(
        [
            *(sys.executable, "-m", "linqi", "storm", "dead-token", "--url", url),
            *("--login", json.dumps(login), "--sessions", "20", "--seconds", "6"),
            *("--lifetime-seconds", "9", "--buffer-seconds", "3", "--gap-seconds", "1"),
            *("--output", str(output)),
        ],
        capture_output=True,
        timeout=200,
        check=False,
    )
    return load_run(output)


@pytest.mark.long
def test_dead_tokens_are_presented_to_a_running_deployment(tmp_path: Path) -> None:
    """Sessions that sign in there and out again before the load are refused at each refresh."""
    keys = [(tmp_path / "key.json", Key.generate("ES256"))]
    keys += [(tmp_path / "secret.json", Key.generate("HS256"))]
    for path, key in keys:
        KeySet([key]).save(path)
    spec = AppSpec(
        kind="dual",
        lifetime=9,
        buffer=3,
        jwks=str(keys[0][0]),
        secret=str(keys[1][0]),
        store=f"sqlite:{tmp_path}/sessions.db",
        password=PASSWORD,
        workers=1,
    )
    with WorkerPool([spec], tmp_path).running() as running:
        run = dead_tokens_at(running.url, tmp_path)
    checks = {check.name: check for check in run.checks}
    assert [check.name for check in run.broken] == []
    assert int(checks[REVOKED].detail.split()[1]) > 500
    assert "store calls per refresh" not in checks, "a deployment is not sampled"


def test_each_incident_is_a_scenario() -> None:
    """They are listed, and each has a fault that it finds."""
    assert set(INCIDENTS) == set(FAULTS) <= set(SCENARIOS)
    assert set(MUTANTS) >= set(FAULTS.values())


def test_a_client_waits_at_least_as_long_as_it_is_told() -> None:
    """Tries are further apart the more of them fail, and none comes before Retry-After."""
    scenario, rng = find_scenario("throttled"), random.Random(1)
    client = scenario(scenario.load)
    means = [
        sum(client.retry_delay(7, tries, rng) for _ in range(500)) / 500 for tries in (1, 2, 4)
    ]
    assert means == pytest.approx([7.25, 7.5, 9], abs=0.15)
    assert min(client.retry_delay(7, 1, rng) for _ in range(500)) >= 7


async def test_a_limit_answers_429_above_its_rate_and_says_how_long() -> None:
    """A second's worth may come at once; other paths are not limited."""
    now = 0.0

    limit = RefreshLimit(App(), "/refresh", 2, clock=lambda: now)

    async def statuses(path: str) -> list[int]:
        return [(await call(limit, http(path))).status for _ in range(3)]

    assert await statuses("/refresh") == [200, 200, 429]
    assert await statuses("/me") == [200, 200, 200]
    now += 0.5
    assert await statuses("/refresh") == [200, 429, 429]
    assert (await call(limit, http("/refresh"))).header("retry-after") == "1"
