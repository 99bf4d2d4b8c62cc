"""A proof as tables in a terminal, as a section of the page, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any, Final

from linqi_tune.model.quantities import given_text, number_text, share_text
from linqi_tune.model.sign_in_sources import USE_SECONDS
from linqi_tune.proof.dual_figures import NOT_SHOWN
from linqi_tune.proof.proof import Proof, ProofSide
from linqi_tune.proof.proof_figures import SIGN_INS, ProofFigure

if TYPE_CHECKING:
    from linqi_report.page import Section

__all__ = ["proof_as_json", "proof_section", "show_proof", "show_proof_briefly"]

_FIGURES: Final = ("predicted", "measured", "95 % interval, or range of runs", "prediction error")
_COLUMNS: Final = ("settings", "figure", *_FIGURES, "criterion", "met?")
_PAGE_COLUMNS: Final = ("settings: figure", *_FIGURES, "met?", "criterion")
_LABELS: Final = {
    "storm factor": "storm factor (highest renewal rate / steady rate)",
    "storm factor, after": "storm factor after the change",
    SIGN_INS: "forced sign-ins per 1,000 sessions of the run",
    f"{SIGN_INS}, after over before": "forced sign-ins, after / before",
    "signed out though they asked": "signed out although a request came in time",
    "signed out by their own tabs": "signed out by parallel tabs of the same user",
    "tabs given different successors": "parallel tabs that got different tokens",
    "refreshes of a session": "refreshes per session",
    "cache hits": "verifications answered by the token cache",
    "processor per request": "processor time per request",
    "p99 in the expiry window": "p99 latency while tokens expire",
    "p99 outside it": "p99 latency at other times",
    "p99 in the expiry window over outside it, after": "p99 latency after the change,"
    " while tokens expire / at other times",
    "p99 in the rush": "p99 latency while all sessions return",
    "p99 after it": "p99 latency afterwards",
}
"""Headings for the names of the figures, which stay the same in the JSON document."""


def show_proof(console: Any, proof: Proof) -> None:
    """Print both sides, what the change brought, and what that can show."""
    from rich.table import Table

    table = Table(title="predicted against measured", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column)
    for side in (proof.before, proof.after):
        for figure in side.figures:
            table.add_row(*_cells(side.name, figure))
        table.add_section()
    for figure in proof.changes:
        table.add_row(*_cells("change", figure))
    _print(console, table, proof)


def show_proof_briefly(console: Any, proof: Proof) -> None:
    """Print what was measured on both sides, each with the prediction in parentheses."""
    from rich.table import Table

    table = Table(title="measured (predicted)", title_justify="left")
    for column in ("figure", "before", "after", "prediction error above the limit"):
        table.add_column(column)
    for old, new in zip(proof.before.figures, proof.after.figures, strict=True):
        off = [
            f"{side.name}, {figure.error:+.0%}" if figure.error is not None else side.name
            for side, figure in ((proof.before, old), (proof.after, new))
            if figure.holds is False
        ]
        table.add_row(_label(old), _both(old), _both(new), "; ".join(off))
    _print(console, table, proof)


def _print(console: Any, table: Any, proof: Proof) -> None:
    console.print(table)
    for text in _texts(proof):
        console.print(text, markup=False, highlight=False)


def _label(figure: ProofFigure) -> str:
    return _LABELS.get(figure.what, figure.what)


def _both(figure: ProofFigure) -> str:
    measured = _shown(figure.measured, figure.unit)
    predicted = _shown(figure.predicted, figure.unit)
    return f"{measured or 'unknown'} ({predicted})" if predicted else measured


def _cells(name: str, figure: ProofFigure) -> list[str]:
    interval, unit = figure.interval, figure.unit
    return [
        name,
        _label(figure),
        _shown(figure.predicted, unit),
        _shown(figure.measured, unit),
        f"{_shown(interval.low, unit)} to {_shown(interval.high, unit)}" if interval else "",
        "" if figure.error is None else f"{figure.error:+.0%}",
        figure.rule,
        {True: "yes", False: "NO", None: ""}[figure.holds],
    ]


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "share":
        return share_text(value)
    # The heading says per how many sessions.
    return f"{number_text(value)} {'' if unit.startswith('per') else unit}".strip()


def _texts(proof: Proof) -> Iterator[str]:
    load = proof.load
    yield proof.shows
    yield f"The predictions are for runs of this length on {load.workers} workers."
    yield (
        f"{load.sessions:,} sessions, compressed {given_text(load.compression)} times,"
        f" {number_text(proof.duration)} s a run, seeds {', '.join(map(str, proof.seeds))};"
        f" tuned on {', '.join(map(str, proof.tuned_on)) or 'no storm'}."
    )
    if load.mode == "dual":
        yield NOT_SHOWN
    for side in (proof.before, proof.after):
        if side.forced_out:
            yield f"{side.name}: {side.forced_out} sessions were signed out by force."
        for text in side.broken:
            yield f"{side.name}: an invariant did not hold: {text}"


def proof_section(proof: Proof) -> Section:
    """Return the section of the page."""
    from linqi_report.page import Section, table

    rows: list[list[str | tuple[str, str]]] = []
    named = [(side.name, one) for side in (proof.before, proof.after) for one in side.figures]
    named += [("change", figure) for figure in proof.changes]
    for name, figure in named:
        _, what, *figures, rule, mark = _cells(name, figure)
        verdict = (mark, "ok" if figure.holds else "bad") if mark else ""
        rows.append([f"{name}: {what}", *figures, verdict, (rule, "long")])
    texts = "".join(f"<p>{escape(text)}</p>" for text in _texts(proof))
    body = table(_PAGE_COLUMNS, rows) + texts
    return Section(heading="Predicted against measured", body=body, figures=_charts(proof))


def _charts(proof: Proof) -> list[tuple[str, str]]:
    """Draw the figures that share an axis."""
    from linqi_report.charts import Axis, bar_chart

    drawn = []
    for what, label in (
        ("storm factor", "highest renewal rate / steady rate"),
        (SIGN_INS, "per 1,000 sessions"),
        ("cache hits", "share of verifications"),
    ):
        title = _LABELS[what]
        bars = [bar for side in (proof.before, proof.after) for bar in _bars(side, what)]
        drawn.append((f"{title[:1].upper()}{title[1:]}", bar_chart(title, bars, Axis(label=label))))
    return drawn


def _bars(side: ProofSide, what: str) -> Iterator[Any]:
    from linqi_report.charts import Bar

    figure = side.figure(what)
    if figure.predicted is not None:
        yield Bar(label=f"{side.name}, predicted", value=figure.predicted)
    if figure.measured is not None:
        yield Bar(
            label=f"{side.name}, measured",
            value=figure.measured,
            low=figure.interval.low if figure.interval else None,
            high=figure.interval.high if figure.interval else None,
            is_bad=figure.holds is False,
        )


def proof_as_json(proof: Proof) -> dict[str, Any]:
    """Return the proof as the member ``proof`` of the JSON document."""
    return {
        "holds": proof.holds,
        "shows": proof.shows,
        "seeds": list(proof.seeds),
        "tuned_on_seeds": list(proof.tuned_on),
        "sessions": proof.load.sessions,
        "compression": proof.load.compression,
        "duration_seconds": proof.duration,
        "day_of_use_seconds": USE_SECONDS,
        "before": _side(proof.before),
        "after": _side(proof.after),
        "changes": [_figure(figure) for figure in proof.changes],
    }


def _side(side: ProofSide) -> dict[str, Any]:
    return {
        "lines": [_figure(figure) for figure in side.figures],
        "sessions": side.sessions,
        "cycles": side.cycles,
        "forced_sign_ins": side.sign_ins,
        "forced_out": side.forced_out,
        "broken": list(side.broken),
    }


def _figure(figure: ProofFigure) -> dict[str, Any]:
    interval = figure.interval
    return {
        "what": figure.what,
        "unit": figure.unit,
        "predicted": figure.predicted,
        "measured": figure.measured,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "error_share": figure.error,
        "rule": figure.rule,
        "holds": figure.holds,
    }
