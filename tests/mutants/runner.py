"""Runs mutants and controls, each in a storm of its own, and judges the results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.results import StormRun
from mutants.registry import Mutant
from mutants.storms import Storm

__all__ = ["Outcome", "Verdict", "judge_control", "judge_mutant", "run_one"]

Verdict: TypeAlias = Literal["killed", "survives", "passed", "UNEXPECTED", "ERROR"]

_SITE: Final = Path(__file__).parent / "site"
_PATIENCE_SECONDS: Final = 120.0
_RESULTS: Final = (0, 1, 3)
"""The exit codes of `linqi storm` with a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on one mutant or control."""

    name: str
    storm: str
    verdict: Verdict
    why: str
    """What killed it, or what is wrong."""
    failed: dict[str, str] = field(default_factory=dict)
    is_void: bool = False
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether it is what was expected."""
        return self.verdict in ("killed", "survives", "passed")


def judge_mutant(mutant: Mutant, failed: Sequence[str]) -> tuple[Verdict, str]:
    """Return the verdict on a mutant whose storm had a result in which `failed` failed."""
    if mutant.survives:
        if failed:
            return "UNEXPECTED", f"is known to survive, but was killed by {', '.join(failed)}"
        return "survives", mutant.survives
    if mutant.killed_by in failed:
        return "killed", mutant.killed_by
    expected = repr(mutant.killed_by) if mutant.killed_by else "an invariant that is still missing"
    if failed:
        return "UNEXPECTED", f"killed by {', '.join(failed)}, not by {expected}"
    return "UNEXPECTED", f"survived; expected to be killed by {expected}"


def judge_control(failed: Sequence[str], *, is_void: bool) -> tuple[Verdict, str]:
    """Return the verdict on a run without a mutant."""
    if failed:
        return "UNEXPECTED", f"failed without a mutant: {', '.join(failed)}"
    if is_void:
        return "ERROR", "void every time: the machine is too busy"
    return "passed", ""


def run_one(name: str, storm: Storm, mutant: Mutant | None, *, tries: int) -> Outcome:
    """Run `storm` with or without a mutant, and judge it.

    A run in which nothing failed and that is void says nothing: it is made again, up to `tries`
    times in all.
    """
    began = time.monotonic()
    result: StormRun | str = ""
    for _ in range(tries):
        result = _run_storm(storm, mutant)
        if isinstance(result, str) or result.generator.is_valid or _is_decided(result, mutant):
            break
    seconds = round(time.monotonic() - began, 1)
    if isinstance(result, str):
        return Outcome(name=name, storm=storm[0], verdict="ERROR", why=result, seconds=seconds)
    failed, is_void = _failed(result), not result.generator.is_valid
    verdict, why = (
        judge_control([*failed], is_void=is_void)
        if mutant is None
        else judge_mutant(mutant, [*failed])
    )
    return Outcome(
        name=name,
        storm=storm[0],
        verdict=verdict,
        why=why,
        failed=failed,
        is_void=is_void,
        seconds=seconds,
    )


def _failed(run: StormRun) -> dict[str, str]:
    """Return what failed, each with the value seen; of a void run what is true in any case."""
    return {
        check.name: f"{check.measured}, expected {check.expected} {check.detail}".strip()
        for check in run.broken
    }


def _is_decided(run: StormRun, mutant: Mutant | None) -> bool:
    """Return whether a void run says enough."""
    return bool(run.broken) if mutant is None else mutant.killed_by in _failed(run)


def _run_storm(storm: Storm, mutant: Mutant | None) -> StormRun | str:
    """Return the result of one storm, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="linqi-mutant-") as name:
        folder = Path(name)
        output, marks = folder / "storm.json", folder / "marks"
        marks.mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if mutant:
            environment |= {
                "PYTHONPATH": str(_SITE),
                "LINQI_MUTANT": mutant.name,
                "LINQI_MUTANT_MARKS": str(marks),
            }
        ended = _run(
            [sys.executable, "-m", "linqi", "storm", *storm, "--output", str(output)],
            folder,
            environment,
        )
        if isinstance(ended, str):
            return ended
        if not output.exists() or ended.returncode not in _RESULTS:
            return f"linqi storm ended with {ended.returncode}: {ended.stdout[-300:].strip()}"
        if mutant and not [*marks.glob("applied-*")]:
            return "the mutant is in no server worker"
        if mutant and not [*marks.glob("reached-*")]:
            return "the mutant's code was never reached"
        return load_run(output)


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str] | str:
    """Run `command` in a process group of its own, which a time-out ends as a whole."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=_PATIENCE_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"linqi storm did not end within {_PATIENCE_SECONDS:g} s"
        return subprocess.CompletedProcess([*command], process.returncode, output)


def as_json(outcomes: Sequence[Outcome]) -> Any:
    """Return the outcomes for a file."""
    return msgspec.json.format(msgspec.json.encode(outcomes), indent=1)
