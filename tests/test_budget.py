"""The renewal budget: a bound on signatures that never costs a session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError, RenewalBudget


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(10.001, 300)), max_size=200))
def test_patient_renewals_never_exceed_rate_and_burst(steps: list[tuple[float, float]]) -> None:
    """Within any time from the start at most burst + rate * time renewals pass."""
    budget = RenewalBudget(rate=5, burst=10)
    now, taken = 0.0, 0
    for pause, left in steps:
        now += pause
        taken += budget.take(now, left, 300, 10)
        assert taken <= 10 + 5 * now + 1e-6


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 300)), max_size=100))
def test_a_look_tells_what_taking_would_do(steps: list[tuple[float, float]]) -> None:
    """However often one looks, the next renewal passes or waits as it was told."""
    budget, unseen = RenewalBudget(rate=0.5, burst=4), RenewalBudget(rate=0.5, burst=4)
    now = 0.0
    for pause, left in steps:
        now += pause
        told = {budget.affords(now, left, 300, 10) for _ in range(3)}
        assert told == {budget.take(now, left, 300, 10)}
        assert told == {unseen.take(now, left, 300, 10)}


def test_within_the_hard_margin_a_renewal_always_passes() -> None:
    """The bucket goes into debt rather than to lose a session, and pays it back."""
    budget = RenewalBudget(rate=1, burst=2)
    assert all(budget.take(0, 9.9, 300, 10) for _ in range(100))
    assert not budget.take(1.5, 11, 300, 10)
    assert budget.take(10, 11, 300, 10)


def test_the_most_urgent_come_first() -> None:
    """A half empty bucket turns a token just due away and lets one near its end pass."""
    budget = RenewalBudget(rate=1, burst=10)
    while budget.take(0, 300, 300, 10):
        pass
    assert not budget.take(0, 250, 300, 10)
    assert budget.take(0, 30, 300, 10)


def test_a_clock_that_steps_back_adds_nothing() -> None:
    """Neither a step back nor the way forward again fills the bucket beyond its rate."""
    budget = RenewalBudget(rate=1, burst=2)
    for _ in range(2):
        budget.take(1000, 11, 300, 10)
    assert not budget.take(0, 11, 300, 10)
    assert not budget.take(0.5, 11, 300, 10)


@pytest.mark.parametrize(("rate", "burst"), [(0, 0), (-1, 0.5), (float("nan"), float("inf"))])
def test_a_budget_that_allows_nothing_is_refused(rate: float, burst: float) -> None:
    """Both faults are named at once."""
    with pytest.raises(ConfigurationError) as caught:
        RenewalBudget(rate, burst)
    assert len(caught.value.faults) == 2
