"""A storm's report as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

from linqi_report.page import Section, page
from linqi_storm.report import charts
from linqi_storm.report.advice import (
    SLOWED,
    next_steps,
    outcome_sentence,
    slowdown,
)
from linqi_storm.report.headline import headline, is_comparison, is_storm
from linqi_storm.report.tables import (
    changes_table,
    checks_table,
    differences_table,
    generator_table,
    latency_table,
    peaks_table,
    server_table,
    sessions_table,
    setup_tables,
)
from linqi_storm.schema.figures import lost_sessions
from linqi_storm.schema.results import StormRun

__all__ = ["render_report", "write_report"]

_MOST_NOTES: Final = 30
_STAMP: Final = "%Y-%m-%d %H:%M:%S UTC"


def write_report(run: StormRun, path: Path, against: StormRun | None = None) -> None:
    """Write the report of `run` to `path`, compared with the earlier run `against` if given."""
    path.write_text(render_report(run, against), "utf-8")


def render_report(run: StormRun, against: StormRun | None = None) -> str:
    """Return the report as HTML; every text of the run is escaped."""
    sections = list(_sections(run, against))
    links = "".join(
        f'<a href="#{section.anchor}">{escape(section.heading)}</a> ' for section in sections
    )
    setup = run.setup
    began = datetime.fromtimestamp(setup.began_at, UTC).strftime(_STAMP)
    intro = (
        f'<p class="soft">{escape(setup.summary)}. {escape(_description(run))}. Began {began}.</p>'
        f"{_strip(run)}<nav>{links}</nav>"
    )
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    return page(f"{setup.scenario} on {setup.target.name}", intro, sections, style=style)


def _description(run: StormRun) -> str:
    target, load = run.setup.target, run.setup.load
    parts = (
        f"{load.sessions} sessions, lifetime {load.lifetime_seconds:g} s,"
        f" buffer {load.buffer_seconds:g} s (compressed {load.compression:g} times)",
        f"policy {target.policy}" if target.policy else "",
        f"{target.algorithm} {target.key_bits}",
        f"{target.workers} workers" if target.workers else "",
        target.store,
    )
    return ", ".join(part for part in parts if part)


def _strip(run: StormRun) -> str:
    """Return the top of the page: verdict, conclusion, steps, main figures, invariants."""
    kind = "SHOWN" if run.verdict == "PASS" and is_comparison(run) else run.verdict
    faults = "".join(f"<li>{escape(fault)}</li>" for fault in run.generator.faults)
    steps = "".join(f"<li>{escape(step)}</li>" for step in next_steps(run))
    health = "VALID" if run.generator.is_valid else "VOID"
    return (
        f'<div class="strip {kind}"><div class="word">{escape(headline(run))}</div>'
        f"<p>{escape(outcome_sentence(run))}</p>{f'<ul>{faults}</ul>' if faults else ''}"
        f"<b>What to do</b><ul>{steps}</ul>"
        f'<p class="soft">Load generator {health}: it sent requests'
        f" {run.generator.lag_p99_ms:.1f} ms late (p99) and used {run.generator.cpu_p95:.0%} of a"
        " core (p95).</p>"
        f"</div>{_cards(run)}{checks_table(run)}"
    )


def _cards(run: StormRun) -> str:
    cards: list[tuple[str, str, str]] = []
    if run.peaks:
        peak = run.peaks[0]
        kind = "bad" if is_storm(run) else "ok"
        cards += [
            (f"{peak.factor:.2f}", f"storm factor, {peak.label}", kind),
            ("1.00", f"lowest possible: {peak.floor_per_second:.3g} renewals/s", ""),
            (f"{peak.noise95:.2f}", "level of chance: 95 % of even renewals stay below", ""),
        ]
    missing, forced = lost_sessions(run), run.sessions.forced_out
    kind = "bad" if forced else "warn" if missing else "ok"
    cards.append((str(missing), f"sessions lost, {forced} of them forced logouts", kind))
    if run.inside is not None and run.outside is not None:
        slowed = slowdown(run) or 0.0
        kind = "warn" if slowed > SLOWED else "ok"
        inside, outside = run.inside.intended.at(99), run.outside.intended.at(99)
        cards.append(
            (f"{inside:.1f} ms", f"p99 latency in the windows; {outside:.1f} ms outside", kind)
        )
    elif run.latencies.intended.count:
        cards.append((f"{run.latencies.intended.at(99):.1f} ms", "p99 latency", ""))
    judged = run.generator.is_valid  # figures of a void run have no colour
    shown = "".join(
        f'<div class="card {kind if judged else ""}"><b>{escape(value)}</b>'
        f"<span>{escape(label)}</span></div>"
        for value, label, kind in cards
    )
    return f'<div class="cards">{shown}</div>'


def _sections(run: StormRun, against: StormRun | None) -> Iterator[Section]:
    if against is not None:
        yield _comparison(run, against)
    yield _section(
        "renewals",
        "Renewals",
        list(charts.renewal_figures(run, against)),
        "There was no renewal in this run.",
        peaks_table(run),
    )
    yield _section(
        "requests", "Requests", list(charts.request_figures(run)), "No second was recorded."
    )
    yield _section(
        "latency",
        "Latency",
        list(charts.latency_figures(run, against)),
        "No request was answered.",
        latency_table(run),
    )
    yield _section(
        "outcomes", "Responses", list(charts.outcome_figures(run)), "No request was answered."
    )
    yield _section(
        "signatures",
        "Signatures",
        list(charts.signature_figures(run)),
        "Signatures were not counted, because the servers were not sampled.",
    )
    yield _section(
        "lag",
        "Renewal lag",
        list(charts.lag_figures(run)),
        "No token that was due for renewal was presented again.",
        sessions_table(run),
    )
    yield _section(
        "servers",
        "Servers",
        list(charts.server_figures(run)),
        "These servers were not sampled: CPU, event-loop lag and cache hits are unknown.",
        server_table(run),
    )
    yield _section(
        "spectrum",
        "Percentiles",
        list(charts.spectrum_figures(run, against)),
        "No request was answered.",
    )
    yield _section(
        "generator",
        "Load generator",
        list(charts.generator_figures(run)),
        "No second was recorded.",
        generator_table(run),
    )
    yield _setup(run)


def _section(
    anchor: str, heading: str, figures: Sequence[charts.Figure], otherwise: str, after: str = ""
) -> Section:
    body = "" if figures else f'<p class="soft">{escape(otherwise)}</p>'
    return Section(anchor=anchor, heading=heading, body=body, figures=figures, after=after)


def _comparison(run: StormRun, against: StormRun) -> Section:
    void = [
        name
        for name, each in (("the earlier run", against), ("this run", run))
        if not each.generator.is_valid
    ]
    warning = (
        f'<p class="warning">{escape(" and ".join(void).capitalize())} is void:'
        " differences below may come from the load generator.</p>"
        if void
        else ""
    )
    began = datetime.fromtimestamp(against.setup.began_at, UTC).strftime(_STAMP)
    return Section(
        anchor="comparison",
        heading="Comparison with the earlier run",
        body=f'{warning}<p class="soft">The earlier run began {began}.</p>'
        f"{changes_table(against, run)}"
        '<p class="soft">There is one run each: the intervals do not include other work of the'
        " machine. Repeat both with the same seeds before you rely on a small difference.</p>"
        f"{differences_table(against, run)}",
    )


def _setup(run: StormRun) -> Section:
    load = run.setup.load
    kept = "".join(f"<li>{escape(text)}</li>" for text in load.not_kept)
    compressed = (
        f"<p>Lifetime, buffer and pauses are {load.compression:g} times shorter than real ones."
        f" Rates stay the same. These properties do not:</p><ul>{kept}</ul>"
        if kept
        else "<p>Times are not compressed.</p>"
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in run.notes[:_MOST_NOTES])
    more = len(run.notes) - _MOST_NOTES
    rest = f"<li>and {more} more, in the JSON</li>" if more > 0 else ""
    listed = f"<h3>Notes</h3><ul>{notes}{rest}</ul>" if notes else ""
    command = " ".join(run.setup.command)
    again = f"<pre>{escape(command)}</pre>" if command else ""
    return Section(
        anchor="setup",
        heading="Configuration",
        body=f"{compressed}{setup_tables(run)}{again}{listed}",
    )
