"""Runs the suites and prints each figure beside its budget: ``python -m linqi_bench``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from linqi_bench.machine import describe_machine
from linqi_bench.recorder import Recorder
from linqi_bench.report import as_json, as_markdown, print_report

__all__ = ["main", "measure"]

_SUITES: Final = (
    "verification", "cache", "keys", "middleware", "renewal", "signing", "sessions", "stores",
    "client",
)  # fmt: skip
_FULL_SECONDS: Final = 4.0
_QUICK_SECONDS: Final = 0.8
_FAILED: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what `arguments` ask for; 0, or 1 for a broken budget with ``--check``, or 2."""
    chosen = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    machine = describe_machine()  # first, so that the load is not our own
    started = time.monotonic()
    with Console(stderr=True).status("starting") as status:
        seconds = _QUICK_SECONDS if chosen.quick else _FULL_SECONDS
        recorder = measure(seconds, chosen.only, lambda name: status.update(f"measuring {name}"))
    if recorder.failures or not recorder.figures:
        sys.stderr.write("\n".join(recorder.failures) or "nothing matches --only\n")
        return _FAILED
    print_report(console, recorder.figures, machine)
    settings = {
        "quick": chosen.quick,
        "only": chosen.only,
        "took_seconds": round(time.monotonic() - started, 1),
    }
    if chosen.json is not None:
        report = as_json(recorder.figures, machine, settings)
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if chosen.markdown is not None:
        command = " ".join(["python -m linqi_bench", *(["--quick"] if chosen.quick else [])])
        chosen.markdown.write_text(as_markdown(recorder.figures, machine, command), "utf-8")
    broken = [figure.name for figure in recorder.figures if figure.verdict == "broken"]
    if chosen.check and broken:
        sys.stderr.write(f"over budget by a clear margin: {', '.join(broken)}\n")
        return 1
    return 0


def measure(seconds: float, only: str | None, tell: Callable[[str], object]) -> Recorder:
    """Run the suites under pytest, each figure for about `seconds`; `only` is a -k expression.

    Neither configuration files nor other plugins of the surroundings take part.
    """
    home = Path(__file__).parent
    recorder = Recorder(seconds, tell)
    options = [
        *("-c", os.devnull, "--rootdir", str(home), "--disable-plugin-autoload"),
        *("-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", "-p", "no:logging"),
        *("-p", "no:terminal", "--capture=no", "--assert=plain"),
        *(f"--benchmark-max-time={seconds}", "--benchmark-quiet"),
        *(["-k", only] if only else []),
    ]
    pytest.main([*options, *(str(home / f"{name}.py") for name in _SUITES)], [recorder])
    return recorder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m linqi_bench",
        description="Measure what a token costs here, beside the budget of each figure.",
    )
    parser.add_argument("--quick", action="store_true", help="end within 60 s")
    parser.add_argument("--only", metavar="WORD", help="only the tests whose name has WORD")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a table there")
    parser.add_argument(
        "--check", action="store_true", help="fail when a budget is exceeded by a clear margin"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
