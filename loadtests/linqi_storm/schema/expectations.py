"""What the clients of a storm may expect of the service under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["REVOCATION_BOUND", "SAME_CLOCK", "Expectations"]

REVOCATION_BOUND: Final = 1.0
"""Documented bound in seconds: until then other workers may accept a revoked session."""

SAME_CLOCK: Final = 0.005
"""How far the clocks of two processes of one machine differ at most, in seconds."""

_UNLIMITED: Final = 1e12
"""Seconds; JSON has no infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What is known of the service under test before the load; durations in seconds."""

    run: str = ""
    """The name of this storm in the claims of its sessions; empty where others set the claims."""
    is_embedded: bool = False
    """Whether an embedded application is tested, whose answers and claims are known exactly."""
    held_lifetime: float = 0.0
    """Of the tokens that clients hold when the load begins; 0 if it is that of all others."""
    has_grid: bool = False
    """Whether tokens live until a grid point, or for the whole lifetime, and not for less."""
    leeway: float = 0.0
    """How long after ``exp`` and before ``nbf`` the service accepts a token by its settings."""
    clock_error: float = 0.0
    """How far the clocks of the clients and of the service may differ."""
    period: float = _UNLIMITED
    """How long after a token was due all its successors are the same one: until the next point of
    the grid."""
    idle: float = _UNLIMITED
    """The longest life of an unused refresh token by the settings of the service."""
    absolute: float = _UNLIMITED
    """The longest life of a session by them."""
    may_be_unavailable: bool = False
    """Whether 503 is an expected answer to a token: a store or an issuer may be unreachable."""
    guests: tuple[tuple[str, str], ...] = ()
    """Method and path of requests of a workload that are served without a token too."""
    revocation_bound: float = REVOCATION_BOUND
    """Seconds after a revocation until every worker refuses the session."""
    grace: float = 0.0
    """How long a spent refresh token brings the same successor again; 0 if unknown."""
