"""What a guard costs: over real HTTP, and as a call inside the process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from linqi_bench.timing import Sample, differences, summarize
from rivals.catalogue import Rival
from rivals.environments import HERE, Environment
from rivals.load import Generator
from rivals.processes import Died, Server, on_core, serving
from rivals.tokens import Mint

__all__ = ["Case", "Cost", "Pace", "measure"]

_HOT_TOKENS: Final = 8
_WARM_UP: Final = 500
"""Requests with fresh tokens before the first round."""
_WARM_UP_HOT: Final = {"python": 1000, "node": 12_000}
"""Requests with repeated tokens before that: the compiler of Node.js needs many."""
_MOST_REQUESTS: Final = 700
_LEAST_REQUESTS: Final = 100
_DECODE_TOKENS: Final = 3200
_DECODE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long is measured."""

    rounds: int = 15
    block_seconds: float = 0.05
    """CPU seconds of the guarded server that one block of requests should take."""
    decode_seconds: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one rival costs with one algorithm; microseconds of CPU."""

    app: str
    alg: str
    bare: Sample | None = None
    """One request to the rival's own application without the guard."""
    cold: Sample | None = None
    """What the guard adds to a request, every token distinct."""
    hot: Sample | None = None
    """The same, with eight tokens repeated."""
    decode_cold: Sample | None = None
    decode_hot: Sample | None = None
    note: str = ""
    """Why something is missing."""

    def as_json(self) -> dict[str, Any]:
        """Give all of it as members of a JSON object."""
        return asdict(self)

    @classmethod
    def of(cls, samples: Mapping[str, Sample], *, app: str, alg: str, note: str) -> Cost:
        """Put together what was measured."""
        return cls(
            app=app,
            alg=alg,
            bare=samples.get("bare"),
            cold=samples.get("cold"),
            hot=samples.get("hot"),
            decode_cold=samples.get("decode_cold"),
            decode_hot=samples.get("decode_hot"),
            note=note,
        )

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Cost:
        """Read what `as_json` gave."""
        samples = {n: Sample(**found) for n, found in members.items() if isinstance(found, dict)}
        return cls.of(samples, app=members["app"], alg=members["alg"], note=members["note"])


class Case:
    """The files of one algorithm that all rivals share."""

    def __init__(self, alg: str, folder: Path, pace: Pace) -> None:
        self.alg = alg
        self.mint = Mint(alg)
        self.material = folder / f"{alg}.json"
        self.mint.material.write(self.material)
        self.hot = folder / f"{alg}-hot.txt"
        self.cold = folder / f"{alg}-cold.txt"
        self.fresh = _WARM_UP + pace.rounds * _MOST_REQUESTS
        cold = [self.mint.token() for _ in range(max(self.fresh, _DECODE_TOKENS))]
        self.cold.write_text("\n".join(cold), "ascii")
        self.hot.write_text("\n".join(self.mint.token() for _ in range(_HOT_TOKENS)), "ascii")


def measure(
    rival: Rival,
    environment: Environment,
    cases: Sequence[Case],
    generator: Generator,
    pace: Pace,
) -> list[Cost]:
    """Measure `rival` with the algorithm of each case; what fails is said in the note."""
    costs = []
    for case in cases:
        if reason := rival.unsupported.get(case.alg):
            costs.append(Cost(app=rival.app, alg=case.alg, note=reason))
            continue
        taken: dict[str, Sample] = {}
        notes = []
        for way, how in (("HTTP", _over_http), ("decode", _in_process)):
            try:
                taken.update(how(rival, environment, case, generator, pace))
            except Died as error:
                notes.append(f"{way}: {error}")
        note = "; ".join(notes)
        costs.append(Cost.of(taken, app=rival.app, alg=case.alg, note=note))
    return costs


def _over_http(
    rival: Rival, environment: Environment, case: Case, generator: Generator, pace: Pace
) -> dict[str, Sample]:
    log = case.material.with_name(f"{rival.app}-{case.alg}.log")
    commands = [
        environment.command(rival, "serve", kind, str(case.material))
        for kind in ("bare", "guarded")
    ]
    with serving(commands, log, core=0) as (bare, guarded):
        generator.prepare("hot", case.hot)
        generator.prepare("cold", case.cold)

        def spend(server: Server, name: str, first: int, count: int) -> float:
            """Give the CPU microseconds of one of `count` requests."""
            before = server.cpu_nanoseconds()
            generator.send(server.port, name, first, count)
            return (server.cpu_nanoseconds() - before) / (1000 * count)

        spend(bare, "hot", 0, _WARM_UP_HOT[rival.runtime])
        spend(guarded, "hot", 0, _WARM_UP_HOT[rival.runtime])
        cost = spend(guarded, "cold", 0, _WARM_UP)
        count = round(pace.block_seconds * 1e6 / cost)
        count = max(_LEAST_REQUESTS, min(_MOST_REQUESTS, count))
        first = _WARM_UP
        bares: list[float] = []
        colds: list[float] = []
        hots: list[float] = []
        for number in range(pace.rounds):
            blocks = [(bare, "hot", bares), (guarded, "cold", colds), (guarded, "hot", hots)]
            for server, name, times in blocks if number % 2 else reversed(blocks):
                times.append(spend(server, name, first if name == "cold" else 0, count))
            first += count
    return {
        "bare": summarize(bares),
        "cold": differences(colds, bares),
        "hot": differences(hots, bares),
    }


def _in_process(
    rival: Rival, environment: Environment, case: Case, _: Generator, pace: Pace
) -> dict[str, Sample]:
    arguments = [str(case.material), str(case.cold), str(pace.decode_seconds)]
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
        raise Died(ran.stderr.strip().rpartition("\n")[2])
    taken = json.loads(ran.stdout)
    return {f"decode_{name}": summarize(times) for name, times in taken.items()}
