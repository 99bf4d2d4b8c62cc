"""A run as a terminal table, a Markdown table and a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from linqi_bench.figures import NOISY_SPREAD, Figure

__all__ = ["as_json", "as_markdown", "print_report"]

_COLUMNS: Final = (
    *("figure", "linqi", "raw", "over raw", "budget", "", "x raw", "PyJWT", "PyJWT / linqi"),
    "noise",
)
_WORDS: Final = {"within": "ok", "over": "over", "broken": "BROKEN", "none": ""}
_STYLES: Final = {"within": "green", "over": "yellow", "broken": "bold red", "none": ""}
_UNITS: Final = {"us": "µs"}


def as_json(
    figures: Sequence[Figure], machine: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    """Give the result file: what ran, where, and every figure with its budget."""
    return {
        "format": 1,
        "machine": machine,
        "settings": settings,
        "noisy": any(figure.is_noisy for figure in figures),
        "figures": [figure.as_json() for figure in figures],
    }


def print_report(console: Console, figures: Sequence[Figure], machine: dict[str, Any]) -> None:
    """Print each figure beside its budget."""
    table = Table(title="linqi benchmarks", caption=_legend(figures), caption_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "figure" else "right", no_wrap=True)
    group = ""
    for figure in figures:
        if group and figure.group != group:
            table.add_section()
        group = figure.group
        table.add_row(*_cells(figure), style=_STYLES[figure.verdict])
    console.print(table)
    console.print(describe(machine), highlight=False)
    if noisy := [figure.name for figure in figures if figure.is_noisy]:
        console.print(
            f"[yellow]A noisy run: {len(noisy)} of {len(figures)} figures have an interquartile"
            f" range above {NOISY_SPREAD:.0%} of their median ({', '.join(noisy)}). Repeat it on a"
            " quiet machine before reading small differences.[/yellow]"
        )


def as_markdown(figures: Sequence[Figure], machine: dict[str, Any], command: str) -> str:
    """Give the same table for a page, with machine and command."""
    columns = [column or "verdict" for column in _COLUMNS]
    rows = [columns, ["---", *["---:"] * (len(columns) - 1)], *map(_cells, figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n`{command}` at {machine['taken_at']}: {describe(machine)}\n"


def describe(machine: dict[str, Any]) -> str:
    """Give the machine in one line."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    return (
        f"{machine['processor']}, {machine['cpus']} CPUs, load {machine['load_1_minute']},"
        f" {machine['system']}; {machine['python']}, {machine['openssl']}; {libraries}"
    )


def _cells(figure: Figure) -> list[str]:
    sample, unit = figure.sample, _UNITS.get(figure.unit, figure.unit)
    over = figure.raw is not None and figure.spread is not None
    return [
        figure.name,
        _number(figure.total, unit),
        _number(figure.raw),
        f"{sample.median:+.2f} ±{(sample.high - sample.low) / 2:.2f}" if over else "",
        "" if figure.budget is None else f"≤ {figure.budget:g}",
        _WORDS[figure.verdict],
        "" if figure.ratio_to_raw is None else f"{figure.ratio_to_raw:.2f}",
        _number(figure.pyjwt),
        "" if figure.ratio_to_pyjwt is None else f"{1 / figure.ratio_to_pyjwt:.1f}",
        f"{figure.restlessness:.0%}",
    ]


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    return f"{value:.{2 if value < 1000 else 0}f} {unit}".strip()


def _legend(figures: Sequence[Figure]) -> str:
    meanings: dict[str, list[str]] = {}
    for figure in figures:
        known = meanings.setdefault(figure.group, [])
        if figure.raw_is and figure.raw_is not in known:
            known.append(figure.raw_is)
    raws = "; ".join(f"{group}: {', '.join(known)}" for group, known in meanings.items() if known)
    return f"raw is, in {raws}." if raws else ""
