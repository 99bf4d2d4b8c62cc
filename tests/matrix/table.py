"""The table of a run, for a terminal and for the page of the documentation."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from matrix.checks import CHECKS
from matrix.faults import FAULTS, Fault
from matrix.frameworks import FRAMEWORKS
from matrix.run import Cell
from matrix.servers import SERVERS

__all__ = ["blocks", "replace_blocks", "show", "write_page"]

_ALSO: Final = ("linqi", "channels", "httptools", "uvloop", "uvicorn-worker")


def show(cells: Sequence[Cell]) -> None:
    """Print the table, and the faults that it names."""
    table = Table(title="frameworks x servers: checks that hold, and faults of their own")
    found = {(cell.framework, cell.server): cell for cell in cells}
    servers = [key for key in SERVERS if any(cell.server == key for cell in cells)]
    table.add_column("")
    for key in servers:
        table.add_column(SERVERS[key].name)
    for framework in dict.fromkeys(cell.framework for cell in cells):
        row = [_entry(found.get((framework, key))) for key in servers]
        table.add_row(FRAMEWORKS[framework].name, *row)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    for fault in _named(cells):
        console.print(
            f"{_letter(fault)}  {fault.whose}: {_checks_of(fault)}: {fault.reason}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def blocks(cells: Sequence[Cell]) -> dict[str, str]:
    """Return the generated parts of the page by name; the table and versions need `cells`."""
    parts = {"checks": _checks(), "faults": _faults()}
    if cells:
        parts |= {"table": _markdown(cells), "versions": _versions()}
    return parts


def replace_blocks(page: str, parts: dict[str, str]) -> str:
    """Return `page` with each part between its ``<!-- matrix: NAME -->`` and ``<!-- end -->``."""
    for name, text in parts.items():
        block = re.compile(rf"(<!-- matrix: {name} -->\n).*?(<!-- end -->)", re.S)
        page = block.sub(lambda match, text=text: f"{match[1]}{text}{match[2]}", page)
    return page


def write_page(cells: Sequence[Cell], file: Path) -> None:
    """Renew the generated parts of `file`."""
    file.write_text(replace_blocks(file.read_text(), blocks(cells)))


def _entry(cell: Cell | None) -> str:
    """Return how many checks hold, and the letters of the faults."""
    if cell is None:
        return ""
    good = sum(outcome.wrapped is None for outcome in cell.outcomes)
    letters = dict.fromkeys(_letter(outcome.fault) for outcome in cell.outcomes if outcome.fault)
    failed = "" if cell.is_good else " FAIL"
    return f"{good}/{len(cell.outcomes)}{''.join(f' {letter}' for letter in letters)}{failed}"


def _servers(fault: Fault) -> str:
    """Return the names of the servers, or of those that are left out where that is shorter."""
    others = [server.name for key, server in SERVERS.items() if key not in fault.servers]
    if not fault.servers:
        return "all"
    if len(others) < len(fault.servers):
        return f"all but {', '.join(others)}"
    return ", ".join(SERVERS[key].name for key in fault.servers)


def _checks_of(fault: Fault) -> str:
    return ", ".join(fault.checks) or "all"


def _letter(fault: Fault) -> str:
    return chr(ord("a") + FAULTS.index(fault))


def _named(cells: Iterable[Cell]) -> list[Fault]:
    named = {outcome.fault for cell in cells for outcome in cell.outcomes}
    return [fault for fault in FAULTS if fault in named]


def _markdown(cells: Sequence[Cell]) -> str:
    found = {(cell.framework, cell.server): cell for cell in cells}
    lines = [
        f"| | {' | '.join(server.name for server in SERVERS.values())} |",
        f"|---|{'---|' * len(SERVERS)}",
    ]
    for key, framework in FRAMEWORKS.items():
        row = [_entry(found.get((key, server))) for server in SERVERS]
        lines.append(f"| {framework.name} | {' | '.join(row)} |")
    return "".join(f"{line}\n" for line in lines)


def _versions() -> str:
    packages = {
        *(framework.package for framework in FRAMEWORKS.values() if framework.package),
        *(server.package for server in SERVERS.values()),
        *_ALSO,
    }
    named = ", ".join(f"{name} {version(name)}" for name in sorted(packages, key=str.lower))
    return f"{platform.python_implementation()} {platform.python_version()}, {named}.\n"


def _checks() -> str:
    lines = ["| check | what must hold |", "|---|---|"]
    lines += [f"| {check.name} | {check.says} |" for check in CHECKS.values()]
    return "".join(f"{line}\n" for line in lines)


def _faults() -> str:
    lines = ["| | whose | where | check | what happens, also without linqi | what to do |"]
    lines.append("|---|---|---|---|---|---|")
    for fault in FAULTS:
        frameworks = ", ".join(FRAMEWORKS[key].name for key in fault.frameworks) or "all"
        servers = _servers(fault)
        upstream = f" ([upstream]({fault.upstream}))" if fault.upstream else ""
        lines.append(
            f"| {_letter(fault)} | {fault.whose} | {frameworks} on {servers} |"
            f" {_checks_of(fault)} | {fault.reason}{upstream} | {fault.advice} |"
        )
    return "".join(f"{line}\n" for line in lines)
