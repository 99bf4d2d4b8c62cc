"""The tables of a storm's report, with the figures of the JSON result."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

from linqi_report.axes import number
from linqi_report.page import Cell, table
from linqi_storm.report.comparison import changes, differences
from linqi_storm.schema.checks import Check, RequirementCheck
from linqi_storm.schema.figures import cpu_per_request_us, hit_ratio
from linqi_storm.schema.results import Spectrum, StormRun
from linqi_storm.schema.stages import stages_text
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = [
    "changes_table",
    "checks_table",
    "differences_table",
    "generator_table",
    "latency_table",
    "peaks_table",
    "server_table",
    "sessions_table",
    "setup_tables",
]

_Row: TypeAlias = Sequence[Cell]


def checks_table(run: StormRun) -> str:
    """Return every invariant and requirement with its limit, its value and its result."""
    rows: list[_Row] = [
        (
            (check.name, "long"),
            check.expected,
            check.measured,
            _result(run, check),
            (check.detail, "long"),
        )
        for check in run.every_check
    ]
    name = "Requirement or invariant" if run.requirements else "Invariant"
    columns = (name, "Limit", "Measured", "Result", ("Details", "long"))
    return table(columns, rows)


def _result(run: StormRun, check: Check | RequirementCheck) -> tuple[str, str]:
    """Return the word for a check; a void run gives none for rates and latencies."""
    if not check.expected:
        return "shown", "soft"
    if not run.is_judged(check):
        return "void", "warn"
    return ("ok", "ok") if check.passed else ("BROKEN", "bad")


def peaks_table(run: StormRun) -> str:
    """Return the storm factors with the level of chance."""
    if not run.peaks:
        return ""
    rows: list[_Row] = [
        (
            peak.label,
            f"{peak.begins:g} to {peak.ends:g} s",
            f"{peak.window_seconds:.3g} s",
            str(peak.renewals),
            f"{peak.peak_per_second:.4g}/s",
            f"{peak.floor_per_second:.4g}/s",
            f"{peak.factor:.2f}",
            f"{peak.noise95:.2f}",
        )
        for peak in run.peaks
    ]
    columns = (
        "Part of the run",
        "From, to",
        "Sliding window",
        "Renewals",
        "Highest rate",
        "Lowest possible rate",
        "Storm factor",
        "Level of chance (95 %)",
    )
    return table(columns, rows)


def latency_table(run: StormRun) -> str:
    """Return the usual percentiles of all latencies."""
    rows: list[_Row] = []
    for name, latencies in (
        ("all requests", run.latencies),
        ("inside the windows", run.inside),
        ("outside the windows", run.outside),
    ):
        if latencies is not None:
            rows.append((f"{name}, since due", *_spread(latencies.intended)))
            rows.append((f"{name}, since sent", *_spread(latencies.service)))
    return table(("Latency in ms", "Requests", "Mean", "p50", "p90", "p99", "p99.9", "Max"), rows)


def _spread(spectrum: Spectrum) -> tuple[str, ...]:
    if not spectrum.count:
        return ("0", *[""] * 6)
    shares = (f"{spectrum.at(share):.2f}" for share in (50, 90, 99, 99.9))
    return str(spectrum.count), f"{spectrum.mean_ms:.2f}", *shares, f"{spectrum.max_ms:.2f}"


def sessions_table(run: StormRun) -> str:
    """Return the counts over all sessions."""
    counts, lags = run.sessions, run.lags
    lapsed = str(counts.lapsed)
    if counts.cycles:
        lapsed += f" ({counts.lapsed / counts.cycles:.2%} of the tokens)"
    rows: list[_Row] = [
        ("sessions at the start of the load", str(counts.total)),
        ("distinct renewals", str(counts.renewals)),
        ("tokens renewed, or whose renewal window closed", str(counts.cycles)),
        (
            "forced logouts: refused although the client did nothing wrong",
            (str(counts.forced_out), "bad" if counts.forced_out else "ok"),
        ),
        ("expired without a request in the buffer", lapsed),
        ("lost because the scenario discarded the responses", str(counts.by_lost_reply)),
        ("logins after a loss", str(counts.logins)),
        ("tokens due for renewal, first used after expiry", str(lags.expired_presented)),
        ("tokens due for renewal, without a request until the end", str(lags.silent)),
        ("refresh token families revoked without theft", str(counts.families_killed)),
    ]
    if counts.quiet or counts.quiet_unsent:
        rows.append(("quiet requests answered", str(counts.quiet)))
        rows.append(
            ("quiet requests not sent, because the token had expired", str(counts.quiet_unsent))
        )
    if counts.refused_seconds.total:
        longest = max(counts.refused_seconds.values)
        rows.append(("longest time until all workers refused a revoked token", f"{longest:.3f} s"))
    return table(("Sessions", "Count"), [((str(row[0]), "long"), *row[1:]) for row in rows])


def server_table(run: StormRun) -> str:
    """Return the resources that the servers used in the whole run."""
    cost, (hits, asked) = cpu_per_request_us(run), hit_ratio(run)
    calls = sum(second.store_calls or 0 for second in run.timeline)
    memory = [sum(s.memory_mb) for s in run.timeline if s.memory_mb and all(s.memory_mb)]
    rows: list[_Row] = []
    if cost is not None:
        rows.append(("CPU time per request, all workers", f"{cost:.0f} us"))
    if asked:
        rows.append(
            ("cache of verified tokens", f"hits for {hits / asked:.2%} of {asked} look-ups")
        )
    if calls:
        rows.append(("store round trips", str(calls)))
    if memory:
        rows.append(
            (
                "memory of all workers, first and last second",
                f"{memory[0]:.1f}, {memory[-1]:.1f} MB",
            )
        )
    lags = [lag for second in run.timeline for lag in second.loop_lag_ms]
    if any(lags):
        rows.append(("longest event-loop lag", f"{max(lags):.1f} ms"))
    return table(("Servers", "Measured"), rows) if rows else ""


def generator_table(run: StormRun) -> str:
    """Return the load generator's health with the limits beyond which a run is void."""
    health = run.generator
    rows: list[_Row] = [
        _limited("delay of requests, p99", health.lag_p99_ms, LAG_LIMIT_MS, "ms"),
        _limited("CPU of the busiest process, p95", 100 * health.cpu_p95, 100 * CPU_LIMIT, "%"),
        ("delay of requests, p50", "", f"{health.lag_p50_ms:.2f} ms", ""),
        ("delay of requests, longest", "", f"{health.lag_max_ms:.2f} ms", ""),
        ("seconds left out of the latencies", "", _listed(health.late_seconds), ""),
        ("processes", "", str(run.setup.generators), ""),
    ]
    chosen = "".join(f"<li>{escape(text)}</li>" for text in health.chosen)
    before = f"<h3>Before the run</h3><ul>{chosen}</ul>" if chosen else ""
    return table(("Load generator", "Limit", "Measured", "Result"), rows) + before


def _listed(seconds: Sequence[int]) -> str:
    return ", ".join(map(str, seconds)) or "none"


def _limited(name: str, seen: float, limit: float, unit: str) -> _Row:
    verdict = ("ok", "ok") if seen <= limit else ("VOID", "bad")
    return name, f"at most {limit:g} {unit}", f"{seen:.2f} {unit}", verdict


def changes_table(before: StormRun, now: StormRun) -> str:
    """Return the main figures of two runs, and whether they differ by more than noise."""
    kinds = {"better": "ok", "worse": "bad", "as before": "soft", "": "soft"}
    rows: list[_Row] = [
        (
            (change.figure.meaning, "long"),
            _figure(change.before, change.figure.unit),
            _figure(change.now, change.figure.unit),
            _ratio(change.before, change.now),
            (change.verdict or "not in both", kinds[change.verdict]),
            (change.rule, "long"),
        )
        for change in changes(before, now)
    ]
    return table(
        ("Figure", "Before", "Now", "Now / before", "Verdict", ("Counts as noise", "long")), rows
    )


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()


def _ratio(before: float | None, now: float | None) -> str:
    return f"{now / before:.2f}" if before and now is not None else ""


def differences_table(before: StormRun, now: StormRun) -> str:
    """Return the settings that differ between two runs."""
    found = differences(before, now)
    if not found:
        return '<p class="soft">Both runs had the same settings.</p>'
    rows: list[_Row] = [(name, (old, "long"), (new, "long")) for name, old, new in found]
    return table(("Different setting", ("Before", "long"), ("Now", "long")), rows)


def setup_tables(run: StormRun) -> str:
    """Return everything that is needed to repeat the run."""
    setup, load, target = run.setup, run.setup.load, run.setup.target
    budget = target.budget_per_second
    what: list[tuple[str, object]] = [
        ("scenario", setup.scenario),
        ("target", f"{target.name} ({target.kind})"),
        ("mode; renewal policy", f"{target.mode}; {target.policy or 'none'}"),
        ("algorithm", f"{target.algorithm}, {target.key_bits} bits"),
        ("workers", target.workers or "unknown"),
        ("store", target.store or "none"),
        ("renewal budget of all workers", "none" if budget is None else f"{budget:g}/s"),
        ("sessions", load.sessions),
        ("duration", f"{load.duration_seconds:g} s"),
        *([("stages", stages_text(load.stages))] if load.stages else []),
        ("lifetime; buffer in the run", f"{load.lifetime_seconds:g}; {load.buffer_seconds:g} s"),
        ("compression factor k", f"{load.compression:g}"),
        (
            "real lifetime; buffer",
            f"{load.lifetime_seconds * load.compression:g};"
            f" {load.buffer_seconds * load.compression:g} s",
        ),
        ("seed", load.seed),
        ("pauses between pages", load.gaps),
        ("mean requests per page", f"{load.mean_parallel:.3g}"),
        ("time in which sessions sign in", f"{load.login_spread_seconds:g} s"),
        ("hostile requests", f"{load.hostile_per_second:g}/s"),
        ("load generator processes", setup.generators),
        *((f"setting {name}", value) for name, value in load.options.items()),
        *((f"tag {name}", value) for name, value in setup.tags.items()),
    ]
    return "".join(
        table((title, ("Value", "long")), [(name, (_text(value), "long")) for name, value in rows])
        for title, rows in (
            ("Storm", what),
            ("Machine", list(setup.machine.items())),
            ("Versions", list(setup.versions.items())),
        )
        if rows
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
