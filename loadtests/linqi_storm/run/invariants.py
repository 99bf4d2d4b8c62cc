"""The invariants of a storm: rules that every correct service keeps under load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linqi_storm.schema.results import Check

__all__ = ["InvariantRules", "RunFacts", "check_invariants"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Counts of one run, from clients and servers."""

    forced_out: int = 0
    failed: int = 0
    """Honest requests answered 5xx other than 503."""
    unavailable: int = 0
    """Honest requests answered 503."""
    unanswered: int = 0
    """Honest requests that timed out or whose connection broke."""
    limited: int = 0
    """Honest requests answered 429."""
    duplicate_successors: int = 0
    renewals: int = 0
    """Distinct (session, renewal) pairs."""
    signatures: int | None = None
    """None if the servers were not sampled."""
    signed_twice: int | None = None
    families_killed: int | None = None
    accepted_expired: int = 0
    accepted_revoked: int = 0
    accepted_forged: int = 0
    quiet: int = 0
    """Quiet requests answered 2xx."""
    quiet_renewed: int = 0
    """Quiet requests answered with a successor."""
    hostile: int = 0
    """Requests that had to be refused."""
    memory_growth: float | None = None
    """Largest growth of a worker's memory, as a share; None in short runs."""
    issuer_requests: int | None = None
    """Fetches of the outside issuer's documents; None without an issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantRules:
    """What one scenario allows."""

    workers: int = 1
    may_be_unavailable: bool = False
    """Whether 503 is an expected response."""
    most_issuer_requests: int = 0
    is_sliding: bool = True
    is_agreed: bool = True
    """Whether all workers sign equal successors, as under the grid policy."""
    is_comparison: bool = False
    """Whether the service is shown for comparison only, without limits."""


def check_invariants(facts: RunFacts, rules: InvariantRules) -> tuple[Check, ...]:
    """Return every invariant that applies, with the value measured."""
    return tuple(
        Check(name=name, limit=None, seen=seen, passed=True, detail=detail)
        if rules.is_comparison or limit is None
        else Check(name=name, limit=limit, seen=seen, passed=seen <= limit, detail=detail)
        for name, limit, seen, detail in _counted(facts, rules)
    )


def _counted(
    facts: RunFacts, rules: InvariantRules
) -> Iterator[tuple[str, float | None, float, str]]:
    # Result files and comparisons identify invariants by these names: do not change them.
    yield "forced logouts of honest users", 0, facts.forced_out, ""
    unexpected = 0 if rules.may_be_unavailable else facts.unavailable
    expected = f"{facts.unavailable} intended 503" if rules.may_be_unavailable else ""
    yield "5xx other than an intended 503", 0, facts.failed + unexpected, expected
    yield "honest requests without an answer", 0, facts.unanswered, ""
    yield "honest requests told to slow down", 0, facts.limited, ""
    same = 0 if rules.is_agreed else None
    yield "renewals with two different successors", same, facts.duplicate_successors, ""
    if rules.is_sliding and facts.signatures is not None:
        ratio = facts.signatures / facts.renewals if facts.renewals else 0.0
        detail = f"{facts.signatures} for {facts.renewals} renewals, {rules.workers} workers"
        yield "signatures per renewal", rules.workers, round(ratio, 4), detail
    if rules.is_sliding and facts.signed_twice is not None:
        yield "renewals signed twice by one worker", 0, facts.signed_twice, ""
    yield "expired tokens accepted", 0, facts.accepted_expired, ""
    yield "forged tokens accepted", 0, facts.accepted_forged, f"of {facts.hostile} presented"
    if facts.quiet:
        yield "sessions extended by quiet requests", 0, facts.quiet_renewed, f"of {facts.quiet}"
    if facts.accepted_revoked or not rules.is_sliding:
        yield "revoked tokens accepted past the bound", 0, facts.accepted_revoked, ""
    if not rules.is_sliding and facts.families_killed is not None:
        yield "refresh families killed without theft", 0, facts.families_killed, ""
    if facts.memory_growth is not None:
        yield "growth of a worker's memory, per cent", 5, round(facts.memory_growth * 100, 2), ""
    if facts.issuer_requests is not None:
        yield "requests to the issuer", rules.most_issuer_requests, facts.issuer_requests, ""
