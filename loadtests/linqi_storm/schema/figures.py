"""The figures of a storm's result by name, as requirements and comparisons use them.

Every name is stable: it stands in ``linqi.toml`` files and in continuous integration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from linqi_storm.schema.checks import Check, CheckKind
from linqi_storm.schema.results import OUTCOMES, Latencies, Peak, Second, StormRun

__all__ = [
    "FIGURES",
    "StormFigure",
    "cpu_per_request_us",
    "figure_name",
    "figures_with",
    "hit_ratio",
    "lost_sessions",
]

_Getter: TypeAlias = "Callable[[StormRun], float | None]"
_SCOPES: Final = {"": "of all requests", "_in": "inside the windows", "_out": "outside the windows"}
_SIDES: Final = {"": "since due", "_sent": "since sent"}
_SHARES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


@dataclass(frozen=True, slots=True, kw_only=True)
class StormFigure:
    """One figure of a result."""

    name: str
    meaning: str
    """One line, without the unit."""
    unit: str = ""
    kind: CheckKind = "load"
    """``safety`` if the figure is true of a void run."""
    get: _Getter
    """Returns the value; None if the run did not measure it."""


def lost_sessions(run: StormRun) -> int:
    """Return the number of sessions that had to sign in again without having signed out."""
    counts = run.sessions
    return counts.forced_out + counts.lapsed + counts.by_lost_reply


def cpu_per_request_us(run: StormRun) -> float | None:
    """Return the servers' CPU time per request in microseconds; None if not sampled."""
    sampled = [second for second in run.timeline if second.cpu and sum(second.memory_mb) > 0]
    requests = sum(s.requests + sum(s.hostile.values()) for s in sampled)
    return 1e6 * sum(sum(s.cpu) for s in sampled) / requests if requests else None


def hit_ratio(run: StormRun) -> tuple[int, int]:
    """Return the hits and the look-ups of the cache of verified tokens."""
    hits = sum(second.cache_hits or 0 for second in run.timeline)
    return hits, hits + sum(second.cache_misses or 0 for second in run.timeline)


def figure_name(invariant: str) -> str:
    """Return the name of the figure of an invariant: its words, joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", invariant.lower().replace("'s ", " ")).strip("_")


def figures_with(invariants: Iterable[Check]) -> Mapping[str, StormFigure]:
    """Return `FIGURES` and the value of each of `invariants`, by name."""
    return {**FIGURES, **{figure.name: figure for figure in map(_of_invariant, invariants)}}


def _of_invariant(check: Check) -> StormFigure:
    def get(run: StormRun) -> float | None:
        return next((each.seen for each in run.checks if each.name == check.name), None)

    return StormFigure(
        name=figure_name(check.name), meaning=f"invariant: {check.name}", kind=check.kind, get=get
    )


def _peak(index: int, value: Callable[[Peak], float]) -> _Getter:
    return lambda run: value(run.peaks[index]) if len(run.peaks) > index else None


def _whole(run: StormRun) -> float | None:
    return run.peaks[-1].factor if run.peaks else None


def _of(numerator: _Getter, denominator: _Getter, scale: float = 1.0) -> _Getter:
    """Return the getter of a quotient; None without a denominator."""

    def get(run: StormRun) -> float | None:
        above, below = numerator(run), denominator(run)
        return scale * above / below if above is not None and below else None

    return get


def _most(values: Callable[[Second], Sequence[float]]) -> _Getter:
    """Return the getter of the highest value of any second; None if no second has one."""
    return lambda run: max(
        (value for second in run.timeline for value in values(second)), default=None
    )


def _sum(value: Callable[[Second], int | None]) -> _Getter:
    """Return the getter of a sum over the seconds; None if no second has a value."""

    def get(run: StormRun) -> float | None:
        found = [each for second in run.timeline if (each := value(second)) is not None]
        return sum(found) if found else None

    return get


def _outcome(kind: str) -> _Getter:
    return lambda run: sum(second.outcomes.get(kind, 0) for second in run.timeline)


def _memory(second: Second) -> Sequence[float]:
    return [sum(second.memory_mb)] if any(second.memory_mb) else []


def _hits(run: StormRun) -> float | None:
    hits, asked = hit_ratio(run)
    return 100 * hits / asked if asked else None


def _lag(share: float) -> _Getter:
    def get(run: StormRun) -> float | None:
        lags, passed = run.lags.lags, 0
        for value, count in zip(lags.values, lags.counts, strict=True):
            passed += count
            if passed >= share * lags.total:
                return value
        return None

    return get


def _slowest_refusal(run: StormRun) -> float | None:
    return max(run.sessions.refused_seconds.values, default=None)


def _latency(scope: str, side: str, value: str) -> _Getter:
    def get(run: StormRun) -> float | None:
        latencies: Latencies | None = {
            "": run.latencies,
            "_in": run.inside,
            "_out": run.outside,
        }[scope]
        if latencies is None:
            return None
        spectrum = latencies.service if side else latencies.intended
        if not spectrum.count:
            return None
        if value in _SHARES:
            return spectrum.at(_SHARES[value])
        return spectrum.mean_ms if value == "mean" else spectrum.max_ms

    return get


def _latencies() -> Iterable[StormFigure]:
    for scope, where in _SCOPES.items():
        for side, since in _SIDES.items():
            for value in (*_SHARES, "mean", "max"):
                words = {"p999": "p99.9", "max": "highest"}.get(value, value)
                yield StormFigure(
                    name=f"{value}{scope}{side}_ms",
                    meaning=f"{words} latency {where}, {since}",
                    unit="ms",
                    get=_latency(scope, side, value),
                )


def _outcomes() -> Iterable[StormFigure]:
    for kind in OUTCOMES:
        yield StormFigure(
            name=f"responses_{kind}",
            meaning=f"honest requests with the outcome '{kind}'",
            kind="safety" if kind in ("failed", "strange") else "load",
            get=_outcome(kind),
        )


_Row: TypeAlias = tuple[str, str, str, CheckKind, _Getter]
_ROWS: Final[Sequence[_Row]] = (
    ("storm_factor", "storm factor of the first cycle", "", "load", _peak(0, lambda p: p.factor)),
    ("storm_factor_whole", "storm factor of the whole run", "", "load", _whole),
    (
        "storm_factor_over_chance",
        "storm factor of the first cycle, divided by the level of chance",
        "",
        "load",
        _peak(0, lambda peak: peak.factor / peak.noise95),
    ),
    (
        "peak_renewals_per_second",
        "highest renewal rate of the first cycle, in a sliding window",
        "/s",
        "load",
        _peak(0, lambda peak: peak.peak_per_second),
    ),
    ("sessions", "sessions at the start of the load", "", "safety", lambda r: r.sessions.total),
    ("renewals", "distinct renewals", "", "load", lambda r: r.sessions.renewals),
    (
        "cycles",
        "tokens renewed, or whose renewal window closed",
        "",
        "load",
        lambda r: r.sessions.cycles,
    ),
    ("logins", "logins after a loss", "", "load", lambda r: r.sessions.logins),
    (
        "forced_logouts",
        "sessions refused although the client did nothing wrong",
        "",
        "safety",
        lambda r: r.sessions.forced_out,
    ),
    (
        "forced_logouts_percent",
        "forced logouts, of all tokens",
        "%",
        "load",
        _of(lambda r: r.sessions.forced_out, lambda r: r.sessions.cycles, 100),
    ),
    (
        "lapsed_sessions",
        "sessions that expired without a request in the buffer",
        "",
        "load",
        lambda r: r.sessions.lapsed,
    ),
    (
        "lapsed_percent",
        "sessions that expired without a request in the buffer, of all tokens",
        "%",
        "load",
        _of(lambda r: r.sessions.lapsed, lambda r: r.sessions.cycles, 100),
    ),
    (
        "forced_sign_ins",
        "sessions that had to sign in again, for whatever reason",
        "",
        "load",
        lost_sessions,
    ),
    (
        "forced_sign_ins_per_1000_sessions",
        "sessions that had to sign in again, for each 1,000 sessions of the run",
        "",
        "load",
        _of(lost_sessions, lambda r: r.sessions.total, 1000),
    ),
    (
        "slowest_refusal_seconds",
        "longest time until all workers refused a revoked token",
        "s",
        "load",
        _slowest_refusal,
    ),
    (
        "renewal_lag_p50_seconds",
        "median time from due to the first request",
        "s",
        "load",
        _lag(0.5),
    ),
    ("renewal_lag_p99_seconds", "p99 of that time", "s", "load", _lag(0.99)),
    ("requests", "honest requests", "", "load", lambda r: r.traffic.requests),
    (
        "requests_per_second",
        "honest requests per second",
        "/s",
        "load",
        lambda r: r.traffic.requests / r.setup.load.duration_seconds,
    ),
    ("in_flight", "most unanswered requests at once", "", "load", _most(lambda s: [s.in_flight])),
    (
        "slowdown",
        "p99 latency inside the windows, divided by that outside",
        "",
        "load",
        _of(_latency("_in", "", "p99"), _latency("_out", "", "p99")),
    ),
    ("cpu_us_per_request", "servers' CPU time per request", "us", "load", cpu_per_request_us),
    (
        "worker_cpu_percent",
        "CPU of the busiest server worker in any second, of one core",
        "%",
        "load",
        _most(lambda second: [100 * share for share in second.cpu]),
    ),
    (
        "loop_lag_ms",
        "longest delay of a server's event loop",
        "ms",
        "load",
        _most(lambda second: second.loop_lag_ms),
    ),
    ("memory_mb", "most memory of all workers together", "MB", "load", _most(_memory)),
    ("cache_hit_percent", "hits of the cache of verified tokens", "%", "load", _hits),
    ("signatures", "signatures of the servers", "", "load", _sum(lambda s: s.signatures)),
    ("store_calls", "round trips to the store", "", "load", _sum(lambda s: s.store_calls)),
    (
        "store_calls_per_renewal",
        "round trips to the store for each renewal",
        "",
        "load",
        _of(_sum(lambda s: s.store_calls), lambda r: r.sessions.renewals),
    ),
    (
        "budget_queue",
        "most sessions at once whose renewal the budget deferred",
        "",
        "load",
        _most(lambda s: [] if s.budget_queue is None else [s.budget_queue]),
    ),
    (
        "generator_lag_p99_ms",
        "p99 of how late the load generator sent requests",
        "ms",
        "safety",
        lambda r: r.generator.lag_p99_ms,
    ),
    (
        "generator_cpu_percent",
        "CPU of the busiest load generator process (p95), of one core",
        "%",
        "safety",
        lambda r: 100 * r.generator.cpu_p95,
    ),
)

FIGURES: Final[Mapping[str, StormFigure]] = {
    figure.name: figure
    for figure in (
        *(
            StormFigure(name=name, meaning=meaning, unit=unit, kind=kind, get=get)
            for name, meaning, unit, kind, get in _ROWS
        ),
        *_latencies(),
        *_outcomes(),
    )
}
"""Every figure except the values of invariants, by name; see `figures_with`."""
