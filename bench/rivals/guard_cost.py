"""What a guard costs: over real HTTP, and as a call inside the process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from linqi_bench.timing import TimedBlocks, differences, summarize
from linqi_report.processes import on_core
from rivals.catalogue import Rival
from rivals.environments import HERE, Environment
from rivals.load import LoadGenerator
from rivals.processes import ProcessDied, Server, running_servers
from rivals.tokens import Mint

__all__ = ["GuardCost", "MeasurementPlan", "TokenFiles", "measure"]

_HOT_TOKENS: Final = 8
_CROWD_TOKENS: Final = 10_000
_COLUMNS: Final = ("bare", "cold", "claims", "crowd", "hot", "decode_cold", "decode_hot")
_WARM_UP: Final = 500
"""Requests with fresh tokens before the first round."""
_WARM_UP_HOT: Final = {"python": 1000, "node": 12_000}
"""Requests with repeated tokens before that: the compiler of Node.js needs many."""
_MOST_REQUESTS: Final = 400
_LEAST_REQUESTS: Final = 100
_DECODE_TOKENS: Final = 3200
_DECODE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementPlan:
    """How many rounds are measured, and how long each takes."""

    rounds: int = 15
    block_seconds: float = 0.05
    """CPU seconds of the guarded server that one block of requests should take."""
    decode_seconds: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCost:
    """What one rival costs with one algorithm; microseconds of CPU."""

    app: str
    alg: str
    bare: TimedBlocks | None = None
    """One request to the rival's own application without the guard."""
    cold: TimedBlocks | None = None
    """What the guard adds to a request, every token distinct."""
    claims: TimedBlocks | None = None
    """The same, and the application reads another claim besides the subject."""
    crowd: TimedBlocks | None = None
    """The same as cold with 10,000 tokens in turn, each presented before where there is a cache."""
    hot: TimedBlocks | None = None
    """The same, with eight tokens repeated."""
    decode_cold: TimedBlocks | None = None
    decode_hot: TimedBlocks | None = None
    note: str = ""
    """Why something is missing."""

    def as_json(self) -> dict[str, Any]:
        """Return the members of a JSON object."""
        return asdict(self)

    @classmethod
    def of(cls, samples: Mapping[str, TimedBlocks], *, app: str, alg: str, note: str) -> GuardCost:
        """Return the cost with the measured blocks."""
        found = {name: samples.get(name) for name in _COLUMNS}
        return cls(app=app, alg=alg, note=note, **found)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> GuardCost:
        """Read the members that `as_json` returned."""
        samples = {
            name: TimedBlocks(**found) for name, found in members.items() if isinstance(found, dict)
        }
        return cls.of(samples, app=members["app"], alg=members["alg"], note=members["note"])


class TokenFiles:
    """The files of one algorithm that all rivals share."""

    def __init__(self, alg: str, folder: Path, plan: MeasurementPlan) -> None:
        self.alg = alg
        self.mint = Mint(alg)
        self.material = folder / f"{alg}.json"
        self.mint.material.write(self.material)
        fresh = _WARM_UP + 2 * plan.rounds * _MOST_REQUESTS
        self.hot = self._write(folder, "hot", _HOT_TOKENS)
        self.cold = self._write(folder, "cold", max(fresh, _DECODE_TOKENS))
        self.crowd = self._write(folder, "crowd", _CROWD_TOKENS)

    def _write(self, folder: Path, name: str, count: int) -> Path:
        path = folder / f"{self.alg}-{name}.txt"
        path.write_text("\n".join(self.mint.token() for _ in range(count)), "ascii")
        return path


def measure(
    rival: Rival,
    environment: Environment,
    token_files: Sequence[TokenFiles],
    generator: LoadGenerator,
    plan: MeasurementPlan,
) -> list[GuardCost]:
    """Measure `rival` with the algorithm of each case; failures are in the note."""
    costs = []
    for files in token_files:
        if reason := rival.unsupported.get(files.alg):
            costs.append(GuardCost(app=rival.app, alg=files.alg, note=reason))
            continue
        taken: dict[str, TimedBlocks] = {}
        notes = []
        for way, how in (("HTTP", _over_http), ("decode", _in_process)):
            try:
                taken.update(how(rival, environment, files, generator, plan))
            except ProcessDied as error:
                notes.append(f"{way}: {error}")
        note = "; ".join(notes)
        costs.append(GuardCost.of(taken, app=rival.app, alg=files.alg, note=note))
    return costs


def _over_http(
    rival: Rival,
    environment: Environment,
    files: TokenFiles,
    generator: LoadGenerator,
    plan: MeasurementPlan,
) -> dict[str, TimedBlocks]:
    log = files.material.with_name(f"{rival.app}-{files.alg}.log")
    commands = [
        environment.command(rival, "serve", kind, str(files.material))
        for kind in ("bare", "guarded")
    ]
    with running_servers(commands, log, core=0) as (bare, guarded):
        generator.prepare("hot", files.hot)
        generator.prepare("cold", files.cold)
        generator.prepare("claims", files.cold, "/tenant")
        generator.prepare("crowd", files.crowd)

        def spend(server: Server, name: str, first: int, count: int) -> float:
            """Return the CPU microseconds of one of `count` requests."""
            before = server.cpu_nanoseconds()
            generator.send(server.port, name, first, count)
            return (server.cpu_nanoseconds() - before) / (1000 * count)

        spend(bare, "hot", 0, _WARM_UP_HOT[rival.runtime])
        spend(guarded, "hot", 0, _WARM_UP_HOT[rival.runtime])
        if rival.caches:
            for first in range(0, _CROWD_TOKENS, _WARM_UP):
                spend(guarded, "crowd", first, _WARM_UP)
        cost = spend(guarded, "cold", 0, _WARM_UP)
        count = round(plan.block_seconds * 1e6 / cost)
        count = max(_LEAST_REQUESTS, min(_MOST_REQUESTS, count))
        blocks = [(bare, "hot"), *((guarded, name) for name in _guarded_columns(rival))]
        times: list[list[float]] = [[] for _ in blocks]
        for number in range(plan.rounds):
            fresh = _WARM_UP + 2 * count * number
            starts = {"cold": fresh, "claims": fresh + count, "crowd": count * number, "hot": 0}
            turns = [*zip(blocks, times, strict=True)]
            for (server, name), taken in turns if number % 2 else reversed(turns):
                taken.append(spend(server, name, starts[name], count))
    bares, *guardeds = times
    added = (differences(taken, bares) for taken in guardeds)
    return {"bare": summarize(bares), **dict(zip(_guarded_columns(rival), added, strict=True))}


def _guarded_columns(rival: Rival) -> tuple[str, ...]:
    return ("cold", "claims", "crowd", "hot") if rival.reads_claims else ("cold", "crowd", "hot")


def _in_process(
    rival: Rival,
    environment: Environment,
    files: TokenFiles,
    _: LoadGenerator,
    plan: MeasurementPlan,
) -> dict[str, TimedBlocks]:
    arguments = [str(files.material), str(files.cold), str(plan.decode_seconds)]
    with on_core(0):
        ran = subprocess.run(
            environment.command(rival, "decode", *arguments),
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            capture_output=True,
            text=True,
            timeout=_DECODE_SECONDS,
        )
    if ran.returncode:
        raise ProcessDied(ran.stderr.strip().rpartition("\n")[2])
    taken = json.loads(ran.stdout)
    return {f"decode_{name}": summarize(times) for name, times in taken.items()}
