"""Events of services and background tasks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BackgroundTaskFailed",
    "ServicesNotStarted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTaskFailed:
    """A background task raised, and is started again."""

    name: str
    detail: str
    """The type of the exception; the log has the traceback."""
    retry_in: float
    """Seconds until it is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesNotStarted:
    """Services did not start with a request."""

    detail: str
    retry_in: float
    """Seconds until the next attempt; requests are answered with 503 until then."""
