"""The state of fetched keys, for readiness probes and operators."""

from __future__ import annotations

from dataclasses import dataclass

from linqi.jwks.freshness import Status
from linqi.jwks.published import SkippedKey

__all__ = ["KeysState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysState:
    """The state of a `RemoteKeys`. Durations are in seconds."""

    issuer: str
    status: Status
    kids: tuple[str, ...]
    """The ids of the usable keys, in the issuer's order."""
    skipped: tuple[SkippedKey, ...]
    """The keys of the last response that are not used."""
    last_success: float | None
    """When the last successful response was sent, in Unix seconds; None if there was none."""
    age: float | None
    """Seconds since then."""
    trusted_for: float
    """How long the set is still trusted; 0 if it is not."""
    next_attempt_in: float
    """Seconds to the next scheduled fetch."""
    failures: int
    """Failed attempts since the last success."""
    last_error: str
    """Why the last attempt failed; empty after a success."""
    requests: int
    """How often this process requested keys from the issuer."""
    refused_kids: int
    """Requests refused for an unknown key id, with or without a fetch."""
    unknown_kids: int
    """Key ids remembered as unknown."""
    share_fault: str
    """Why the keys cannot be shared with other workers; empty if they can."""

    @property
    def is_ready(self) -> bool:
        """Whether tokens of the issuer can be verified."""
        return self.status in ("fresh", "stale")
