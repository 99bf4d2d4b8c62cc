"""What each renewal policy does to the same sign-in, as the rows of a table."""

from figures.population import BIN, PERIOD, STEADY, in_bins, simulate
from linqi import Grid, Jitter, Policy, Threshold

HOUR = 3600
POLICIES: dict[str, Policy] = {
    "plain threshold": Threshold(),
    "jitter 10 %": Jitter(0.1),
    "jitter 25 %": Jitter(0.25),
    "jitter 50 %": Jitter(0.5),
    "jitter 100 %": Jitter(1.0),
    "**grid**": Grid(),
}


def rows() -> list[str]:
    """Return a row of Markdown for each policy.

    The columns: the policy, the highest bar of `BIN` seconds in the first hour, that over the even
    rate, the same of the last 10 minutes of the hour, all renewals of the hour, lost sessions.
    """
    found = []
    for name, policy in POLICIES.items():
        renewals, lost = simulate(policy, HOUR)
        bars = in_bins(renewals, 0, HOUR)
        last = max(bars[-PERIOD // BIN :]) / (STEADY * BIN)
        found.append(
            f"| {name} | {max(bars):,} | {max(bars) / (STEADY * BIN):.1f} | {last:.1f} |"
            f" {len(renewals):,} | {lost} |"
        )
    return found
