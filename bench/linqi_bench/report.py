"""A run as a terminal table and as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from linqi_bench.comparison import Comparison
from linqi_bench.results import Result

__all__ = [
    "COLUMNS",
    "as_markdown",
    "cells",
    "describe",
    "noise_of",
    "print_comparison",
    "print_report",
]

COLUMNS: Final = (
    *("figure", "median", "interval", "baseline", "over baseline", "budget", "verdict"),
    *("x baseline", "PyJWT", "spread"),
)
_WORDS: Final = {"within": "ok", "over": "over", "broken": "BROKEN", "none": ""}
_STYLES: Final = {"within": "green", "over": "yellow", "broken": "bold red", "none": ""}
_UNITS: Final = {"us": "µs"}
_MOST_NAMED: Final = 6


def print_report(console: Console, result: Result) -> None:
    """Print each figure beside its baseline and its budget."""
    table = Table(title="linqi bench", caption=_legend(result.figures), caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "figure" else "right", no_wrap=True)
    group = ""
    for figure in result.figures:
        if group and figure["group"] != group:
            table.add_section()
        group = figure["group"]
        table.add_row(*cells(figure), style=_STYLES[figure["verdict"]])
    console.print(table)
    console.print(describe(result.machine), highlight=False)
    if result.left_out:
        console.print(f"left out: {'; '.join(result.left_out)}", highlight=False)
    if noise := noise_of(result):
        console.print(f"[yellow]{noise}[/yellow]", highlight=False)


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print what changed beyond noise."""
    if not comparison.same_machine:
        console.print("[yellow]The two runs are of different processors.[/yellow]")
    if comparison.is_other_speed:
        console.print(
            f"The machine was {comparison.speed:.2f} times as slow as in the old run:"
            " times of the old run were scaled by that.",
            highlight=False,
        )
    changed = comparison.beyond_noise
    compared = [change for change in comparison.changes if change.share is not None]
    if changed:
        table = Table(title="changed beyond noise")
        for column in ("figure", "old", "new", "new / old", ""):
            table.add_column(column, justify="left" if column == "figure" else "right")
        for change in changed:
            table.add_row(
                change.name,
                number(change.old, change.unit),
                number(change.new, change.unit),
                f"{change.share:.2f}",
                change.kind,
                style="red" if change.kind == "dearer" else "green",
            )
        console.print(table)
    console.print(f"{len(compared)} figures compared, {len(changed)} changed beyond noise")
    for kind in ("new", "gone"):
        names = [change.id for change in comparison.changes if change.kind == kind]
        if names:
            console.print(f"{kind}: {', '.join(names)}", highlight=False)


def as_markdown(result: Result, command: str) -> str:
    """Return the table as Markdown, with the machine and the command."""
    rows = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)], *map(cells, result.figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    taken = result.machine["taken_at"]
    noise = noise_of(result)
    return f"{table}\n\n`{command}` at {taken}: {describe(result.machine)}\n" + (
        f"\n{noise}\n" if noise else ""
    )


def describe(machine: dict[str, Any]) -> str:
    """Return the machine in one line."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    hints = "".join(f", {hint}" for hint in machine.get("hints", ()))
    return (
        f"{machine['processor']}, {machine['cpus']} CPUs, load {machine['load_1_minute']}{hints},"
        f" {machine['system']}; {machine['python']}, {machine['openssl']}; {libraries}"
    )


def noise_of(result: Result) -> str:
    """Return how noisy the run was; an empty text where it was not."""
    said = []
    if result.is_noisy:
        said.append(
            f"Noisy run: the yardstick varied by {result.yardstick_drift:.0%}, so intervals"
            f" were widened by up to {result.widened_by:.0%} of their figures."
        )
    noisy = [figure["name"] for figure in result.figures if figure["noisy"]]
    if noisy:
        named = ", ".join(noisy[:_MOST_NAMED]) + (", ..." if len(noisy) > _MOST_NAMED else "")
        said.append(
            f"{len(noisy)} of {len(result.figures)} figures spread by more than 15 % ({named})."
        )
    if said:
        said.append("Repeat it on a quiet machine before reading small differences.")
    return " ".join(said)


def cells(figure: dict[str, Any]) -> list[str]:
    """Return one row of the table."""
    value, over, limit = figure["value"], figure["over"], figure["limit"]
    unit = figure["unit"]
    ratio = figure["ratio_to_pyjwt"]
    return [
        figure["name"],
        number(value["median"], unit),
        ""
        if value["low"] == value["high"]
        else f"{number(value['low'])} - {number(value['high'])}",
        number(figure["raw"]),
        "" if over is None else f"{over['median']:+.2f} ±{(over['high'] - over['low']) / 2:.2f}",
        "" if limit is None else _limit(limit),
        _WORDS[figure["verdict"]],
        "" if figure["ratio_to_raw"] is None else f"{figure['ratio_to_raw']:.2f}",
        "" if ratio is None else f"x {1 / ratio:.1f}",
        f"{value['spread']:.0%}",
    ]


def number(value: float | None, unit: str = "") -> str:
    """Return a value with two decimals, or with none from 1,000 on."""
    if value is None:
        return ""
    return f"{value:.{2 if abs(value) < 1000 else 0}f} {_UNITS.get(unit, unit)}".strip()


def _limit(limit: dict[str, Any]) -> str:
    most = f"{limit['most']:.3g}"
    return {"over": f"≤ +{most}", "value": f"≤ {most}", "ratio": f"≤ x {most}"}[limit["kind"]]


def _legend(figures: Sequence[dict[str, Any]]) -> str:
    meanings: dict[str, list[str]] = {}
    for figure in figures:
        known = meanings.setdefault(figure["group"], [])
        if figure["raw_is"] and figure["raw_is"] not in known:
            known.append(figure["raw_is"])
    raws = "; ".join(f"{group}: {', '.join(known)}" for group, known in meanings.items() if known)
    return f"The baseline is, in {raws}." if raws else ""
