"""``python -m distributed``, called by ``make distributed``: runs and judges the scenarios."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from counter_judge import judge_file
from distributed.history import FOLDER, History, read
from distributed.verdict import Verdict, verdict_of

_TESTS: Final = Path(__file__).parent.parent
SLICE: Final = (
    "test_half_of_the_workers_are_cut_off[valkey]",
    "test_a_planned_failover_of_sentinel[min-replicas-1]",
    "test_primaries_of_a_cluster_are_killed[min-replicas-1]",
    "test_the_primary_is_killed_and_the_standby_promoted[sync]",
)
"""Of the tests' names, for continuous integration: at most 3 minutes together."""
_COLUMNS: Final = (
    *("scenario", "engine", "operations", "acknowledged", "503", "no answer"),
    *("signed out", "thefts caught", "accepted after end", "longest wait"),
    *("loss", "verdict", "judge"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 0 if every scenario passed and the judges agree."""
    options = _options().parse_args(arguments)
    if options.judge:
        return _judged()
    shutil.rmtree(FOLDER, ignore_errors=True)
    words = SLICE if options.slice else options.only
    tests = _TESTS / "distributed" if options.slice else _TESTS
    command = [sys.executable, "-m", "pytest", str(tests), "-m", "distributed", "-q"]
    command += ["-n", "2", "--dist", "loadfile"]
    if words:
        command += ["-k", " or ".join(f"({word})" for word in words)]
    if options.list:
        return subprocess.run([*command, "--collect-only"], check=False).returncode
    began = time.monotonic()
    ended = subprocess.run(command, check=False, cwd=_TESTS.parent)
    print(f"{time.monotonic() - began:.0f} s")
    return _judged() or ended.returncode


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make distributed DISTRIBUTED_ARGS=...")
    parser.add_argument("--slice", action="store_true", help="a few scenarios, within 3 minutes")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="of the names of scenarios"
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--judge", action="store_true", help="judge the histories of the last run")
    return parser


def _judged() -> int:
    """Print one line for each history; return 1 if any has a fault, or the judges disagree."""
    table = Table(title=f"histories in {FOLDER.relative_to(_TESTS.parent)}")
    for name in _COLUMNS:
        table.add_column(name, no_wrap=name == "scenario")
    faults: list[str] = []
    for path in sorted(FOLDER.glob("*.jsonl")):
        history = read(path)
        found, other = verdict_of(history), judge_file(path)
        table.add_row(*_row(history, found), "pass" if not other.faults else "FAIL")
        faults += [f"{path.stem}: {fault}" for fault in found.faults]
        faults += [f"{path.stem}, judge: {fault}" for fault in other.faults]
        if bool(found.faults) != bool(other.faults):
            faults.append(f"{path.stem}: the judges disagree")
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(table)
    for fault in faults[:40]:
        print(fault[:600])
    return 1 if faults else 0


def _row(history: History, found: Verdict) -> list[str]:
    header = history.header
    loss = f"{found.lost or 'none seen'}; prevented by {header.prevented_by}"
    return [
        header.scenario,
        header.engine,
        f"{found.operations:,}",
        f"{found.acknowledged:,}",
        f"{found.unavailable:,}",
        f"{found.unanswered:,}",
        str(found.signed_out_sessions),
        f"{found.caught}/{found.thefts}",
        f"{found.latest:.1f} s",
        f"{found.wait:.1f} s",
        loss if header.may_forget else "none",
        "FAIL" if found.faults else "pass",
    ]


if __name__ == "__main__":
    sys.exit(main())
