"""What fresh processes take: several kinds of them in turn, so that load on the machine cancels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import ratios, summarize

__all__ = ["SCRIPT", "FreshProcess", "add_figures", "in_turn"]

_ROUNDS, _QUICK_ROUNDS = 21, 9
SCRIPT: Final = Path(__file__).with_name("first_request.py")
"""What runs in them; its first argument says which kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshProcess:
    """What one process took until it was done."""

    milliseconds: float
    """Of CPU time, from the start of the interpreter."""
    megabytes: float
    """Of resident memory at the end."""
    modules: tuple[str, ...]
    """The names of all modules."""


def in_turn(kinds: Sequence[Sequence[str]], rounds: int) -> list[list[FreshProcess]]:
    """Run one process of each kind after the other, `rounds` times, every other round backwards.

    All read their modules as bytecode, as installed ones are. Modules of a checkout, and of an
    image that forbids bytecode, would be compiled in each process.

    Args:
        kinds: The arguments of `SCRIPT`, for each kind of process.
        rounds: The number of processes of each kind, after one that writes the bytecode.

    Returns:
        A list for each kind, in the order of the rounds.

    """
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken: list[list[FreshProcess]] = [[] for _ in kinds]
    turns = [*zip(kinds, taken, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        environment = kept | {"PYTHONPYCACHEPREFIX": folder}
        for kind in kinds:
            _run(environment, kind)
        for number in range(rounds):
            for kind, found in turns if number % 2 else reversed(turns):
                found.append(_run(environment, kind))
    return taken


def add_figures(
    recorder: Recorder, figure_id: str, name: str, kinds: Sequence[Sequence[str]], raw_is: str
) -> None:
    """Add CPU time and memory of the first kind of process, over those of the second."""
    ours, others = in_turn(kinds, _QUICK_ROUNDS if recorder.is_quick else _ROUNDS)
    for what, title, unit, member in (
        ("time", "CPU time", "ms", "milliseconds"),
        ("memory", "memory", "MB", "megabytes"),
    ):
        taken = [getattr(one, member) for one in ours]
        baseline = [getattr(one, member) for one in others]
        recorder.add(
            Figure(
                id=f"{figure_id}.{what}",
                name=f"{name}: {title} of a fresh process",
                unit=unit,
                value=summarize(taken),
                raw=summarize(baseline).median,
                raw_is=raw_is,
                ratio=ratios(taken, baseline),
                details={
                    "modules": len(ours[0].modules),
                    "modules_of_baseline": len(others[0].modules),
                },
            )
        )


def _run(environment: Mapping[str, str], arguments: Sequence[str]) -> FreshProcess:
    command = [sys.executable, "-P", str(SCRIPT), *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    milliseconds, megabytes, modules = json.loads(ran.stdout)
    return FreshProcess(milliseconds=milliseconds, megabytes=megabytes, modules=tuple(modules))
