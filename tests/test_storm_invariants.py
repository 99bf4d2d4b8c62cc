"""Every invariant can fail, and fails for its own reason only."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linqi_storm.run.facts import InvariantRules, RunFacts
from linqi_storm.run.invariants import check_invariants, every_invariant
from linqi_storm.schema.violations import CLIENT_RULES, EXPIRED, FORGED, REVOKED, UNANSWERED_DUE

GOOD = RunFacts(
    renewals=100,
    signatures=150,
    signed_twice=0,
    families_killed=0,
    checked=dict.fromkeys((*CLIENT_RULES, EXPIRED, FORGED, REVOKED, UNANSWERED_DUE), 20),
    chance=(1.2, 1.5, ""),
    renewal_delay=(3.0, 100.0, ""),
    cached_above_limit=0,
    kept_per_request=20.0,
    threads_per_renewal=0.0,
    files_per_renewal=0.0,
    blocked_percent=0.5,
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
        *(({"violations": {rule: 1}}, rule, True) for rule in (EXPIRED, FORGED, *CLIENT_RULES)),
        ({"violations": {UNANSWERED_DUE: 2}}, UNANSWERED_DUE, True),
        ({"chance": (1.6, 1.5, "")}, "storm factor above chance", True),
        (
            {"renewal_delay": (101.0, 100.0, "")},
            "delay of renewals beside other requests, milliseconds",
            True,
        ),
        ({"cached_above_limit": 1}, "verified tokens cached above the limit", True),
        ({"threads_per_renewal": 0.2}, "threads kept per renewal", True),
        ({"files_per_renewal": 0.2}, "files kept per renewal", True),
        ({"blocked_percent": 5.1}, "event loops blocked, per cent of the time", True),
        ({"kept_per_request": 257.0}, "memory kept per request, bytes", True),
        ({"quiet": 9, "quiet_renewed": 1}, "sessions extended by quiet requests", True),
        ({"violations": {REVOKED: 1}}, "revoked tokens accepted past the bound", False),
        ({"store_calls_per_refresh": 3.1}, "store calls per refresh", False),
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


def test_429_passes_where_it_is_intended() -> None:
    """The figure is shown without a limit."""
    rules = replace(RULES, may_be_limited=True)
    assert failed(replace(GOOD, limited=50), rules) == []


def test_servers_that_were_not_sampled_have_no_counter_invariants() -> None:
    """An unknown figure is not a passed check."""
    facts = replace(GOOD, signatures=None, signed_twice=None)
    names = {check.name for check in check_invariants(facts, RULES)}
    assert not {"signatures per renewal", "renewals signed twice by one worker"} & names


def test_what_was_never_checked_is_no_invariant() -> None:
    """A rule that no response was checked against did not pass, and is not shown."""
    names = {check.name for check in check_invariants(replace(GOOD, checked={}), RULES)}
    assert not {EXPIRED, FORGED, UNANSWERED_DUE, *CLIENT_RULES} & names


def test_stolen_sessions_are_no_families_killed_without_theft() -> None:
    """A theft that is detected kills its family: that is right."""
    rules = replace(RULES, is_sliding=False)
    assert failed(replace(GOOD, families_killed=7, thefts=7), rules) == []
    assert failed(replace(GOOD, families_killed=8, thefts=7), rules)


def test_only_the_grid_promises_even_renewals() -> None:
    """Under the plain threshold a storm is what the policy promises."""
    facts = replace(GOOD, chance=(11.0, 1.5, ""))
    assert failed(facts, replace(RULES, is_even=False)) == []


def test_a_service_for_comparison_has_no_limits() -> None:
    """Its figures are shown without limits."""
    checks = check_invariants(
        replace(GOOD, duplicate_successors=80), replace(RULES, is_comparison=True)
    )
    assert all(check.limit is None and check.passed for check in checks)
    assert 80 in {check.seen for check in checks}


LOAD = {
    "honest requests told to slow down",
    "signatures per renewal",
    "storm factor above chance",
    "delay of renewals beside other requests, milliseconds",
    "memory kept per request, bytes",
    "event loops blocked, per cent of the time",
    UNANSWERED_DUE,
    "growth of a worker's memory, per cent",
}
TIMED = {
    "renewals with two different successors",
    "5xx other than an intended 503",
    "honest requests without an answer",
    "renewals signed twice by one worker",
    "refresh families killed without theft",
    "requests to the issuer",
}


@pytest.mark.parametrize("is_sliding", [True, False])
def test_only_rates_and_ratios_are_void_with_a_late_generator(is_sliding: bool) -> None:
    """A generator that is a little late falsifies no count of wrong outcomes.

    One that stood still for longer than a service waits may be the cause of what timed out.
    """
    facts = replace(GOOD, memory_growth=0.01, quiet=1)
    rules = replace(RULES, is_sliding=is_sliding)

    def void(facts: RunFacts) -> set[str]:
        return {check.name for check in check_invariants(facts, rules) if check.kind == "load"}

    names = {check.name for check in check_invariants(facts, rules)}
    assert void(replace(facts, stalled_seconds=0.9)) == LOAD & names
    assert void(replace(facts, stalled_seconds=1.0)) == (LOAD | TIMED) & names


def test_a_500_is_true_of_a_generator_that_stood_still() -> None:
    """Only the service decides to answer 500; a 503 may be a store that timed out."""
    for change, kind in (({"failed": 1}, "safety"), ({"unavailable": 1}, "load")):
        checks = check_invariants(replace(GOOD, stalled_seconds=3, **change), RULES)
        found = {check.name: check.kind for check in checks}
        assert found["5xx other than an intended 503"] == kind


def test_logouts_by_killed_families_are_judged_as_those() -> None:
    """A client whose refresh was answered past the grace is taken for a thief, and signed out."""
    rules = replace(RULES, is_sliding=False)
    for killed, kind in ((5, "load"), (4, "safety"), (2, "safety")):
        facts = replace(GOOD, forced_out=3, thefts=2, stalled_seconds=3, families_killed=killed)
        found = {check.name: check.kind for check in check_invariants(facts, rules)}
        assert found["forced logouts of honest users"] == kind


def test_a_busy_machine_blocks_no_event_loop_where_waiting_is_counted() -> None:
    """Workers measure it without the generator; elsewhere the figure is void with the run."""
    for is_counted, kind in ((True, "safety"), (False, "load")):
        checks = check_invariants(replace(GOOD, is_waiting_counted=is_counted), RULES)
        found = {check.name: check.kind for check in checks}
        assert found["event loops blocked, per cent of the time"] == kind


def test_the_guide_lists_every_invariant() -> None:
    """The names are public: in result files, in JUnit, in requirements."""
    guide = (Path(__file__).parent.parent / "docs" / "guides" / "storm.md").read_text()
    assert [check.name for check in every_invariant() if f"| `{check.name}` |" not in guide] == []
