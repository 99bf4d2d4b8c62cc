"""``linqi check``: a critical look at linqi.toml."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from linqi.config.checker import CheckResult, check

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", nargs="?", type=Path, default=Path("linqi.toml"))
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--no-keys",
        action="store_true",
        help="read no key file and no variable that holds one, as where they are not at hand",
    )


def run(arguments: argparse.Namespace) -> int:
    """Look; 0 with nothing to mend, 1 with something, 2 when it is no configuration."""
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
        print(f"  {finding.mend}")
    counts = [
        f"{number} {severity}{'s' if number > 1 else ''}"
        for severity in ("error", "warning", "note")
        if (number := sum(f.severity == severity for f in checked.findings))
    ]
    print(f"{file}: {', '.join(counts) or 'nothing to mend'}")
