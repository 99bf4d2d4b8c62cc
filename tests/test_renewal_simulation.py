"""The storm figures, simulated with the policies that the middleware uses.

20,000 sessions with a lifetime of 900 s and a buffer of 300 s make a request every 10 s on
average. A session's next renewal is its first request after ``due_at``; between requests the
gaps are exponential, so only that request needs to be drawn.
"""

import bisect
import heapq
import random
from collections.abc import Callable

import pytest

from linqi import Grid, Jitter, Policy, RenewalBudget, RenewalSettings, Threshold
from linqi.sessions.renewal import TokenSpan, first_span

SESSIONS = 20_000
LIFETIME, BUFFER = 900, 300
PERIOD = LIFETIME - BUFFER
REQUESTS_PER_SECOND = 0.1
STEADY = SESSIONS / PERIOD
START = 1_800_000_000.0


def simulate(
    policy: Policy,
    until: float,
    *,
    spread: float = 1.0,
    outage: tuple[float, float] = (-1.0, -1.0),
    budget: RenewalBudget | None = None,
    seed: int = 1,
) -> tuple[list[float], int]:
    """Return the times of renewals after a login within `spread` seconds, and the lost sessions.

    Nothing is answered during `outage`; clients try again when it ends, within a second.
    """
    rng = random.Random(seed)
    settings = RenewalSettings(
        lifetime=LIFETIME, buffer=BUFFER, policy=policy, max_session=366 * 86_400
    )
    due: list[tuple[float, str, float]] = []

    def push(session: str, span: TokenSpan) -> None:
        after = settings.due_at(session, span.issued_at, span.expires_at)
        _push(due, rng, session, span.expires_at, after, outage)

    for number in range(SESSIONS):
        session = f"session-{seed}-{number}"
        push(session, first_span(session, START + rng.random() * spread, settings))
    renewals, lost = [], 0
    while due and due[0][0] < START + until:
        now, session, expires_at = heapq.heappop(due)
        if now >= expires_at:
            lost += 1
            continue
        left = expires_at - now
        if budget is not None and not budget.take(now, left, BUFFER, settings.margin):
            _push(due, rng, session, expires_at, now, outage)
            continue
        renewals.append(now - START)
        push(session, policy.successor(session, now, expires_at, settings))
    return renewals, lost


def _push(
    due: list[tuple[float, str, float]],
    rng: random.Random,
    session: str,
    expires_at: float,
    after: float,
    outage: tuple[float, float],
) -> None:
    """Draw the session's first request after `after`."""
    now = after + rng.expovariate(REQUESTS_PER_SECOND)
    if outage[0] <= now - START < outage[1]:
        now = START + outage[1] + rng.random()
    heapq.heappush(due, (now, session, expires_at))


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
