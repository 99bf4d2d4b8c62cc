"""The conclusion of a storm in one sentence, and the recommended steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linqi_storm.report.headline import UNEVEN, is_comparison, is_storm, late_sentence
from linqi_storm.report.remedies import REMEDIES
from linqi_storm.schema.checks import Check, RequirementCheck
from linqi_storm.schema.results import StormRun

__all__ = ["SLOWED", "next_steps", "outcome_sentence"]

SLOWED: Final = 1.2
"""A p99 inside the windows this many times that outside counts as slower."""
_LAPSE_SHARE: Final = 0.01


def outcome_sentence(run: StormRun) -> str:
    """Return the conclusion of the run in one sentence."""
    if not run.generator.is_valid:
        return late_sentence(run)
    load, counts = run.setup.load, run.sessions
    renewals = f"{counts.renewals} renewals" if counts.renewals != 1 else "one renewal"
    parts = [f"{_sessions(load.sessions)} made {renewals}", _storm(run)]
    if counts.forced_out:
        parts.append(f"forced logouts of {_sessions(counts.forced_out)}")
    elif counts.lapsed:
        parts.append(
            f"no forced logout, and {_sessions(counts.lapsed)} expired without a request in the"
            " buffer"
        )
    else:
        parts.append("no session was lost")
    slowed = slowdown(run)
    if slowed is not None and slowed > SLOWED:
        parts.append(f"in the windows the p99 latency was {slowed:.1f} times that outside")
    return "; ".join(part for part in parts if part) + "."


def slowdown(run: StormRun) -> float | None:
    """Return the p99 latency inside the windows over that outside; None without both."""
    if run.inside is None or run.outside is None:
        return None
    outside = run.outside.intended.at(99)
    return run.inside.intended.at(99) / outside if outside else None


def next_steps(run: StormRun) -> tuple[str, ...]:
    """Return the recommended steps, the most urgent first; at least one."""
    return tuple(_capital(text) + "." for text in _steps(run))


def _steps(run: StormRun) -> Iterator[str]:
    for check in run.broken:
        yield _remedy(check)
    if not run.generator.is_valid:
        yield (
            "repeat the run with fewer sessions, longer gaps or more --processes, on an idle"
            " machine; draw no conclusion from the latencies and rates below"
        )
        return
    if is_comparison(run):
        yield "compare it with storm-sliding: this run shows the difference"
        return
    if is_storm(run) and _renews(run):
        yield _against_storm(run)
    counts = run.sessions
    if counts.cycles and counts.lapsed / counts.cycles > _LAPSE_SHARE:
        yield (
            f"{counts.lapsed / counts.cycles:.1%} of all tokens expired without a request in the"
            " buffer: if that is too many, use a longer buffer, as the chart of lost renewals"
            " shows, or dual tokens"
        )
    slowed = slowdown(run)
    if slowed is not None and slowed > SLOWED:
        yield "check event-loop lag and CPU in the shaded seconds: one of them was at its limit"
    if not run.broken and not is_storm(run):
        yield "nothing: this storm found no reason against deployment"


def _remedy(check: Check | RequirementCheck) -> str:
    if isinstance(check, RequirementCheck):
        return f"'{check.name}' is not met: {check.measured}, expected {check.expected}"
    return REMEDIES.get(check.name, f"find the cause of '{check.name}'")


def _against_storm(run: StormRun) -> str:
    if run.setup.target.policy and run.setup.target.policy != "grid":
        return 'set policy = "grid" in [renewal]: without it all sessions renew at the same time'
    peak = run.peaks[0]
    budget = 1.5 * peak.floor_per_second
    return (
        "find why sessions renewed together (an outage, a rush, a restart); if renewals use a"
        f" shared resource, limit them in [budget] to {budget:.3g}/s or more, all workers together"
    )


def _renews(run: StormRun) -> bool:
    """Return whether the policy of the middleware decides when to renew."""
    return run.setup.target.mode == "sliding"


def _storm(run: StormRun) -> str:
    if not run.peaks:
        return "there was no peak of renewals"
    peak = run.peaks[0]
    if peak.factor <= peak.noise95:
        conclusion = "no storm"
    elif peak.factor <= UNEVEN * peak.noise95:
        conclusion = "hardly above chance"
    else:
        conclusion = "a storm"
    return (
        f"the peak was {peak.factor:.1f} times the lowest possible rate, {conclusion}"
        f" (chance alone reaches {peak.noise95:.1f})"
    )


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
