"""``linqi bench``: the cost of a token on this machine, compared with budgets and old runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import ConfigurationError
from linqi_bench.comparison import compare
from linqi_bench.pytest_run import measure
from linqi_bench.report import as_markdown, print_comparison, print_report
from linqi_bench.result_page import result_page
from linqi_bench.results import Result, ResultError
from linqi_bench.settings import Settings
from linqi_bench.soak import MemoryReading, soak
from linqi_report.output_files import check_writable

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi bench", "all figures, within 20 minutes"),
        Example(
            "linqi bench --quick --check", "in continuous integration: fail if a budget is exceeded"
        ),
        Example(
            'linqi bench --only "cold or hit" --compare old.json',
            "some figures, beside those of an earlier result",
        ),
    ],
    exits={
        0: "the figures were measured",
        1: "with --check: a budget is exceeded by a clear margin; with --soak: the memory grew",
    },
)

_FAILED = 2
_SLACK_BYTES = 8_000_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer figures, within 2 min (20 min otherwise)")
    add("--only", metavar="WORDS", help="only the tests whose names match, as pytest's -k")
    add("--config", type=Path, metavar="FILE", help="default: linqi.toml, where there is one")
    result = "the result file, which linqi tune reads (default: %(default)s)"
    add("--json", type=Path, metavar="FILE", default=Path("linqi-bench.json"), help=result)
    charts = "the page with charts (default: %(default)s)"
    add("--html", type=Path, metavar="FILE", default=Path("linqi-bench.html"), help=charts)
    add("--markdown", type=Path, metavar="FILE", help="also write the table as Markdown")
    add("--compare", type=Path, metavar="OLD", help="print what changed since an old result file")
    other = "a served test also serves the linqi of this other environment's interpreter, in turn"
    add("--against", type=Path, metavar="PYTHON", help=other)
    add(
        "--soak",
        type=int,
        metavar="REQUESTS",
        help="serve this many requests in this process, and print its memory",
    )
    add("--check", action="store_true", help="exit 1 if a budget is exceeded by a clear margin")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return 0, 1 for a broken budget with ``--check``, or 2 for an error."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    if arguments.soak is not None:
        return _soak(console, arguments.soak)
    if arguments.against is not None and not os.access(arguments.against, os.X_OK):
        sys.stderr.write(f"--against {arguments.against} is not an interpreter\n")
        return _FAILED
    try:
        check_writable(arguments.json, arguments.html, arguments.markdown)
        settings = Settings.find(arguments.config)
        old = None if arguments.compare is None else Result.read(arguments.compare)
    except (ConfigurationError, ResultError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    result, failures = _measure(arguments, settings)
    if failures or not result.figures:
        sys.stderr.write("\n".join(failures) or "nothing matches --only\n")
        return _FAILED
    print_report(console, result)
    comparison = None if old is None else compare(old, result)
    if comparison is not None:
        print_comparison(console, comparison)
    result.write(arguments.json)
    arguments.html.write_text(result_page(result, comparison), "utf-8")
    console.print(f"written: {arguments.json}, {arguments.html}", highlight=False)
    if arguments.markdown is not None:
        command = "linqi bench" + (" --quick" if arguments.quick else "")
        arguments.markdown.write_text(as_markdown(result, command), "utf-8")
    broken = [figure["name"] for figure in result.figures if figure["verdict"] == "broken"]
    if arguments.check and broken:
        sys.stderr.write(f"over budget by a clear margin: {', '.join(broken)}\n")
        return 1
    return 0


def _measure(arguments: argparse.Namespace, settings: Settings) -> tuple[Result, list[str]]:
    """Measure, with a progress bar on standard error."""
    columns = (
        TextColumn("measuring {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(count: int, name: str) -> None:
            progress.update(task, total=count, description=name, advance=1)

        against = None if arguments.against is None else str(arguments.against)
        options = {"is_quick": arguments.quick, "only": arguments.only, "against": against}
        return measure(settings, **options, tell=tell)


def _soak(console: Console, requests: int) -> int:
    """Print the memory of the process; return 1 where it grew by more than 8 MB."""

    def tell(reading: MemoryReading) -> None:
        console.print(
            f"{reading.requests:>12,} requests  {reading.resident_bytes / 1e6:8.1f} MB resident"
            f"  {reading.objects:>8,} objects",
            highlight=False,
        )

    readings = soak(requests, tell)
    grown = readings[-1].resident_bytes - readings[0].resident_bytes
    console.print(f"grown by {grown / 1e6:.1f} MB since the first reading", highlight=False)
    return int(grown > _SLACK_BYTES)
