"""The invariants of a storm: rules that every correct service keeps under load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from linqi_storm.run.facts import InvariantRules, RunFacts
from linqi_storm.schema.results import Check, CheckKind
from linqi_storm.schema.violations import (
    CLIENT_RULES,
    EXPIRED,
    FAILED,
    FORCED_OUT,
    FORGED,
    REVOKED,
    TWO_SUCCESSORS,
    UNANSWERED_DUE,
)

__all__ = ["InvariantRules", "RunFacts", "check_invariants", "every_invariant"]

_PATIENCE_SECONDS: Final = 1.0
"""Every span that a service grants a client (grace, memo, the timeout of a request) is longer."""
_MOST_UNANSWERED_DUE: Final = 5.0
"""Per cent: a signature that takes longer than a second is left to the next request."""
_MOST_KEPT_BYTES: Final = 256.0
"""Per request, beyond what caches of known size may take."""
_MOST_KEPT_THINGS: Final = 0.1
"""Threads or files per renewal, beyond pools of known size."""
_MOST_STORE_CALLS: Final = 3.0
"""One call redeems or refuses a refresh token; the feed of revocations and probes add some."""
_MOST_BLOCKED: Final = 5.0
"""Per cent of the time: a correct service has no call that blocks its event loop."""
_WITH_ALL: Final = RunFacts(
    checked=dict.fromkeys((EXPIRED, FORGED, REVOKED, UNANSWERED_DUE, *CLIENT_RULES), 1),
    signatures=1,
    signed_twice=1,
    families_killed=1,
    quiet=1,
    store_calls_per_refresh=1,
    chance=(1, 1, ""),
    renewal_delay=(1, 1, ""),
    cached_above_limit=1,
    kept_per_request=1,
    threads_per_renewal=1,
    files_per_renewal=1,
    blocked_percent=1,
    memory_growth=1,
    issuer_requests=1,
)
"""Facts of which every invariant is judged."""
_Counted: TypeAlias = tuple[str, CheckKind, float | None, float, str]
"""Name, kind, limit, value, details."""


def check_invariants(facts: RunFacts, rules: InvariantRules) -> tuple[Check, ...]:
    """Return every invariant that applies, with the value measured."""
    return tuple(
        Check(name=name, kind=kind, limit=None, seen=seen, passed=True, detail=detail)
        if rules.is_comparison or limit is None
        else Check(
            name=name, kind=kind, limit=limit, seen=seen, passed=seen <= limit, detail=detail
        )
        for name, kind, limit, seen, detail in _counted(facts, rules)
    )


def every_invariant() -> tuple[Check, ...]:
    """Return each invariant that a run of any scenario may have, once."""
    found = {
        check.name: check
        for is_sliding in (True, False)
        for check in check_invariants(_WITH_ALL, InvariantRules(is_sliding=is_sliding))
    }
    return tuple(found.values())


def _counted(facts: RunFacts, rules: InvariantRules) -> Iterator[_Counted]:
    # Result files and comparisons identify invariants by these names: do not change them.
    yield from _of_honest_clients(facts, rules)
    yield from _of_renewals(facts, rules)
    yield from _of_responses(facts)
    yield from _of_sessions(facts, rules)
    yield from _of_servers(facts, rules)


def _timed(facts: RunFacts) -> CheckKind:
    # A client or a worker that got no core for longer than a service waits may be the cause.
    return "safety" if facts.stalled_seconds < _PATIENCE_SECONDS else "load"


def _families_killed(facts: RunFacts) -> int:
    """Return how many families were killed without theft."""
    return max(0, (facts.families_killed or 0) - facts.thefts)


def _of_honest_clients(facts: RunFacts, rules: InvariantRules) -> Iterator[_Counted]:
    # A killed family signs its user out: so many logouts are judged as the families are.
    are_explained = 0 < facts.forced_out <= _families_killed(facts)
    logouts: CheckKind = _timed(facts) if are_explained else "safety"
    yield FORCED_OUT, logouts, 0, facts.forced_out, ""
    # 503: the service waited for a store.
    refused: CheckKind = "safety" if facts.failed else _timed(facts)
    unexpected = 0 if rules.may_be_unavailable else facts.unavailable
    expected = f"{facts.unavailable} intended 503" if rules.may_be_unavailable else ""
    yield FAILED, refused, 0, facts.failed + unexpected, expected
    yield "honest requests without an answer", _timed(facts), 0, facts.unanswered, ""
    most = None if rules.may_be_limited else 0
    yield "honest requests told to slow down", "load", most, facts.limited, ""


def _of_renewals(facts: RunFacts, rules: InvariantRules) -> Iterator[_Counted]:
    same = 0 if rules.is_agreed else None
    # A first token whose client stood still for a whole period may meet two grid points.
    yield TWO_SUCCESSORS, _timed(facts), same, facts.duplicate_successors, ""
    if rules.is_sliding and facts.signatures is not None:
        renewals = facts.renewals + facts.probe_renewals
        ratio = facts.signatures / renewals if renewals else 0.0
        detail = f"{facts.signatures} for {renewals} renewals, {rules.workers} workers"
        yield "signatures per renewal", "load", rules.workers, round(ratio, 4), detail
    if rules.is_sliding and facts.signed_twice is not None:
        yield "renewals signed twice by one worker", _timed(facts), 0, facts.signed_twice, ""
    if rules.is_sliding and (asked := facts.checked.get(UNANSWERED_DUE, 0)):
        missed = facts.violations.get(UNANSWERED_DUE, 0)
        limit = _MOST_UNANSWERED_DUE if rules.answers_every_due else None
        seen = round(100 * missed / asked, 3)
        yield UNANSWERED_DUE, "load", limit, seen, f"{missed} of {asked}"
    if facts.chance is not None and rules.is_even:
        factor, limit, detail = facts.chance
        yield "storm factor above chance", "load", round(limit, 3), round(factor, 3), detail
    if facts.renewal_delay is not None:
        delay, limit, detail = facts.renewal_delay
        name = "delay of renewals beside other requests, milliseconds"
        yield name, "load", round(limit, 1), round(delay, 1), detail


def _of_responses(facts: RunFacts) -> Iterator[_Counted]:
    for rule in (EXPIRED, FORGED, *CLIENT_RULES):
        wrong, checked = facts.violations.get(rule, 0), facts.checked.get(rule, 0)
        if wrong or checked:  # what was never checked did not pass
            yield rule, "safety", 0, wrong, f"of {checked} checked"
    if facts.quiet:
        detail = f"of {facts.quiet}"
        yield "sessions extended by quiet requests", "safety", 0, facts.quiet_renewed, detail


def _of_sessions(facts: RunFacts, rules: InvariantRules) -> Iterator[_Counted]:
    if rules.is_sliding:
        return
    wrong, checked = facts.violations.get(REVOKED, 0), facts.checked.get(REVOKED, 0)
    if wrong or checked:
        yield REVOKED, "safety", 0, wrong, f"of {checked} checked"
    if facts.families_killed is not None:
        name, detail = "refresh families killed without theft", f"besides {facts.thefts} thefts"
        yield name, _timed(facts), 0, _families_killed(facts), detail
    if facts.store_calls_per_refresh is not None:
        calls = round(facts.store_calls_per_refresh, 2)
        yield "store calls per refresh", "load", _MOST_STORE_CALLS, calls, ""


def _of_servers(facts: RunFacts, rules: InvariantRules) -> Iterator[_Counted]:
    if facts.cached_above_limit is not None:
        name = "verified tokens cached above the limit"
        yield name, "safety", 0, facts.cached_above_limit, ""
    if facts.kept_per_request is not None:
        name, kept = "memory kept per request, bytes", round(facts.kept_per_request, 1)
        yield name, "load", _MOST_KEPT_BYTES, kept, ""
    for name, seen in (
        ("threads kept per renewal", facts.threads_per_renewal),
        ("files kept per renewal", facts.files_per_renewal),
    ):
        if seen is not None:
            yield name, "safety", _MOST_KEPT_THINGS, round(seen, 3), ""
    if facts.blocked_percent is not None:
        name = "event loops blocked, per cent of the time"
        # Otherwise a busy machine looks like a call that blocks.
        kind: CheckKind = "safety" if facts.is_waiting_counted else "load"
        yield name, kind, _MOST_BLOCKED, round(facts.blocked_percent, 2), ""
    if facts.memory_growth is not None:
        name = "growth of a worker's memory, per cent"
        yield name, "load", 5, round(facts.memory_growth * 100, 2), ""
    if facts.issuer_requests is not None:
        name, limit = "requests to the issuer", rules.most_issuer_requests
        yield name, _timed(facts), limit, facts.issuer_requests, ""
