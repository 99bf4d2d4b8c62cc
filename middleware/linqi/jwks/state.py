"""The state of fetched keys, for readiness probes and operators."""

from __future__ import annotations

from dataclasses import dataclass

from linqi.jwks.freshness import Status
from linqi.jwks.published import SkippedKey

__all__ = ["KeysState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysState:
    """What a `RemoteKeys` knows and what it will do. Durations are in seconds."""

    issuer: str
    status: Status
    kids: tuple[str, ...]
    """The keys that verify, in the issuer's order."""
    skipped: tuple[SkippedKey, ...]
    """The keys of the last answer that are not used."""
    last_success: float | None
    """Unix seconds of the last answer."""
    age: float | None
    trusted_for: float
    """How long the set is still believed; 0 when it is not."""
    next_attempt_in: float
    failures: int
    """Attempts that failed since the last success."""
    last_error: str
    """Why the last one failed; empty after a success."""
    requests: int
    """How often this process asked the issuer for keys."""
    refused_kids: int
    """Requests refused for an unknown key id, with or without a fetch."""
    unknown_kids: int
    """Key ids remembered as unknown."""
    share_fault: str
    """Why the shared folder cannot be used, if so."""

    @property
    def is_ready(self) -> bool:
        """Whether tokens of the issuer can be verified."""
        return self.status in ("fresh", "stale")
