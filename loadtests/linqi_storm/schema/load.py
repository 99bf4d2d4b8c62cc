"""The size of a storm's load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linqi import ConfigurationError
from linqi_storm.schema.stages import Stage, most_active
from linqi_storm.schema.workload import Workload

__all__ = ["StormLoad"]

_PREPARATION_OF_A_SESSION: Final = 1.5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class StormLoad:
    """The size of a storm's load; durations are seconds of the run, after compression.

    Raises:
        ConfigurationError: With every value that is out of range.

    """

    sessions: int = 2_000
    lifetime: float = 60.0
    """Of an access token."""
    buffer: float = 20.0
    """How long before expiry a token is due for renewal; under half the lifetime."""
    duration: float = 80.0
    """From the barrier to the last planned request."""
    gap: float = 2.6
    """Mean pause between two pages of one session."""
    law: str = "exponential"
    """Distribution of the pauses: ``exponential``, ``reading`` or ``measured:PATH``."""
    pages: bool = True
    """Whether a page is 1 to 20 parallel requests, instead of one."""
    login_spread: float = 0.0
    """Time within which all sessions sign in, evenly spread."""
    compression: float = 15.0
    """Real durations are this many times longer; at least 1."""
    seed: int = 1
    workload: Workload | None = None
    """Pages, pauses and visits of real users, compressed; `law` and `pages` are not used then."""

    stages: tuple[Stage, ...] = ()
    """Ramps of the number of active sessions; `sessions`, `duration` and `login_spread` follow from
    them. Empty: all sessions are active from `login_spread` on."""

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.sessions <= 1_000_000:
            faults.append(f"sessions is {self.sessions}, expected 1 to 1,000,000")
        if self.gap <= 0 or self.duration <= 0:
            faults.append(
                f"the gap is {self.gap:g} s and the duration {self.duration:g} s,"
                " expected both above 0"
            )
        if not 0 < self.buffer < self.lifetime / 2:
            faults.append(
                f"the buffer is {self.buffer:g} s, expected above 0 and under half the lifetime"
                f" of {self.lifetime:g} s"
            )
        if self.compression < 1:
            faults.append(f"the compression is {self.compression:g}, expected at least 1")
        if faults:
            raise ConfigurationError(faults)

    @property
    def active(self) -> int:
        """The most sessions that are active at one time."""
        return most_active(self.stages) if self.stages else self.sessions

    @property
    def period(self) -> float:
        """``lifetime - buffer`` in seconds: how long a token is not yet due for renewal."""
        return self.lifetime - self.buffer

    @property
    def preparation(self) -> float:
        """Seconds that a generator may take to hand their tokens to all sessions.

        It takes 50 us each on a quiet machine, three times that on a busy one.
        """
        return self.sessions * _PREPARATION_OF_A_SESSION

    @property
    def whole_seconds(self) -> bool:
        """Whether tokens have whole-second times, as in the real system.

        Under compression they have fractions. A second is a larger share of a compressed lifetime,
        so whole seconds would bundle renewals that are apart in the real system.
        """
        return self.compression == 1
