"""``linqi check``: finds faults and unsafe settings in linqi.toml."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.config.checker import CheckResult, check

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi check", "find faults and unsafe settings of linqi.toml"),
        Example(
            "linqi check --no-keys deploy/linqi.toml",
            "in continuous integration, which has no keys",
        ),
    ],
    exits={
        0: "no findings, or only notes",
        1: "an error or a warning",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("linqi.toml"),
        help="the configuration (default: linqi.toml)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--no-keys",
        action="store_true",
        help="do not read key files or variables that hold keys, for machines without them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 0 for notes at most, 1 for more, 2 for an invalid file."""
    checked = check(arguments.file, reads_keys=not arguments.no_keys)
    if arguments.json:
        findings = [asdict(finding) for finding in checked.findings]
        print(json.dumps({"file": str(arguments.file), "findings": findings}, indent=2))
    else:
        _show(arguments.file, checked)
    sys.stdout.flush()
    return checked.exit_code


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
