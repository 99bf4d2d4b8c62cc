"""A proof as tables in a terminal, as a section of the page, and as JSON."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from linqi_tune.proof.dual_lines import NOT_SHOWN
from linqi_tune.proof.proof import Proof, Side
from linqi_tune.proof.proof_lines import Line

if TYPE_CHECKING:
    from linqi_report.page import Section

__all__ = ["proof_as_json", "proof_section", "show_proof", "show_proof_briefly"]

_COLUMNS = ("", "", "predicted", "measured", "interval or range", "tuner's error", "rule", "")
_PAGE_COLUMNS = ("", "predicted", "measured", "interval or range", "tuner's error", "", "rule")


def show_proof(console: Any, proof: Proof) -> None:
    """Print both sides, what the change brought, and what that can show."""
    from rich.table import Table

    table = Table(title="predicted against measured", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column)
    for side in (proof.before, proof.after):
        for line in side.lines:
            table.add_row(*_cells(side.name, line))
        table.add_section()
    for line in proof.changes:
        table.add_row(*_cells("change", line))
    console.print(table)
    for text in _texts(proof):
        console.print(text, markup=False, highlight=False)


def show_proof_briefly(console: Any, proof: Proof) -> None:
    """Print what was measured on both sides with the tuner's prediction behind it, and no more."""
    from rich.table import Table

    table = Table(title="measured (predicted)", title_justify="left")
    for column in ("", "before", "after", "off by more than may be"):
        table.add_column(column)
    for old, new in zip(proof.before.lines, proof.after.lines, strict=True):
        off = [
            f"{side.name}, {line.error:+.0%}" if line.error is not None else side.name
            for side, line in ((proof.before, old), (proof.after, new))
            if line.holds is False
        ]
        table.add_row(old.what, _both(old), _both(new), "; ".join(off))
    console.print(table)
    for text in _texts(proof):
        console.print(text, markup=False, highlight=False)


def _both(line: Line) -> str:
    measured, predicted = (_shown(value, line.unit) for value in (line.measured, line.predicted))
    return f"{measured or 'unknown'} ({predicted})" if predicted else measured


def _cells(name: str, line: Line) -> list[str]:
    sure = line.interval
    return [
        name,
        line.what,
        _shown(line.predicted, line.unit),
        _shown(line.measured, line.unit),
        f"{_shown(sure.low, line.unit)} to {_shown(sure.high, line.unit)}" if sure else "",
        "" if line.error is None else f"{line.error:+.0%}",
        line.rule,
        {True: "ok", False: "OFF", None: ""}[line.holds],
    ]


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:.3g} {unit}".strip()


def _texts(proof: Proof) -> list[str]:
    load = proof.load
    said = [
        proof.shows,
        f"Predicted are runs of that length on {load.workers} workers.",
        f"{load.sessions:,} sessions, compressed {load.compression:g} times, {proof.duration:.0f} s"
        f" a run, seeds {', '.join(map(str, proof.seeds))}; tuned on"
        f" {', '.join(map(str, proof.tuned_on)) or 'no storm'}.",
    ]
    if load.mode == "dual":
        said.append(NOT_SHOWN)
    for side in (proof.before, proof.after):
        if side.forced_out:
            said.append(f"{side.name}: {side.forced_out} sessions were signed out by force.")
        said += [f"{side.name}: an invariant broke: {text}" for text in side.broken]
    return said


def proof_section(proof: Proof) -> Section:
    """Give the section of the page."""
    from linqi_report.page import Section, table

    rows: list[list[str | tuple[str, str]]] = []
    named = [(side.name, line) for side in (proof.before, proof.after) for line in side.lines]
    named += [("change", line) for line in proof.changes]
    for name, line in named:
        _, what, *figures, rule, mark = _cells(name, line)
        verdict = (mark, "ok" if line.holds else "bad") if mark else ""
        rows.append([f"{name}: {what}", *figures, verdict, (rule, "long")])
    texts = "".join(f"<p>{escape(text)}</p>" for text in _texts(proof))
    body = table(_PAGE_COLUMNS, rows) + texts
    return Section(heading="Predicted against measured", body=body, figures=_charts(proof))


def _charts(proof: Proof) -> list[tuple[str, str]]:
    """Draw the figures that share an axis."""
    from linqi_report.charts import Axis, Bar, bar_chart

    drawn = []
    for what, label in (
        ("storm factor", "highest rate over the steady one"),
        ("sessions lost", "share of cycles"),
        ("cache hits", "share of verifications"),
    ):
        bars = []
        for side in (proof.before, proof.after):
            line = side.line(what)
            sure = line.interval
            if line.predicted is not None:
                bars.append(Bar(label=f"{side.name}, predicted", value=line.predicted))
            if line.measured is not None:
                bars.append(
                    Bar(
                        label=f"{side.name}, measured",
                        value=line.measured,
                        low=sure.low if sure else None,
                        high=sure.high if sure else None,
                        is_bad=line.holds is False,
                    )
                )
        drawn.append((what.capitalize(), bar_chart(what, bars, Axis(label=label))))
    return drawn


def proof_as_json(proof: Proof) -> dict[str, Any]:
    """Give a proof's members."""
    return {
        "holds": proof.holds,
        "shows": proof.shows,
        "seeds": list(proof.seeds),
        "tuned_on_seeds": list(proof.tuned_on),
        "sessions": proof.load.sessions,
        "compression": proof.load.compression,
        "duration_seconds": proof.duration,
        "before": _side(proof.before),
        "after": _side(proof.after),
        "changes": [_line(line) for line in proof.changes],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "lines": [_line(line) for line in side.lines],
        "cycles": side.cycles,
        "lost": side.lost,
        "forced_out": side.forced_out,
        "broken": list(side.broken),
    }


def _line(line: Line) -> dict[str, Any]:
    sure = line.interval
    return {
        "what": line.what,
        "unit": line.unit,
        "predicted": line.predicted,
        "measured": line.measured,
        "low": sure.low if sure else None,
        "high": sure.high if sure else None,
        "error_share": line.error,
        "rule": line.rule,
        "holds": line.holds,
    }
