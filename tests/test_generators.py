"""The comparison of load generators: what it measures, and when it fails."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LOADTESTS = ROOT / "loadtests"
sys.path.insert(0, str(LOADTESTS))

from generators.__main__ import faults_of  # noqa: E402
from generators.loads import LOADS, Cost, is_installed  # noqa: E402
from linqi_bench.server_process import served  # noqa: E402


def costs(ours: float, locusts: float, session_bytes: float) -> dict[str, Cost]:
    """Return a round with these costs of a request in microseconds."""
    return {
        "linqi storm": Cost(
            requests=10, cpu_us=10 * ours, seconds=1, details={"session_bytes": session_bytes}
        ),
        "FastHttpUser": Cost(requests=20, cpu_us=20 * locusts, seconds=1),
    }


@pytest.mark.parametrize(
    ("rounds", "faults"),
    [
        ([costs(40, 100, 1_900)] * 3, []),
        ([costs(90, 100, 9_000), costs(40, 100, 1_900), costs(90, 100, 9_000)], []),
        ([costs(60, 100, 1_900)] * 3, ["a request costs 0.60 of"]),
        ([costs(40, 100, 2_100)] * 3, ["a session takes 2100 bytes"]),
    ],
    ids=["within", "one quiet round", "slow", "large"],
)
def test_the_least_of_the_rounds_is_judged(
    rounds: list[dict[str, Cost]], faults: list[str]
) -> None:
    """Rounds that another process disturbed decide nothing, also where they are most."""
    found = faults_of(rounds)
    assert len(found) == len(faults)
    assert all(one.startswith(start) for one, start in zip(found, faults, strict=True))


@pytest.mark.parametrize("name", LOADS)
def test_each_load_generator_sends_real_requests(name: str) -> None:
    """Its requests are answered, and its own CPU time is what counts."""
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    with served("uvicorn", {}) as app:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "generators.loads", name, f"http://127.0.0.1:{app.port}"),
                *("--seconds", "1", "--rate", "300", "--sessions", "100"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=LOADTESTS,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["requests"] > 150
    assert 5 < Cost(**found).request_us < 5_000
    assert not found["details"].get("failures")
