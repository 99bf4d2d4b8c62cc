"""Events of revocation checks and of the feed of revocations."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "RevocationFailed",
    "RevocationFeedLost",
    "RevocationFeedRestored",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFailed:
    """The revocation check raised."""

    detail: str
    """The message of an error of linqi; the type alone of any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFeedLost:
    """Revocations of other workers no longer arrive."""

    detail: str
    served_for: float
    """Seconds after which requests are answered with 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFeedRestored:
    """Revocations arrive again, those made meanwhile included."""
