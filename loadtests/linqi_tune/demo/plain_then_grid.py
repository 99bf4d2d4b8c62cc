"""The same storm twice: under the plain threshold, then under the grid."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

from linqi_storm.report.page import write_report
from linqi_storm.report.verdict import show_verdict
from linqi_storm.run.progress import shown_progress
from linqi_storm.run.runner import run_storm
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.result_file import save_run
from linqi_storm.schema.results import StormRun

__all__ = ["run_plain_then_grid"]

_COMPRESSION: Final = 60.0
_LIFETIME, _BUFFER, _GAP = 900.0, 300.0, 40.0


def run_plain_then_grid(
    console: Console, folder: Path, *, seconds: float = 45.0, sessions: int = 200, seed: int = 1
) -> tuple[StormRun, StormRun]:
    """Run a storm of the embedded application twice, half of `seconds` each; return both results.

    The results are written as ``storm-plain.json`` and ``storm-grid.json`` in `folder`, with their
    reports beside them; the report of the grid compares it with plain. Lifetimes of 15 minutes are
    compressed to 15 seconds, and each half must be longer than one of them.
    """
    load = StormLoad(
        sessions=sessions,
        lifetime=_LIFETIME / _COMPRESSION,
        buffer=_BUFFER / _COMPRESSION,
        gap=_GAP / _COMPRESSION,
        duration=seconds / 2,
        compression=_COMPRESSION,
        seed=seed,
    )
    plain, grid = (
        _run(console, StormConfig(scenario="storm-sliding", load=load, policy=policy), folder)
        for policy in ("plain", "grid")
    )
    write_report(plain, folder / "storm-plain.html")
    write_report(grid, folder / "storm-grid.html", against=plain)
    console.print(f"report: {folder / 'storm-grid.html'}", markup=False, soft_wrap=True)
    return plain, grid


def _run(console: Console, storm: StormConfig, folder: Path) -> StormRun:
    with shown_progress(console, storm.load.duration) as progress:
        run = run_storm(storm, progress)
    save_run(run, folder / f"storm-{storm.policy}.json")
    show_verdict(console, run)
    return run
