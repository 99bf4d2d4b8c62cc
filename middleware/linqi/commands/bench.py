"""``linqi bench``: measures what a token costs on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

__all__ = ["DESCRIPTION", "add_options", "run"]

DESCRIPTION: Final = "Measure what a token costs on this machine, with the settings of linqi.toml."
_MISSING: Final = 2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer figures, within 60 s (10 min otherwise)")
    add("--only", metavar="WORDS", help="only the tests whose names match, as pytest's -k")
    add("--config", type=Path, metavar="FILE", help="default: linqi.toml, where there is one")
    add(
        "--json", type=Path, metavar="FILE", default=Path("linqi-bench.json"),
        help="the result file, which linqi tune reads (default: %(default)s)",
    )  # fmt: skip
    add(
        "--html", type=Path, metavar="FILE", default=Path("linqi-bench.html"),
        help="the page with charts (default: %(default)s)",
    )  # fmt: skip
    add("--markdown", type=Path, metavar="FILE", help="also write a table there")
    add("--compare", type=Path, metavar="OLD", help="tell what changed since an old result file")
    add(
        "--soak",
        type=int,
        metavar="REQUESTS",
        help="instead: serve so many requests in this process and show its memory",
    )
    add("--check", action="store_true", help="fail when a budget is exceeded by a clear margin")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 2 where something that the benchmarks need is not installed."""
    try:
        from linqi_bench.command import run_bench
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'linqi[bench]'", file=sys.stderr)
        return _MISSING
    return run_bench(arguments)
