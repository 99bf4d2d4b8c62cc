"""``python -m rivals``: what the same work costs with other libraries, and what they let pass."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from rich.console import Console

from linqi_report.machine import describe_machine
from rivals.catalogue import ALGORITHMS, RIVALS, Rival
from rivals.environments import (
    Environment,
    EnvironmentMissing,
    current_environment,
    installed_environment,
)
from rivals.guard_cost import GuardCost, MeasurementPlan, TokenFiles, measure
from rivals.load import load_generator
from rivals.probe_run import ProbeOutcomes, observe
from rivals.processes import ProcessDied
from rivals.renewals import observe_renewals
from rivals.report import Report, as_markdown, print_report

__all__ = ["main"]

_QUICK: Final = MeasurementPlan(rounds=7, block_seconds=0.02, decode_seconds=0.15)
_QUICK_ALGORITHMS: Final = ("HS256", "RS256")
_OUTPUTS: Final = {"--json", "--markdown"}
_WIDTH: Final = 190
"""Columns of the table; a narrower terminal wraps its lines."""
_AT_ONCE: Final = 3
"""Rivals shown the probes at the same time: nothing is timed then but refusals."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser().parse_args(given)
    if chosen.show:
        parts = [Report.from_json(json.loads(path.read_text("utf-8"))) for path in chosen.show]
        report = Report.joined(parts)
    else:
        rivals = [rival for rival in RIVALS if _is_wanted(rival, chosen.only)]
        if not rivals:
            sys.stderr.write(f"no rival has {' or '.join(chosen.only)} in its name\n")
            return 2
        report = _run(rivals, chosen, _command(given))
    print_report(Console(width=max(Console().width, _WIDTH)), report)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report.as_json(), indent=1) + "\n", "utf-8")
    if chosen.markdown is not None:
        chosen.markdown.write_text(as_markdown(report), "utf-8")
    return 1 if chosen.only and report.missing else 0


def _run(rivals: Sequence[Rival], chosen: argparse.Namespace, command: str) -> Report:
    machine = describe_machine()
    environments: dict[str, Environment] = {}
    missing: dict[str, str] = {}
    for rival in rivals:
        try:
            environments[rival.app] = (
                current_environment(rival) if chosen.here else installed_environment(rival, _tell)
            )
        except EnvironmentMissing as error:
            missing[rival.app] = str(error)
    ready = [rival for rival in rivals if rival.app in environments]
    parts = {chosen.part} if chosen.part else {"costs"} if chosen.quick else {"costs", "behaviour"}
    costs: list[GuardCost] = []
    observed: list[ProbeOutcomes] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "costs" in parts:
            plan = _QUICK if chosen.quick else MeasurementPlan()
            usual = _QUICK_ALGORITHMS if chosen.quick else ALGORITHMS
            algorithms = chosen.algorithms or usual
            costs = _measure_all(ready, environments, algorithms, plan, folder)
        if "behaviour" in parts:
            observed = _observe_all(ready, environments, folder)
    return Report(
        machine=machine,
        command=command,
        versions={rival.app: environments[rival.app].versions for rival in ready},
        costs=tuple(costs),
        observed=tuple(observed),
        missing=missing,
    )


def _measure_all(
    rivals: Sequence[Rival],
    environments: dict[str, Environment],
    algorithms: Sequence[str],
    plan: MeasurementPlan,
    folder: Path,
) -> list[GuardCost]:
    token_files = [TokenFiles(alg, folder, plan) for alg in algorithms]
    costs = []
    with load_generator() as generator:
        for rival in rivals:
            _tell(f"measuring {rival.name}")
            costs.extend(measure(rival, environments[rival.app], token_files, generator, plan))
    return costs


def _observe_all(
    rivals: Sequence[Rival], environments: dict[str, Environment], folder: Path
) -> list[ProbeOutcomes]:
    def one(rival: Rival) -> ProbeOutcomes:
        _tell(f"showing the probes to {rival.name}")
        environment = environments[rival.app]
        found = observe(rival, environment, folder)
        try:
            return replace(found, renewals=observe_renewals(rival, environment, folder))
        except ProcessDied as error:
            return replace(found, renewals={"signing in": str(error)})

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [*pool.map(one, rivals)]


def _command(given: Sequence[str]) -> str:
    """Return the command line without its output files, since a report may be published."""
    kept = [
        word
        for before, word in pairwise(["", *given])
        if not {before, word} & _OUTPUTS and not word.startswith(tuple(f"{o}=" for o in _OUTPUTS))
    ]
    return f"python -m rivals {shlex.join(kept)}".strip()


def _is_wanted(rival: Rival, words: Sequence[str]) -> bool:
    return not words or any(word in rival.app or word in rival.name for word in words)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rivals",
        description="Measure what the same work costs with other libraries, and show them probes.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="end within 4 min: two algorithms, no probes"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="only names with WORD"
    )
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, metavar="ALG")
    parser.add_argument("--part", choices=["costs", "behaviour"], help="half of a run")
    parser.add_argument(
        "--here", action="store_true", help="only what runs in this environment; installs nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all of it there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a page there")
    parser.add_argument(
        "--show", type=Path, nargs="+", metavar="FILE", help="print earlier results as one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
