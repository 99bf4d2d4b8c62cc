"""``linqi check``: finds faults and unsafe settings in linqi.toml."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.config.checker import CheckResult, check
from linqi.config.findings import SEVERITIES, Finding

if TYPE_CHECKING:
    from linqi.live import LiveResult, Seen

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi check", "find faults and unsafe settings of linqi.toml"),
        Example(
            "linqi check --no-keys deploy/linqi.toml",
            "in continuous integration, which has no keys",
        ),
        Example(
            "linqi check --live",
            "also try the store, the issuers, the clock and the logs of this machine",
        ),
        Example("linqi check --live --json", "the findings as JSON, for programs"),
    ],
    exits={
        0: "no findings, or only notes",
        1: "an error or a warning",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    default = Path("linqi.toml")
    add("file", nargs="?", type=Path, default=default, help="the configuration")
    add("--json", action="store_true", help="print the findings as JSON")
    add(
        "--no-keys",
        action="store_true",
        help="do not read key files or variables that hold keys, for machines without them",
    )
    add(
        "--live",
        action="store_true",
        help="also look at this machine: versions, event loop, clock, store, feed of revocations,"
        " issuers, logs, proxies; writes a session of no user that ends within a minute",
    )
    add(
        "--clock-url",
        default="",
        help="with --live: compare this clock with the Date of this URL, beside those of issuers",
    )
    add(
        "--log-config",
        default="",
        metavar="FILE",
        help="with --live: the --log-config of the server (.json, .yaml, or as of fileConfig)",
    )
    add(
        "--timeout-seconds",
        type=float,
        default=5.0,
        help="with --live: how long each check may take, 0.1 to 60",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 0 for notes at most, 1 for more, 2 for an invalid file."""
    checked = check(arguments.file, reads_keys=not arguments.no_keys)
    seen: list[Seen] = []
    if arguments.live and checked.is_readable:
        live = _look(arguments)
        seen = [*live.seen]
        found = sorted((*checked.findings, *live.findings), key=_rank)
        checked = CheckResult(findings=tuple(found), is_readable=True)
    if arguments.json:
        document = {
            "file": str(arguments.file),
            "findings": [asdict(finding) for finding in checked.findings],
            **({"seen": [asdict(one) for one in seen]} if arguments.live else {}),
        }
        print(json.dumps(document, indent=2))
    else:
        for one in seen:
            print(f"seen: {one.probe}: {one.text}")
        _show(arguments.file, checked)
    sys.stdout.flush()
    return checked.exit_code


def _look(arguments: argparse.Namespace) -> LiveResult:
    from linqi.config.reader import load
    from linqi.live import LiveOptions, check_live

    options = LiveOptions(
        timeout=arguments.timeout_seconds,
        clock_url=arguments.clock_url,
        log_config=arguments.log_config,
    )
    return asyncio.run(check_live(load(arguments.file), options))


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _show(file: Path, checked: CheckResult) -> None:
    for finding in checked.findings:
        table = f" [{finding.table}]" if finding.table else ""
        print(f"{finding.severity}: {finding.code}{table} {finding.key}".rstrip())
        print(f"  {finding.reason}")
        print(f"  {finding.remedy}")
    counts = [
        f"{number} {severity}{'s' if number > 1 else ''}"
        for severity in ("error", "warning", "note")
        if (number := sum(f.severity == severity for f in checked.findings))
    ]
    print(f"{file}: {', '.join(counts) or 'no findings'}")
