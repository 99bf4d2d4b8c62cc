"""How big a storm is."""

from __future__ import annotations

from dataclasses import dataclass

from linqi import ConfigurationError

__all__ = ["StormLoad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StormLoad:
    """The size of a storm, in the seconds of the run: `compression` times less than real ones."""

    sessions: int = 2_000
    lifetime: float = 60.0
    buffer: float = 20.0
    duration: float = 80.0
    gap: float = 2.6
    """Mean pause between pages of one session."""
    law: str = "exponential"
    """Of the pauses: ``exponential``, ``reading`` or ``measured:PATH``."""
    pages: bool = True
    """Whether a page is 1 to 20 parallel requests, or one."""
    login_spread: float = 0.0
    """Sessions sign in within this time, evenly."""
    compression: float = 15.0
    seed: int = 1

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.sessions <= 1_000_000:
            faults.append(f"sessions is {self.sessions}, expected 1 to 1,000,000")
        if self.gap <= 0 or self.duration <= 0:
            faults.append("the gap and the duration must be above 0 s")
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
    def period(self) -> float:
        """``lifetime - buffer``: how long a token is fresh."""
        return self.lifetime - self.buffer
