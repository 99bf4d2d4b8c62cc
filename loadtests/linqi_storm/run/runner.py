"""Runs one storm from its settings to its result."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from linqi import LinqiError
from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.run.assembly import assemble
from linqi_storm.run.local_target import LocalTarget
from linqi_storm.run.preflight import run_preflight
from linqi_storm.run.server_pace import overload_of, server_request_us
from linqi_storm.run.targets import StormTarget, lead_of, plan_of
from linqi_storm.run.url_target import UrlTarget
from linqi_storm.scenarios import Scenario, find_scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import GeneratorPlan, write_clients, write_plan
from linqi_storm.schema.results import StormRun, Window

__all__ = ["Progress", "StormError", "run_storm"]

_PATIENCE_SECONDS: Final = 90.0
_LAST_SAMPLE_SECONDS: Final = 1.2


class StormError(LinqiError):
    """A storm could not be completed; the message says why."""

    code = "storm_failed"


Progress = Callable[[str, float, LoadTotals], None]
"""Receives the current step, the second of the run (negative before the barrier), and counts."""


@dataclass(slots=True)
class _RunControl:
    """The servers under test, as a scenario controls them on the clock of the run."""

    target: StormTarget
    begins_at: float
    show: Callable[[str], None]
    windows: list[Window] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def now(self) -> float:
        return time.time() - self.begins_at

    async def until(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self.now()))

    async def restart_workers(self, *, at_once: bool = False) -> None:
        await self.target.restart_workers(at_once=at_once)

    async def store_down(self) -> None:
        await self.target.store_down()

    async def store_up(self) -> None:
        await self.target.store_up()

    async def fail_over(self) -> None:
        await self.target.fail_over()

    async def set_clock(self, ahead: float) -> None:
        await self.target.set_clock(ahead)

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        return await self.target.issuer(**command)

    def mark(self, label: str, begins: float, ends: float) -> None:
        self.windows.append(Window(label=label, begins=begins, ends=ends))

    def say(self, text: str) -> None:
        self.notes.append(f"{self.now():.1f} s: {text}")
        self.show(text)


def run_storm(storm: StormConfig, progress: Progress = lambda *_: None) -> StormRun:
    """Run a storm and return its result.

    Args:
        storm: Its settings.
        progress: Receives the steps and counts during the run.

    Raises:
        ConfigurationError: If the scenario and the target do not fit.
        StormError: If the storm cannot be completed.
        ServerDiedError: If a server under test ends unexpectedly.

    """
    scenario = find_scenario(storm.scenario)(storm.load, storm.options)
    target = choose_target(storm, scenario)
    with tempfile.TemporaryDirectory(prefix="linqi-storm-") as name:
        folder = Path(name)
        progress("starting the servers", -1, LoadTotals())
        with target.running(folder):
            plan = plan_of(storm, scenario, target)
            found = run_preflight(plan, target.describe())
            plan = plan.with_public(found.public).with_guests(found.guests)
            notes = [*found.notes, *_overload(storm, scenario, target, plan)]
            for note in notes:
                progress(note, -1, LoadTotals())
            write_plan(plan, folder / "plan.json")
            with _generator(folder, storm.generators) as generator:
                run = asyncio.run(_run(storm, scenario, target, folder, generator, progress))
                return dataclasses.replace(run, notes=(*notes, *run.notes))


def _overload(
    storm: StormConfig, scenario: Scenario, target: StormTarget, plan: GeneratorPlan
) -> list[str]:
    """Return a note if the workers cannot carry the load on this machine."""
    request_us = server_request_us(plan, scenario, target.pids())
    if request_us is None:
        return []
    note = overload_of(scenario, request_us, storm.workers, generators=storm.generators)
    return [note] if note else []


def choose_target(storm: StormConfig, scenario: Scenario) -> StormTarget:
    """Return the target that `storm` names."""
    return UrlTarget(storm, scenario) if storm.url else LocalTarget(storm, scenario)


@contextlib.contextmanager
def _generator(folder: Path, processes: int) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "generator.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [
                *(sys.executable, "-m", "linqi_storm.clients.generator", str(folder)),
                *("--processes", str(processes)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _run(
    storm: StormConfig,
    scenario: Scenario,
    target: StormTarget,
    folder: Path,
    generator: subprocess.Popen[bytes],
    progress: Progress,
) -> StormRun:
    progress(f"signing in {storm.load.sessions} sessions", -1, LoadTotals())
    await _wait_until_ready(folder, generator)
    lead = lead_of(storm.load)
    for patience in (1, 3, 9):
        # On a whole second, like the samples of the workers: one sample is one second of the run.
        planned = math.ceil(time.time() + patience * target.sign_in_seconds() + lead)
        clients = await target.clients(scenario, planned)
        begins_at = clients.begins_at
        if time.time() < begins_at - lead / 2:
            break
    else:
        raise StormError("the machine is too busy to sign all sessions in before the load begins")
    write_clients(clients, folder / "clients.json")
    fetches_before = await target.issuer_requests()
    follower = _Follower(folder / "counts.jsonl")

    def say(text: str) -> None:
        progress(text, time.time() - begins_at, follower.totals)

    control = _RunControl(target, begins_at, say)
    disturbance = asyncio.create_task(scenario.disturb(control))
    try:
        await _follow(storm, target, generator, follower, progress, begins_at, disturbance)
    finally:
        disturbance.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await disturbance
    if generator.returncode:
        raise StormError(f"the load generator ended: {_tail(folder / 'generator.log')}")
    await asyncio.sleep(_LAST_SAMPLE_SECONDS)
    fetches = await target.issuer_requests()
    if fetches is not None and fetches_before is not None:
        fetches -= fetches_before
    return assemble(
        storm,
        scenario,
        target.describe(),
        follower.totals,
        begins_at=begins_at,
        samples=target.samples(),
        windows=control.windows,
        notes=control.notes,
        issuer_requests=fetches,
    )


async def _wait_until_ready(folder: Path, generator: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (folder / "ready").exists():
        if generator.poll() is not None or time.monotonic() > deadline:
            raise StormError(f"the load generator did not start: {_tail(folder / 'generator.log')}")
        await asyncio.sleep(0.02)


async def _follow(
    storm: StormConfig,
    target: StormTarget,
    generator: subprocess.Popen[bytes],
    follower: _Follower,
    progress: Progress,
    begins_at: float,
    disturbance: asyncio.Task[None],
) -> None:
    deadline = begins_at + storm.load.duration + _PATIENCE_SECONDS
    while generator.poll() is None:
        await asyncio.sleep(0.25)
        target.check()
        if (
            disturbance.done()
            and not disturbance.cancelled()
            and (error := disturbance.exception())
        ):
            raise StormError(f"the scenario failed: {error}") from error
        follower.read()
        progress("", time.time() - begins_at, follower.totals)
        if time.time() > deadline:
            raise StormError("the load generator did not end in time")
    follower.read()


class _Follower:
    """Reads the counts that the generators append to their file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.totals = LoadTotals()

    def read(self) -> None:
        """Add the new lines."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.totals.merge(msgspec.json.decode(line))


def _tail(log: Path) -> str:
    return " | ".join(log.read_text("utf-8", "replace").splitlines()[-6:]) or "its log is empty"
