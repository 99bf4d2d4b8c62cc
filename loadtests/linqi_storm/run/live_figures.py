"""The figures of a running storm, for the terminal and Locust's page."""

from __future__ import annotations

from dataclasses import dataclass

from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.run.peaks import sliding_rates
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.violations import EXPIRED, FORGED, REVOKED

__all__ = ["LiveFigures", "live_figures", "peak_so_far"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigures:
    """The last complete second of a storm, and the counts until then."""

    second: int
    requests: int
    renewals: int
    unanswered: int
    """Timeouts, broken connections and 5xx responses in this second."""
    p50_ms: float
    p99_ms: float
    """Latency since the request was due."""
    lapsed: int
    forced_out: int
    wrong: int
    """Violations of invariants that have an example; at most 10."""
    accepted: int
    """Expired, revoked and forged tokens that were accepted."""
    generator_lag_p99_ms: float


def live_figures(totals: LoadTotals) -> LiveFigures | None:
    """Return the figures of the last complete second; None before there is one."""
    latest = totals.latest_whole_second()
    if latest is None:
        return None
    _, intended = totals.latencies([latest])
    outcomes, tally = totals.counts(latest).outcomes, totals.tally
    at = intended.get_value_at_percentile
    return LiveFigures(
        second=latest,
        requests=sum(outcomes.values()),
        renewals=sum(n for at, n in tally.renewed_at.items() if at // 1000 == latest),
        unanswered=sum(outcomes[kind] for kind in ("timeout", "broken", "failed", "unavailable")),
        p50_ms=at(50) / 1000,
        p99_ms=at(99) / 1000,
        lapsed=tally.lapsed,
        forced_out=tally.forced_out,
        wrong=len(tally.examples),
        accepted=sum(tally.violations[rule] for rule in (EXPIRED, REVOKED, FORGED)),
        generator_lag_p99_ms=totals.lag.get_value_at_percentile(99) / 1000,
    )


def peak_so_far(totals: LoadTotals, load: StormLoad) -> float:
    """Return the highest renewal rate over the window of the peaks, in renewals per second."""
    rates = sliding_rates(totals.tally.renewed_at, load.duration, load.period)
    return max(rates.per_second, default=0.0)
