"""The state of an introspection, for readiness probes and operators."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IntrospectionState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionState:
    """The state of an `Introspection`. Durations are in seconds."""

    issuer: str
    last_success: float | None
    """When the last request that was answered was sent, in Unix seconds; None if there was none."""
    failures: int
    """Failed requests since then; those that ran at the same time count once."""
    last_error: str
    """Why the last request failed; empty after a success."""
    paused_for: float
    """How long no request is sent; 0 if they are."""
    requests: int
    """How often this process asked the issuer."""
    active: int
    """Tokens that are remembered as active at some time."""
    refused: int
    """Tokens that are remembered as not active, or whose answer was refused."""
    waiting: int
    """Tokens that the issuer is being asked about, or that wait for it."""
    throttled: int
    """Requests answered with 503 because too many tokens were new or waited."""

    @property
    def is_ready(self) -> bool:
        """Whether the issuer can be asked; also true before the first request."""
        return self.failures == 0
