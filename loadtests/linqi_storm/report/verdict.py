"""The summary of a storm on the terminal, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.markup import escape

from linqi_storm.report.advice import next_steps, outcome_sentence
from linqi_storm.report.headline import headline
from linqi_storm.report.sparklines import timeline_rows
from linqi_storm.report.summary import Row, summarize
from linqi_storm.schema.checks import Check
from linqi_storm.schema.results import Latencies, StormRun

__all__ = ["EXIT_CODES", "show_verdict"]

_MOST_NOTES: Final = 10
EXIT_CODES: Final = {"PASS": 0, "FAIL": 1, "VOID": 3}
"""By verdict; 2 stands for invalid options."""
_STYLES: Final = {"PASS": "green", "FAIL": "bold red", "VOID": "bold yellow"}


def show_verdict(console: Console, run: StormRun) -> None:
    """Print the figures, the invariants, the verdict and the recommended steps of `run`."""
    setup, target = run.setup, run.setup.target
    tested = " ".join(part for part in (target.policy, target.algorithm, target.store) if part)
    summarize(
        console, f"{setup.scenario} on {target.name}: {tested}", [*_facts(run), *_checks(run)]
    )
    is_ascii = console.encoding.lower() not in ("utf-8", "utf8")
    for row in timeline_rows(run, console.width, is_ascii=is_ascii):
        console.print(row, markup=False, highlight=False, no_wrap=True, crop=False)
    for note in run.notes[:_MOST_NOTES]:
        console.print(f"  {note}", markup=False, highlight=False)
    if len(run.notes) > _MOST_NOTES:
        console.print(f"  and {len(run.notes) - _MOST_NOTES} more notes, in the JSON")
    word, _, rest = headline(run).partition(":")
    console.print(f"[{_STYLES.get(word, 'bold')}]{word}[/]:{escape(rest)}", highlight=False)
    for fault in run.generator.faults:
        console.print(f"  {fault}", markup=False)
    for line in (outcome_sentence(run), *next_steps(run)):
        console.print(f"  {line}", markup=False, highlight=False)


def _facts(run: StormRun) -> Iterator[Row]:
    load = run.setup.load
    yield (
        "sessions; lifetime, buffer, mean pause; compression",
        f"{load.sessions}; {load.lifetime_seconds:g}, {load.buffer_seconds:g},"
        f" {load.mean_gap_seconds:.3g} s; {load.compression:g} times",
        None,
    )
    yield "requests; renewals", f"{run.traffic.requests}; {run.sessions.renewals}", None
    for peak in run.peaks:
        yield (
            f"storm factor, {peak.label} (window of {peak.window_seconds:.3g} s)",
            f"{peak.factor:.2f}: {peak.peak_per_second:.0f}/s, lowest possible"
            f" {peak.floor_per_second:.1f}/s; level of chance {peak.noise95:.2f}",
            None,
        )
    for name, latencies in (
        ("of all requests", run.latencies),
        ("inside the windows", run.inside),
        ("outside the windows", run.outside),
    ):
        if latencies is not None:
            yield (
                f"latency p50, p99, p99.9 {name}",
                _spread(latencies),
                None,
            )
    counts = run.sessions
    yield (
        "expired without a request in the buffer; responses discarded; logins after a loss",
        f"{counts.lapsed}; {counts.by_lost_reply}; {counts.logins}",
        None,
    )
    if counts.refused_seconds.total:
        longest = max(counts.refused_seconds.values)
        yield "longest time until all workers refused a revoked token", f"{longest:.3f} s", None
    generator = run.generator
    yield (
        "load generator: delay p50, p99; CPU",
        f"{generator.lag_p50_ms:.1f}, {generator.lag_p99_ms:.1f} ms; {generator.cpu_p95:.0%}",
        generator.is_valid,
    )


def _spread(latencies: Latencies) -> str:
    intended = latencies.intended
    spread = ", ".join(f"{intended.at(share):.1f}" for share in (50, 99, 99.9))
    return f"{spread} ms since due (p99 since sent {latencies.service.at(99):.1f} ms)"


def _checks(run: StormRun) -> Iterator[Row]:
    for check in run.every_check:
        is_shown = not check.expected or not run.is_judged(check)
        detail = check.detail if isinstance(check, Check) or check.seen is None else ""
        seen = check.measured + (f" ({detail})" if detail else "")
        if check.expected and not run.is_judged(check):
            seen += ", void"
        limit = f", {check.expected}" if isinstance(check, Check) and check.expected else ""
        yield f"{check.name}{limit}", seen, None if is_shown else check.passed
