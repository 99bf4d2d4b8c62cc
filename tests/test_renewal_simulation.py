"""The storm figures, simulated with the policies that the middleware uses."""

import bisect
from collections.abc import Callable

import pytest

from figures.population import BUFFER, PERIOD, STEADY, simulate
from linqi import Grid, Jitter, Policy, RenewalBudget, Threshold


def peak(renewals: list[float], start: float, end: float, window: float = 10.0) -> float:
    """Return the storm factor of a span, by a formula of its own: an oracle.

    The window slides, as fixed bins would divide a peak.
    """
    inside = [at for at in renewals if start <= at < end]
    most = 0
    for first, at in enumerate(inside):
        most = max(most, bisect.bisect_right(inside, at + window) - first)
    return most / window / STEADY


FIRST_CYCLE: list[tuple[str, Policy, Callable[[float], bool]]] = [
    ("grid", Grid(), lambda seen: seen <= 1.25),
    ("plain", Threshold(), lambda seen: seen >= 20),
    ("jitter 10 %", Jitter(0.1), lambda seen: 5 <= seen <= 15),
    ("jitter 25 %", Jitter(0.25), lambda seen: 3 <= seen <= 6),
]


@pytest.mark.parametrize(
    ("name", "policy", "holds"), FIRST_CYCLE, ids=[row[0] for row in FIRST_CYCLE]
)
def test_storm_factor_of_the_first_cycle_after_a_synchronous_login(
    name: str, policy: Policy, holds: Callable[[float], bool]
) -> None:
    """The grid stays at the noise floor where the plain threshold peaks twentyfold and more."""
    renewals, lost = simulate(policy, PERIOD + BUFFER)
    seen = peak(renewals, 0, PERIOD + BUFFER)
    assert holds(seen)
    assert lost == 0


def test_the_grid_renews_at_the_steady_rate_from_the_first_second() -> None:
    """The mean rate of the first cycle is the lower bound that any policy has, within 3 %."""
    renewals, _ = simulate(Grid(), PERIOD)
    # The wait of about 10 s for a session's next request shifts the cycle by that much.
    rate = len([at for at in renewals if at >= 60]) / (PERIOD - 60) / STEADY
    assert 0.97 <= rate <= 1.03


@pytest.mark.parametrize(("policy", "low", "high"), [(Grid(), 0.9, 1.35), (Threshold(), 3, 12)])
def test_an_outage_leaves_no_echo_on_the_grid(policy: Policy, low: float, high: float) -> None:
    """After 180 s of outage the next cycle is flat on the grid, and echoes without it."""
    begin, end = 3000.0, 3180.0
    renewals, lost = simulate(policy, end + 2 * PERIOD, spread=PERIOD, outage=(begin, end))
    recovery = peak(renewals, end, end + 60)
    echo = peak(renewals, end + PERIOD - 60, end + PERIOD + 120)
    assert recovery > 5, "the outage must have an effect, or this shows nothing"
    assert low <= echo <= high
    assert lost == 0


def test_a_budget_of_one_and_a_half_cuts_the_recovery_and_loses_nobody() -> None:
    """With 1.5 times the steady rate the recovery from an outage stays under 2.2 times it."""
    begin, end = 3000.0, 3180.0
    renewals, lost = simulate(
        Grid(),
        end + PERIOD,
        spread=PERIOD,
        outage=(begin, end),
        budget=RenewalBudget(rate=1.5 * STEADY, burst=STEADY),
    )
    recovery = peak(renewals, end, end + 300)
    assert recovery <= 2.2
    assert lost == 0
