"""``python -m matrix``, called by ``make matrix``: options, and the table."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matrix.checks import CHECKS
from matrix.frameworks import FRAMEWORKS
from matrix.run import Cell, make_folder, run_cell
from matrix.servers import SERVERS
from matrix.table import show, write_page

_FOLDER: Final = Path(__file__).parents[2] / "build" / "matrix"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 0 if every cell is as it should be."""
    options = _options().parse_args(arguments)
    shutil.rmtree(options.folder, ignore_errors=True)
    make_folder(options.folder)
    began = time.monotonic()
    cells = asyncio.run(_run(pairs(options), options))
    show(cells)
    if options.markdown is not None:
        write_page(cells, options.markdown)
    bad = [cell for cell in cells if not cell.is_good]
    print(f"{len(cells)} cells in {time.monotonic() - began:.0f} s, {len(bad)} of them failed")
    return 1 if bad else 0


def pairs(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the cells that are asked for.

    The slice is a diagonal: every framework once and every server once; servers that are left
    over, or frameworks, come again.
    """
    servers = [*SERVERS]
    if options.slice:
        return [(name, servers[at % len(servers)]) for at, name in enumerate(FRAMEWORKS)]
    return [
        (framework, server)
        for framework in options.framework or FRAMEWORKS
        for server in options.server or servers
    ]


async def _run(chosen: Sequence[tuple[str, str]], options: argparse.Namespace) -> list[Cell]:
    slots = asyncio.Semaphore(options.at_once)
    whole = asyncio.current_task()
    assert whole is not None
    # The servers are stopped too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)

    async def run(framework: str, server: str) -> Cell:
        async with slots:
            cell = await run_cell(framework, server, options.folder, options.check)
            _show(cell)
            return cell

    return await asyncio.gather(*[run(*pair) for pair in chosen])


def _show(cell: Cell) -> None:
    good = sum(outcome.complaint is None for outcome in cell.outcomes)
    print(
        f"{cell.framework:10} {cell.server:14} {good}/{len(cell.outcomes)} {cell.seconds:5.1f} s",
        flush=True,
    )
    complaints: dict[str, list[str]] = {}
    for outcome in cell.outcomes:
        if outcome.complaint:
            complaints.setdefault(outcome.complaint, []).append(outcome.check)
    for complaint, checks in complaints.items():
        print(f"    {', '.join(checks)}: {complaint[:300]}", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make matrix MATRIX_ARGS=...", description=__doc__)
    add = parser.add_argument
    add("--slice", action="store_true", help="every framework and every server once")
    add("--framework", action="append", default=[], choices=[*FRAMEWORKS])
    add("--server", action="append", default=[], choices=[*SERVERS])
    add("--check", action="append", default=[], choices=[*CHECKS])
    add("--at-once", type=int, default=2, metavar="N", help="cells at the same time; default 2")
    add("--markdown", type=Path, metavar="FILE", help="renew the table of this page")
    add(
        "--folder",
        type=Path,
        default=_FOLDER,
        help="for the settings and logs of the servers; it is emptied first",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
