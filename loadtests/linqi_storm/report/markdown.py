"""The verdict of a storm as Markdown, for a comment on a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from linqi_storm.report.advice import next_steps
from linqi_storm.report.comparison import changes, differences
from linqi_storm.report.headline import headline
from linqi_storm.schema.checks import Check, RequirementCheck
from linqi_storm.schema.results import StormRun

__all__ = ["MARKS", "escaped", "table", "write_markdown"]

MARKS: Final = {"PASS": "✅", "FAIL": "❌", "VOID": "⚠️"}
_MOST_NOTES: Final = 10
_MARKUP: Final = re.compile(r"[\\`*_{}\[\]|@#!~$]")
"""Also what GitHub turns into mentions, references and formulas."""


def write_markdown(run: StormRun, path: Path, before: StormRun | None = None) -> None:
    """Write the verdict of `run`, what was broken, and what changed since `before`."""
    path.write_text("\n\n".join(_parts(run, before)) + "\n", encoding="utf-8")


def _parts(run: StormRun, before: StormRun | None) -> Iterator[str]:
    setup, load = run.setup, run.setup.load
    tags = "".join(f", {name} {value}" for name, value in setup.tags.items())
    yield f"### {MARKS[run.verdict]} linqi storm: {escaped(headline(run))}"
    yield escaped(
        f"{setup.scenario} on {setup.target.name}, {load.sessions} sessions,"
        f" {load.duration_seconds:g} s, {run.traffic.requests} requests,"
        f" {run.sessions.renewals} renewals{tags}"
    )
    if run.generator.faults:
        yield "\n".join(f"- {escaped(fault)}" for fault in run.generator.faults)
    if run.broken:
        yield "**Broken**"
        rows = [(check.name, check.expected, check.measured, check.detail) for check in run.broken]
        yield table(("Requirement or invariant", "Expected", "Measured", "Details"), rows)
        notes = [f"- {escaped(note)}" for note in run.notes[:_MOST_NOTES]]
        yield "\n".join([*notes, *(f"- {escaped(step)}" for step in next_steps(run))])
    if run.requirements:
        yield "**Requirements**"
        wanted = [(check.name, check.measured, _result(run, check)) for check in run.requirements]
        yield table(("Requirement", "Measured", "Result"), wanted)
    if before is not None:
        yield from _comparison(before, run)
    judged = [check for check in run.checks if check.expected]
    rows = [(check.name, check.expected, check.measured, _result(run, check)) for check in judged]
    yield (
        f"<details><summary>{len(judged)} invariants</summary>\n\n"
        + table(("Invariant", "Expected", "Measured", "Result"), rows)
        + "\n\n</details>"
    )


def _comparison(before: StormRun, run: StormRun) -> Iterator[str]:
    yield "**Compared with the earlier run**"
    rows = [
        (
            change.figure.name,
            _figure(change.before, change.figure.unit),
            _figure(change.now, change.figure.unit),
            change.verdict,
        )
        for change in changes(before, run)
    ]
    yield table(("Figure", "Before", "Now", "Change beyond noise"), rows)
    if different := differences(before, run):
        yield "Different settings: " + "; ".join(
            escaped(f"{name}: {old or 'none'}, now {new or 'none'}") for name, old, new in different
        )


def _result(run: StormRun, check: Check | RequirementCheck) -> str:
    if not run.is_judged(check):
        return "void"
    return "ok" if check.passed else "BROKEN"


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.4g} {unit}".rstrip()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells of `rows` are escaped."""
    lines = [columns, ["---"] * len(columns), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return `text` on one line, in which nothing is markup: names and tags come from outside."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split())).replace("<", "&lt;")
