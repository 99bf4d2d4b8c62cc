"""Runs one storm from its order to its result."""

from __future__ import annotations

import asyncio
import contextlib
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
from linqi_storm.clients.ledger import Book
from linqi_storm.run.assembly import assemble
from linqi_storm.run.local_target import LocalTarget
from linqi_storm.run.targets import StormTarget, plan_of
from linqi_storm.run.url_target import UrlTarget
from linqi_storm.scenarios import Scenario, find_scenario
from linqi_storm.schema.order import Order
from linqi_storm.schema.plan import People, write_people, write_plan
from linqi_storm.schema.results import StormRun, Window

__all__ = ["Progress", "StormError", "run_storm"]

_LEAD_SECONDS: Final = 0.7
"""From when everybody has tokens until the barrier, so that every generator is ready."""
_PATIENCE_SECONDS: Final = 90.0
_LAST_SAMPLE_SECONDS: Final = 1.2


class StormError(LinqiError):
    """A storm could not be run to its end; the message says why."""

    code = "storm_failed"


Progress = Callable[[str, float, Book], None]
"""Hears what is being done, the second of the run (negative before the barrier), and the counts."""


@dataclass(slots=True)
class _Stage:
    """The servers as the scenario sees them, on the clock of the run."""

    target: StormTarget
    begins_at: float
    say_aloud: Callable[[str], None]
    windows: list[Window] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def now(self) -> float:
        return time.time() - self.begins_at

    async def until(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self.now()))

    async def restart_workers(self) -> None:
        await self.target.restart_workers()

    async def store_down(self) -> None:
        await self.target.store_down()

    async def store_up(self) -> None:
        await self.target.store_up()

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        return await self.target.issuer(**command)

    def mark(self, label: str, begins: float, ends: float) -> None:
        self.windows.append(Window(label=label, begins=begins, ends=ends))

    def say(self, text: str) -> None:
        self.notes.append(f"{self.now():.1f} s: {text}")
        self.say_aloud(text)


def run_storm(order: Order, progress: Progress = lambda *_: None) -> StormRun:
    """Run the storm; `StormError` or `ServerDiedError` when it cannot be run to its end."""
    scenario = find_scenario(order.scenario)(order.shape, order.options)
    target = choose_target(order, scenario)
    with tempfile.TemporaryDirectory(prefix="linqi-storm-") as name:
        folder = Path(name)
        progress("starting the servers", -1, Book())
        with target.running(folder):
            plan = plan_of(order, scenario, target)
            write_plan(plan, folder / "plan.json")
            with _generator(folder, order.generators) as generator:
                return asyncio.run(_run(order, scenario, target, folder, generator, progress))


def choose_target(order: Order, scenario: Scenario) -> StormTarget:
    """Give the target that the order names."""
    return UrlTarget(order, scenario) if order.url else LocalTarget(order, scenario)


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
    order: Order,
    scenario: Scenario,
    target: StormTarget,
    folder: Path,
    generator: subprocess.Popen[bytes],
    progress: Progress,
) -> StormRun:
    progress(f"signing in {order.shape.sessions} sessions", -1, Book())
    await _wait_until_ready(folder, generator)
    for patience in (1, 3, 9):
        # On a whole second, as the workers' samples are: one sample is one second of the run.
        begins_at = math.ceil(time.time() + patience * target.people_seconds() + _LEAD_SECONDS)
        credentials, refused = await target.people(scenario, begins_at)
        if time.time() < begins_at - _LEAD_SECONDS / 2:
            break
    else:
        raise StormError("the machine is too busy to sign the sessions in by the barrier")
    people = People(begins_at=begins_at, credentials=tuple(credentials), refused=tuple(refused))
    write_people(people, folder / "people.json")
    asked_before = await target.issuer_requests()
    follower = _Follower(folder / "ledger.jsonl")

    def say(text: str) -> None:
        progress(text, time.time() - begins_at, follower.book)

    stage = _Stage(target, begins_at, say)
    conducting = asyncio.create_task(scenario.conduct(stage))
    try:
        await _follow(order, target, generator, follower, progress, begins_at, conducting)
    finally:
        conducting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await conducting
    if generator.returncode:
        raise StormError(f"the generator ended: {_tail(folder / 'generator.log')}")
    await asyncio.sleep(_LAST_SAMPLE_SECONDS)
    asked = await target.issuer_requests()
    if asked is not None and asked_before is not None:
        asked -= asked_before
    return assemble(
        order,
        scenario,
        target.describe(),
        follower.book,
        begins_at=begins_at,
        samples=target.samples(),
        windows=stage.windows,
        notes=stage.notes,
        issuer_requests=asked,
    )


async def _wait_until_ready(folder: Path, generator: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (folder / "ready").exists():
        if generator.poll() is not None or time.monotonic() > deadline:
            raise StormError(f"the generator did not start: {_tail(folder / 'generator.log')}")
        await asyncio.sleep(0.02)


async def _follow(
    order: Order,
    target: StormTarget,
    generator: subprocess.Popen[bytes],
    follower: _Follower,
    progress: Progress,
    begins_at: float,
    conducting: asyncio.Task[None],
) -> None:
    deadline = begins_at + order.shape.duration + _PATIENCE_SECONDS
    while generator.poll() is None:
        await asyncio.sleep(0.25)
        target.check()
        if conducting.done() and not conducting.cancelled() and (error := conducting.exception()):
            raise StormError(f"the scenario could not go on: {error}") from error
        follower.read()
        progress("", time.time() - begins_at, follower.book)
        if time.time() > deadline:
            raise StormError("the generator did not end in time")
    follower.read()


class _Follower:
    """Reads what the generators append to their ledger, as it comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.book = Book()

    def read(self) -> None:
        """Add what is new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.book.merge(msgspec.json.decode(line))


def _tail(log: Path) -> str:
    return " | ".join(log.read_text("utf-8", "replace").splitlines()[-6:]) or "it said nothing"
