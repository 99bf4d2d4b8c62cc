"""One load generator in a process of its own: ``python -m generators.loads NAME URL OPTIONS``.

Each sends the same GET with a bearer token for some seconds, and prints what it took as JSON.
`linqi` sends at a rate without waiting for responses (open loop); the others keep 16 connections
busy (closed loop), as they are made to do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["LOADS", "Cost", "is_installed"]

PATH: Final = "/orders/17"
CONNECTIONS: Final = 16
_TOKEN: Final = f"{'h' * 60}.{'c' * 320}.{'s' * 86}"
_WARM_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a load generator sent, and what it used for it."""

    requests: int
    cpu_us: float
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def request_us(self) -> float:
        """CPU time of a request, in microseconds."""
        return self.cpu_us / max(1, self.requests)


def linqi(options: argparse.Namespace) -> Cost:
    """Return the cost of the storm's clients in Locust's runner, at a rate."""
    from linqi_storm.apps.resource_use import waited_by_all_threads
    from linqi_storm.clients.bare_load import drive
    from linqi_storm.run.generator_health import generator_of
    from linqi_storm.schema.load import StormLoad

    load = StormLoad(
        sessions=options.sessions,
        lifetime=900,
        buffer=300,
        duration=options.seconds,
        gap=options.sessions / options.rate,
        pages=False,
    )
    waited, began = waited_by_all_threads(), time.perf_counter()
    driven = drive(options.url, load, PATH)
    waited, took = waited_by_all_threads() - waited, time.perf_counter() - began
    health = generator_of(driven.totals, options.seconds)
    return Cost(
        requests=driven.requests,
        cpu_us=driven.cpu_us,
        seconds=options.seconds,
        details={
            "session_bytes": driven.session_bytes,
            "lag_p99_ms": health.lag_p99_ms,
            "cpu_p95": health.cpu_p95,
            "in_flight": max(driven.totals.counts(s).in_flight for s in driven.totals.seconds),
            "core_wait": waited / took,
            "faults": list(health.faults),
        },
    )


def fast_http_user(options: argparse.Namespace) -> Cost:
    """Return the cost of Locust's fast user, 16 of them without pauses."""
    import gevent
    from locust import FastHttpUser, task
    from locust.env import Environment

    class Shopper(FastHttpUser):
        @task
        def order(self) -> None:
            self.client.get(PATH, headers={"authorization": f"Bearer {_TOKEN}"})

    environment = Environment(user_classes=[Shopper], host=options.url)
    runner = environment.create_local_runner()
    runner.start(CONNECTIONS, spawn_rate=100)
    gevent.sleep(_WARM_SECONDS)
    total = environment.stats.total
    sent, used, began = total.num_requests, time.process_time(), time.perf_counter()
    gevent.sleep(options.seconds)
    cost = Cost(
        requests=total.num_requests - sent,
        cpu_us=1e6 * (time.process_time() - used),
        seconds=time.perf_counter() - began,
        details={"failures": total.num_failures},
    )
    runner.quit()
    return cost


def geventhttpclient(options: argparse.Namespace) -> Cost:
    """Return the cost of the client alone that Locust's fast user is built on."""
    import gevent
    from geventhttpclient import HTTPClient

    parts = urlsplit(options.url)
    client = HTTPClient(parts.hostname, parts.port, concurrency=CONNECTIONS)
    headers = {"authorization": f"Bearer {_TOKEN}"}
    sent = 0

    def keep_asking() -> None:
        nonlocal sent
        while True:
            response = client.get(PATH, headers)
            response.read()
            sent += response.status_code == 200

    running = [gevent.spawn(keep_asking) for _ in range(CONNECTIONS)]
    gevent.sleep(_WARM_SECONDS)
    sent, used, began = 0, time.process_time(), time.perf_counter()
    gevent.sleep(options.seconds)
    cost = Cost(
        requests=sent,
        cpu_us=1e6 * (time.process_time() - used),
        seconds=time.perf_counter() - began,
    )
    gevent.killall(running)
    return cost


def wrk(options: argparse.Namespace) -> Cost:
    """Return the cost of wrk, a program in C."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(CONNECTIONS)),
        *("--duration", f"{max(1, round(options.seconds))}s"),
        *("--header", f"authorization: Bearer {_TOKEN}", options.url + PATH),
    ]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    (line,) = (line for line in done.stdout.splitlines() if " requests in " in line)
    return Cost(
        requests=int(line.split()[0]),
        cpu_us=1e6 * (used.ru_utime + used.ru_stime),
        seconds=seconds,
    )


LOADS: Final[dict[str, Callable[[argparse.Namespace], Cost]]] = {
    "linqi storm": linqi,
    "FastHttpUser": fast_http_user,
    "geventhttpclient": geventhttpclient,
    "wrk": wrk,
}


def is_installed(name: str) -> bool:
    """Return whether the load generator can run here; only wrk may be missing."""
    return name != "wrk" or shutil.which("wrk") is not None


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=LOADS)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--sessions", type=int, default=1_000)
    options = parser.parse_args()
    cost = LOADS[options.name](options)
    sys.stdout.write(json.dumps(dataclasses.asdict(cost)))


if __name__ == "__main__":
    _main()
