"""The conclusion of a storm in one sentence, and the recommended steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from linqi_storm.schema.results import StormRun

__all__ = ["REMEDIES", "SLOWED", "UNEVEN", "lost_sessions", "next_steps", "outcome_sentence"]

UNEVEN: Final = 1.25
"""A storm factor this many times above the level of chance counts as a storm."""
SLOWED: Final = 1.2
"""A p99 inside the windows this many times that outside counts as slower."""
_LAPSE_SHARE: Final = 0.01

REMEDIES: Final[Mapping[str, str]] = {
    "forced logouts of honest users": "do not deploy: users are signed out without a reason;"
    " the notes below describe the first cases with their seconds",
    "5xx other than an intended 503": "read the servers' logs of the seconds marked below; linqi"
    " itself answers no 5xx but 503, so check the application and the store first",
    "honest requests without an answer": "the servers were overloaded or down: add workers, or"
    " check for a restart that did not drain its connections",
    "honest requests told to slow down": "raise the limits of [throttle]: they refuse honest users",
    "renewals with two different successors": "give all workers the same keys and settings; in a"
    " middleware of your own, let parallel requests share one successor",
    "signatures per renewal": "check that [signing] memo_seconds is above the longest request,"
    " and that all workers have the same clock",
    "renewals signed twice by one worker": "raise [signing] memo_entries above the number of"
    " sessions that renew within memo_seconds",
    "expired tokens accepted": "do not deploy: an expired token was accepted; check the clock"
    " of the servers and the leeway",
    "forged tokens accepted": "do not deploy: a token with a wrong signature or claim was accepted",
    "revoked tokens accepted past the bound": "do not deploy until the revocation feed reaches"
    " every worker; check that all share one store",
    "refresh families killed without theft": "raise [sessions] grace_seconds above the slowest"
    " refresh with its retry, and check that clients send each refresh once",
    "requests to the issuer": "let workers share one fetched key set, and check for many"
    " tokens with unknown key ids",
}
"""The remedy of each broken invariant, by its name in `linqi_storm.run.invariants`."""


def lost_sessions(run: StormRun) -> int:
    """Return the number of sessions that had to sign in again without having signed out."""
    counts = run.sessions
    return counts.forced_out + counts.lapsed + counts.by_lost_reply


def outcome_sentence(run: StormRun) -> str:
    """Return the conclusion of the run in one sentence."""
    if run.verdict == "VOID":
        return (
            "This run says nothing about the servers, because the load generator did not keep up"
            " with its plan."
        )
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
    broken = sum(not check.passed for check in run.checks)
    if broken:
        parts.append(f"{broken} of {len(run.checks)} invariants did not hold")
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
    if run.verdict == "VOID":
        yield (
            "repeat the run with fewer sessions, longer gaps or more --processes, on an idle"
            " machine; draw no conclusion from the charts below"
        )
        return
    if run.setup.target.mode == "naive":
        yield "compare it with storm-sliding: this run shows the difference"
        return
    broken = [check for check in run.checks if not check.passed]
    for check in broken:
        yield REMEDIES.get(check.name, f"find the cause of '{check.name}'")
    peak = run.peaks[0] if run.peaks else None
    if peak is not None and peak.factor > UNEVEN * peak.noise95 and _renews(run):
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
    if not broken and (peak is None or peak.factor <= UNEVEN * peak.noise95):
        yield "nothing: this storm found no reason against deployment"


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
