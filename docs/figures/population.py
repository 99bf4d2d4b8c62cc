"""Sessions that sign in together and renew by a policy of linqi: when each renewal happens.

20,000 sessions with a lifetime of 900 s and a buffer of 300 s make a request every 10 s on
average. A session's next renewal is its first request after ``due_at``; between requests the
gaps are exponential, so only that request needs to be drawn.
"""

import heapq
import random
from collections import Counter

from linqi import Policy, RenewalBudget, RenewalSettings
from linqi.sessions.renewal import TokenSpan, first_span
from linqi.sessions.storm_factor import steady_rate

SESSIONS = 20_000
LIFETIME, BUFFER = 900, 300
PERIOD = LIFETIME - BUFFER
REQUESTS_PER_SECOND = 0.1
STEADY = steady_rate(SESSIONS, PERIOD)
START = 1_800_000_000.0
BIN = 10
"""Seconds of a bar of the figures."""


def simulate(
    policy: Policy,
    until: float,
    *,
    spread: float = 1.0,
    outage: tuple[float, float] = (-1.0, -1.0),
    budget: RenewalBudget | None = None,
    seed: int = 1,
) -> tuple[list[float], int]:
    """Play `until` seconds of all sessions, from their first sign-in.

    Args:
        policy: The renewal policy that decides when each token is due and when it ends.
        until: Seconds to play.
        spread: Seconds within which all sessions sign in.
        outage: From when to when no request is answered; clients try again when it ends, within
            a second.
        budget: What defers renewals; None for nothing.
        seed: The same seed gives the same renewals on every machine.

    Returns:
        The instants of the renewals, in seconds from the first sign-in, and the number of
        sessions that came back after their token had expired.

    """
    rng = random.Random(seed)  # noqa: S311
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
    renewals: list[float] = []
    lost = 0
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


def in_bins(renewals: list[float], begins: float, ends: float) -> list[int]:
    """Return how many renewals each `BIN` seconds from `begins` to `ends` have."""
    counts = Counter(int((at - begins) // BIN) for at in renewals)
    return [counts[number] for number in range(int((ends - begins) / BIN))]
