"""What a storm has shown in one plain sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from linqi_storm.schema.results import StormRun

__all__ = ["REMEDIES", "SLOWED", "UNEVEN", "lost_sessions", "next_steps", "outcome_sentence"]

UNEVEN: Final = 1.25
"""A storm factor this much above what chance alone makes is called a storm."""
SLOWED: Final = 1.2
"""A p99 inside the windows this much above that outside is called slower."""
_LAPSE_SHARE: Final = 0.01

REMEDIES: Final[Mapping[str, str]] = {
    "forced logouts of honest users": "do not deploy: people are signed out who did nothing wrong;"
    " read the notes below for the first of them and their seconds",
    "5xx other than an intended 503": "read the servers' logs in the seconds marked below; linqi"
    " itself answers 503 at most, so look at the application and the store first",
    "honest requests without an answer": "the servers were overrun or gone: add workers, or look"
    " for a restart that did not drain its connections",
    "honest requests told to slow down": "raise the limits of [throttle]; they stop honest people",
    "renewals with two different successors": "give all workers the same keys and settings; if a"
    " middleware of your own renews, let requests share one successor",
    "signatures per renewal": "look whether [signing] memo_seconds is above the longest request,"
    " and whether every worker has the same clock",
    "renewals signed twice by one worker": "raise [signing] memo_entries above the number of"
    " sessions that renew within memo_seconds",
    "expired tokens accepted": "do not deploy: an expired token opened a page; look at the clock"
    " of the servers and at the leeway",
    "forged tokens accepted": "do not deploy: a token that nobody signed opened a page",
    "revoked tokens accepted past the bound": "do not deploy before the revocation feed reaches"
    " every worker; see that all share one store",
    "refresh families killed without theft": "widen [sessions] grace_seconds above the slowest"
    " refresh with its retry, and see that clients send a refresh once",
    "requests to the issuer": "let workers share one fetched key set, and look for a flood of"
    " unknown key ids",
}
"""What to do when an invariant does not hold, by its name in `linqi_storm.run.invariants`."""


def lost_sessions(run: StormRun) -> int:
    """Give how many sessions had to sign in again for another reason than their own wish."""
    counts = run.sessions
    return counts.forced_out + counts.lapsed + counts.by_lost_reply


def outcome_sentence(run: StormRun) -> str:
    """Give what happened, in one sentence."""
    if run.verdict == "VOID":
        return (
            "This run says nothing about the servers, because the generator did not keep up with"
            " its own plan."
        )
    load, counts = run.setup.load, run.sessions
    renewals = f"{counts.renewals} renewals" if counts.renewals != 1 else "one renewal"
    parts = [f"{_sessions(load.sessions)} made {renewals}", _storm(run)]
    if counts.forced_out:
        parts.append(f"{_sessions(counts.forced_out)} signed out without any fault of theirs")
    elif counts.lapsed:
        parts.append(
            f"nobody was signed out by force, and {_sessions(counts.lapsed)} came back only after"
            " expiry"
        )
    else:
        parts.append("nobody lost a session")
    slowed = slowdown(run)
    if slowed is not None and slowed > SLOWED:
        parts.append(f"and the slowest hundredth took {slowed:.1f} times as long in the windows")
    broken = sum(not check.passed for check in run.checks)
    if broken:
        parts.append(f"{broken} of {len(run.checks)} invariants broke")
    return "; ".join(part for part in parts if part) + "."


def slowdown(run: StormRun) -> float | None:
    """Give the p99 inside the windows over that outside; None where there is no such pair."""
    if run.inside is None or run.outside is None:
        return None
    outside = run.outside.intended.at(99)
    return run.inside.intended.at(99) / outside if outside else None


def next_steps(run: StormRun) -> tuple[str, ...]:
    """Give what to do, the most urgent first; never empty."""
    return tuple(_capital(text) + "." for text in _steps(run))


def _steps(run: StormRun) -> Iterator[str]:
    if run.verdict == "VOID":
        yield (
            "run it again with fewer sessions, longer gaps or more --processes, on a machine that"
            " does nothing else; do not read the charts below as a result"
        )
        return
    if run.setup.target.mode == "naive":
        yield "compare it with storm-sliding; this one is here to show the difference"
        return
    broken = [check for check in run.checks if not check.passed]
    for check in broken:
        yield REMEDIES.get(check.name, f"find out why '{check.name}' does not hold")
    peak = run.peaks[0] if run.peaks else None
    if peak is not None and peak.factor > UNEVEN * peak.noise95 and _renews(run):
        yield _against_storm(run)
    counts = run.sessions
    if counts.cycles and counts.lapsed / counts.cycles > _LAPSE_SHARE:
        yield (
            f"{counts.lapsed / counts.cycles:.1%} of all cycles ended in silence: if that is too"
            " many, lengthen the buffer or use dual tokens; the survival curve shows by how much"
        )
    slowed = slowdown(run)
    if slowed is not None and slowed > SLOWED:
        yield "look at loop lag and CPU in the shaded seconds: something there was full"
    if not broken and (peak is None or peak.factor <= UNEVEN * peak.noise95):
        yield "nothing has to be done before deployment as far as this storm can tell"


def _against_storm(run: StormRun) -> str:
    if run.setup.target.policy and run.setup.target.policy != "grid":
        return 'set policy = "grid" in [renewal]: everybody renews at once without it'
    peak = run.peaks[0]
    budget = 1.5 * peak.floor_per_second
    return (
        "find what made people renew together (an outage, a rush, a restart); where renewals touch"
        f" something shared, bound them in [budget] at {budget:.3g}/s or more, all workers together"
    )


def _renews(run: StormRun) -> bool:
    """Tell whether a policy of ours decides when to renew."""
    return run.setup.target.mode == "sliding"


def _storm(run: StormRun) -> str:
    if not run.peaks:
        return "no peak to speak of"
    peak = run.peaks[0]
    if peak.factor <= peak.noise95:
        told = "no storm, as chance alone makes"
    elif peak.factor <= UNEVEN * peak.noise95:
        told = "hardly more than chance alone, which makes"
    else:
        told = "a storm, where chance alone makes"
    return (
        f"the peak was {peak.factor:.1f} times the least possible rate: {told} {peak.noise95:.1f}"
    )


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
