"""Tokens of sessions that no honest client has, presented to see what the service accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["PAST_SECONDS", "PROBES_PER_SECOND", "Probe", "ProbeKind"]

PAST_SECONDS: Final = (0.05, 0.5, 2.0, 5.0)
"""How long after an instant a token that is worthless since then is presented; real seconds, also
in a compressed run."""
PROBES_PER_SECOND: Final[dict[str, float]] = {
    "expiring": 2.0,
    "premature": 0.5,
    "foreign": 0.5,
    "ending": 0.5,
    "signed_out": 0.5,
    "stolen": 0.5,
    "in_grace": 0.5,
    "past_grace": 0.5,
    "past_recovery": 0.5,
}
"""Sessions of each kind by second of the run."""

ProbeKind = Literal[
    "expiring",
    "premature",
    "foreign",
    "ending",
    "signed_out",
    "stolen",
    "in_grace",
    "past_grace",
    "past_recovery",
]
"""``expiring``: an access token, presented before and after ``exp``. ``premature``: one presented
before ``nbf``. ``foreign``: one of another issuer, signed with the right key. ``ending``: a sliding
session near its end, whose successor must not outlive it. ``signed_out``: a session that signs out,
and whose tokens are presented then.

With a thief who copied the first refresh token of a session: ``stolen``: its owner has refreshed
twice since. ``in_grace``: once, just now. ``past_grace``: once, and the grace is over.
``past_recovery``: once, and nothing brings a successor any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One such session."""

    kind: ProbeKind
    begins_at: float
    """When its first request is sent, in seconds since the barrier."""
    token: str = ""
    """The access token."""
    instant: float = 0.0
    """``exp``, ``nbf``, or when the grace or the recovery of `spent` is over, in Unix seconds."""
    refresh_token: str = ""
    """The newest one, which the owner holds."""
    spent: str = ""
    """The one that the thief presents, if it is another."""
