"""Every invariant can fail, and fails for its own reason only."""

from dataclasses import replace
from typing import Any

import pytest

from linqi_storm.run.invariants import InvariantRules, RunFacts, check_invariants

GOOD = RunFacts(
    renewals=100,
    signatures=150,
    signed_twice=0,
    families_killed=0,
    hostile=20,
    issuer_requests=2,
)
RULES = InvariantRules(workers=2, most_issuer_requests=3)


def failed(facts: RunFacts, rules: InvariantRules) -> list[str]:
    """Return the names of the invariants that do not hold."""
    return [check.name for check in check_invariants(facts, rules) if not check.passed]


def test_a_run_without_faults_passes() -> None:
    """A run without violations breaks no invariant."""
    for is_sliding in (True, False):
        assert failed(GOOD, replace(RULES, is_sliding=is_sliding)) == []


@pytest.mark.parametrize(
    ("change", "name", "is_sliding"),
    [
        ({"forced_out": 1}, "forced logouts of honest users", True),
        ({"failed": 1}, "5xx other than an intended 503", True),
        ({"unavailable": 1}, "5xx other than an intended 503", True),
        ({"unanswered": 1}, "honest requests without an answer", True),
        ({"limited": 1}, "honest requests told to slow down", True),
        ({"duplicate_successors": 1}, "renewals with two different successors", True),
        ({"signatures": 201}, "signatures per renewal", True),
        ({"signed_twice": 1}, "renewals signed twice by one worker", True),
        ({"accepted_expired": 1}, "expired tokens accepted", True),
        ({"accepted_forged": 1}, "forged tokens accepted", True),
        ({"quiet": 9, "quiet_renewed": 1}, "sessions extended by quiet requests", True),
        ({"accepted_revoked": 1}, "revoked tokens accepted past the bound", False),
        ({"families_killed": 1}, "refresh families killed without theft", False),
        ({"memory_growth": 0.051}, "growth of a worker's memory, per cent", True),
        ({"issuer_requests": 4}, "requests to the issuer", True),
    ],
)
def test_each_violation_fails_its_invariant(
    change: dict[str, Any], name: str, is_sliding: bool
) -> None:
    """One violation is enough, and breaks no other invariant."""
    rules = replace(RULES, is_sliding=is_sliding)
    assert failed(replace(GOOD, **change), rules) == [name]


def test_an_intended_503_passes_and_another_5xx_fails() -> None:
    """While a store is unreachable 503 is the expected response; 500 is not."""
    rules = replace(RULES, may_be_unavailable=True)
    assert failed(replace(GOOD, unavailable=50), rules) == []
    assert failed(replace(GOOD, unavailable=50, failed=1), rules)


def test_servers_that_were_not_sampled_have_no_counter_invariants() -> None:
    """An unknown figure is not a passed check."""
    facts = replace(GOOD, signatures=None, signed_twice=None)
    names = {check.name for check in check_invariants(facts, RULES)}
    assert not {"signatures per renewal", "renewals signed twice by one worker"} & names


def test_a_service_for_comparison_has_no_limits() -> None:
    """Its figures are shown without limits."""
    checks = check_invariants(
        replace(GOOD, duplicate_successors=80), replace(RULES, is_comparison=True)
    )
    assert all(check.limit is None and check.passed for check in checks)
    assert 80 in {check.seen for check in checks}
