"""Every request of a storm in Locust's own statistics, by kind and path."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from free_ports import free_port
from linqi import Key, KeySet
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.clients.request_statistics import RequestStatistics
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.run.worker_pool import WorkerPool
from linqi_storm.schema.result_file import load_run

LOCUSTFILE = Path(sys.modules["linqi_storm"].__path__[0]) / "run" / "locustfile.py"


@pytest.mark.parametrize("processes", [1, 2])
def test_locust_has_a_row_for_each_kind_and_path(tmp_path: Path, processes: int) -> None:
    """``--csv`` and ``--json`` of plain ``locust -f`` add up to the requests of the storm."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "key.json")
    spec = AppSpec(kind="sliding", lifetime=8, buffer=3, jwks=str(tmp_path / "key.json"), workers=1)
    workload = {
        "version": 1,
        "pages": [
            {"weight": 3, "requests": [{"path": "/cart?x=1"}]},
            {"requests": [{"path": "/orders", "method": "POST", "body": "{}"}, {"path": "/cart"}]},
        ],
        "pauses": {"mean_seconds": 0.5},
    }
    (tmp_path / "workload.json").write_text(json.dumps(workload))
    with WorkerPool([spec] * spec.workers, tmp_path).running() as worker_pool:
        command = [
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--json"),
            *("-u", str(processes), "-r", str(processes)),
            *("--csv", str(tmp_path / "locust"), "-H", worker_pool.url),
            *("--linqi-key", str(tmp_path / "key.json"), "--linqi-audience", "linqi-storm"),
            *("--linqi-issuer", "https://storm.linqi.example", "--linqi-sessions", "40"),
            *("--linqi-lifetime-seconds", "8", "--linqi-buffer-seconds", "3"),
            *("--linqi-workload", str(tmp_path / "workload.json"), "--linqi-seconds", "10"),
            *("--linqi-output", str(tmp_path / "storm.json")),
        ]
        if processes > 1:
            port = str(free_port())  # of the master; another test may have one
            command += ["--processes", str(processes)]
            command += ["--master-bind-port", port, "--master-port", port]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path
        )
    assert done.returncode in (0, 1, 3), done.stderr[-3_000:]
    # Whatever the verdict: a slow machine's worker may leave requests without an answer.
    assert (tmp_path / "storm.json").exists(), done.stderr[-3_000:]
    with (tmp_path / "locust_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}
    counts = {kind: int(row["Request Count"]) for kind, row in rows.items()}
    kinds = {("GET", "/cart"), ("POST", "/orders"), ("RENEW", "/cart"), ("RENEW", "/orders")}
    assert kinds <= counts.keys()
    assert set(counts) - kinds == {("HOSTILE", "/cart"), ("", "Aggregated")}
    run = load_run(tmp_path / "storm.json")
    assert sum(counts[kind] for kind in kinds) == run.traffic.requests
    assert 5 * counts["POST", "/orders"] < 4 * counts["GET", "/cart"]
    printed = json.loads(done.stdout[done.stdout.index("[\n") : done.stdout.rindex("]") + 1])
    assert {(row["method"], row["name"]) for row in printed} == {*counts} - {("", "Aggregated")}


def test_failures_are_answers_that_the_client_did_not_expect() -> None:
    """A refused honest request fails, a refused hostile one does not."""
    seen: list[tuple[str, str, str]] = []
    statistics = RequestStatistics(
        lambda kind, path, *rest: seen.append((kind, path, str(rest[2] or "")))
    )
    for status in (200, 304, 401, 503):
        statistics.count("GET", "/me", 0.1, WireResponse(status=status))
    statistics.count("LOGIN", "/login", 0.1, None, TimeoutError("late"))
    for status in (401, 200, 0):
        statistics.count_hostile("/me", 0.1, status)
    assert [fault for *_, fault in seen] == [
        *("", "", "HTTP 401", "HTTP 503", "late", "", "HTTP 200", "HTTP 0")
    ]
    assert {(kind, path) for kind, path, _ in seen} == {
        *(("GET", "/me"), ("LOGIN", "/login"), ("HOSTILE", "/me"))
    }


BATCHES = """
import json, random
from locust.env import Environment
from locust import User
from linqi_storm.clients.locust_statistics import LocustStatistics

draw, now = random.Random(5), [1_000.0]
import time
time.time = lambda: now[0]
batched, fired, heard = [Environment(user_classes=[User]) for _ in range(3)]
for environment in (batched, fired, heard):
    environment.create_local_runner()
listened = []
heard.events.request.add_listener(lambda **facts: listened.append(facts["name"]))
reports = [LocustStatistics(each, lambda: now[0]) for each in (batched, heard)]
for _ in range(5_000):
    now[0] += draw.expovariate(500)
    fault = ValueError("HTTP 401") if draw.random() < 0.1 else None
    kind, path = draw.choice(["GET", "RENEW"]), draw.choice(["/a", "/b"])
    milliseconds, size = draw.expovariate(0.01), draw.randrange(900)
    for report in reports:
        report(kind, path, milliseconds, size, fault)
    fired.events.request.fire(request_type=kind, name=path, response_time=milliseconds,
                              response_length=size, exception=fault, context={})
for report in reports:
    report.flush()

def shown(environment):
    rows = {}
    for entry in [environment.stats.total, *environment.stats.entries.values()]:
        facts = entry.serialize()
        del facts["start_time"]
        facts["total_response_time"] = round(facts["total_response_time"], 3)
        for name in ("response_times", "num_reqs_per_sec", "num_fail_per_sec"):
            facts[name] = sorted(facts[name].items())
        rows[f"{entry.method} {entry.name}"] = facts
    errors = {key: error.to_dict() for key, error in environment.stats.errors.items()}
    return [rows, errors]

print(json.dumps({"batched": shown(batched), "fired": shown(fired), "heard": shown(heard),
                  "listened": len(listened)}))
"""


def test_batches_come_to_the_statistics_that_the_event_gives() -> None:
    """Counts, sums, extremes, buckets, seconds and errors; another listener gets every request."""
    done = subprocess.run(
        [sys.executable, "-c", BATCHES], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["batched"] == seen["fired"] == seen["heard"]
    assert seen["batched"][0][" Aggregated"]["num_requests"] == 5_000
    assert seen["listened"] == 5_000
