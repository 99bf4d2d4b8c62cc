"""Compare load generators by their CPU time per request: ``make generators``.

All send to the same bare server on the first core, from the second, in turn. With ``--check`` the
exit code is 1 if a request of `linqi storm` costs more than a share of what one of Locust's
FastHttpUser costs, or a session more memory than it may, by the least of each in all rounds: other
programs only add to both.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from generators.loads import LOADS, Cost, is_installed
from linqi_bench.server_process import served
from linqi_report.machine import describe_machine
from linqi_report.processes import on_core

__all__ = ["faults_of", "main"]

Round = Mapping[str, Cost]

_OURS, _LOCUSTS = "linqi storm", "FastHttpUser"
_MOST_SHARE: Final = 0.45
_MOST_SESSION_BYTES: Final = 2_048
_LOAD_CORE: Final = 1


def main() -> int:
    """Measure, print a table, write JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generators", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load in a round")
    parser.add_argument("--rate", type=float, default=8_000, help="of linqi storm, per second")
    parser.add_argument("--sessions", type=int, default=20_000, help="of linqi storm")
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--limits", default="", help="rates to try instead, such as 8000,10000: which are void?"
    )
    parser.add_argument("--output", type=Path, default=Path("generators.json"))
    options = parser.parse_args()
    with served("uvicorn", {}) as app:
        url = f"http://127.0.0.1:{app.port}"
        if options.limits:
            _show_limits(options, url)
            return 0
        rounds = _measure(options, url)
    _show(rounds)
    faults = faults_of(rounds)
    described = {
        "machine": describe_machine(),
        "rounds": [{name: dataclasses.asdict(costs[name]) for name in costs} for costs in rounds],
        "faults": faults,
    }
    options.output.write_text(json.dumps(described, indent=1) + "\n")
    for fault in faults:
        print(fault)
    return int(bool(options.check and faults))


def faults_of(rounds: Sequence[Round]) -> list[str]:
    """Return which limits the load generator of `linqi storm` exceeds, by its least costs."""
    faults = []
    ours, locusts = (min(costs[name].request_us for costs in rounds) for name in (_OURS, _LOCUSTS))
    share = ours / locusts
    if share > _MOST_SHARE:
        faults.append(
            f"a request costs {share:.2f} of one of {_LOCUSTS}, expected at most {_MOST_SHARE:g}"
        )
    held = min(costs[_OURS].details["session_bytes"] for costs in rounds)
    if held > _MOST_SESSION_BYTES:
        faults.append(f"a session takes {held:.0f} bytes, expected at most {_MOST_SESSION_BYTES}")
    return faults


def _measure(options: argparse.Namespace, url: str) -> list[Round]:
    names = [name for name in LOADS if is_installed(name)]
    return [
        {
            name: _run(name, url, options.seconds, options.rate, options.sessions)
            for name in (names if number % 2 else reversed(names))
        }
        for number in range(options.rounds)
    ]


def _run(name: str, url: str, seconds: float, rate: float, sessions: int) -> Cost:
    with on_core(_LOAD_CORE):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "generators.loads", name, url),
                *("--seconds", str(seconds), "--rate", str(rate), "--sessions", str(sessions)),
            ],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    return Cost(**json.loads(done.stdout))


def _shares(rounds: Sequence[Round], name: str) -> list[float]:
    return [costs[name].request_us / costs[_LOCUSTS].request_us for costs in rounds]


def _show(rounds: Sequence[Round]) -> None:
    print("| load generator | CPU us per request, median | lowest to highest | over FastHttpUser |")
    print("|---|---|---|---|")
    for name in LOADS:
        if name not in rounds[0]:
            continue
        taken = [costs[name].request_us for costs in rounds]
        shares = _shares(rounds, name)
        print(
            f"| {name} | {statistics.median(taken):.1f} | {min(taken):.1f} to {max(taken):.1f}"
            f" | {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}) |"
        )


def _show_limits(options: argparse.Namespace, url: str) -> None:
    print(
        "| planned/s | sent/s | us per request | lag p99, ms | CPU p95 | B/session | in flight"
        " | waited for a core | void |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for rate in map(float, options.limits.split(",")):
        cost = _run(_OURS, url, options.seconds, rate, options.sessions)
        told = cost.details
        print(
            f"| {rate:.0f} | {cost.requests / cost.seconds:.0f} | {cost.request_us:.1f} |"
            f" {told['lag_p99_ms']:.1f} | {told['cpu_p95']:.2f} |"
            f" {told['session_bytes']:.0f} | {told['in_flight']} | {told['core_wait']:.1%} |"
            f" {'; '.join(told['faults']) or 'no'} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
