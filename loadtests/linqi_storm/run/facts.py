"""The counts of one run that its invariants are checked against, and what a scenario allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["InvariantRules", "Measured", "RunFacts"]

Measured = tuple[float, float, str]
"""A value, the limit that its own noise allows, and details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Counts of one run, from clients and servers."""

    forced_out: int = 0
    failed: int = 0
    """Honest requests answered 5xx other than 503."""
    unavailable: int = 0
    """Honest requests answered 503."""
    unanswered: int = 0
    """Honest requests that timed out or whose connection broke."""
    limited: int = 0
    """Honest requests answered 429."""
    duplicate_successors: int = 0
    renewals: int = 0
    """Distinct (session, renewal) pairs."""
    probe_renewals: int = 0
    """The same of probes."""
    thefts: int = 0
    """Refresh tokens presented by thieves, each of which may kill a family."""
    violations: Mapping[str, int] = field(default_factory=dict)
    """Violations that clients saw, by the name of the rule."""
    checked: Mapping[str, int] = field(default_factory=dict)
    """How often clients checked each rule."""
    signatures: int | None = None
    """None if the servers were not sampled."""
    signed_twice: int | None = None
    families_killed: int | None = None
    quiet: int = 0
    """Quiet requests answered 2xx."""
    quiet_renewed: int = 0
    """Quiet requests answered with a successor."""
    store_calls_per_refresh: float | None = None
    """None where refused refreshes are few, or the store is not counted."""
    chance: Measured | None = None
    """The storm factor of the requests that renewed; None without renewals."""
    renewal_delay: Measured | None = None
    """How much longer renewals took than other requests, in milliseconds; None without both."""
    cached_above_limit: int | None = None
    """The most entries that a cache of verified tokens held above its limit."""
    kept_per_request: float | None = None
    """Bytes that a worker's memory grew per request, beyond caches; None in very short runs."""
    threads_per_renewal: float | None = None
    """Threads that a worker kept after each renewal, beyond its pools; None in very short runs."""
    files_per_renewal: float | None = None
    """The same of open files other than sockets."""
    blocked_percent: float | None = None
    """Share of time in which calls blocked the event loop of the worst worker."""
    is_waiting_counted: bool = False
    """Whether the kernel says how long workers waited for a core, which is no blocking."""
    memory_growth: float | None = None
    """Largest growth of a worker's memory, as a share; None in short runs."""
    issuer_requests: int | None = None
    """Fetches of the outside issuer's documents; None without an issuer."""
    stalled_seconds: float = 0.0
    """How late the generator was at most, or the event loop of a worker that waited for a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantRules:
    """What one scenario allows."""

    workers: int = 1
    may_be_unavailable: bool = False
    """Whether 503 is an expected response."""
    may_be_limited: bool = False
    """Whether 429 is an expected response."""
    most_issuer_requests: int = 0
    is_sliding: bool = True
    is_agreed: bool = True
    """Whether all workers sign equal successors, as under the grid policy."""
    is_even: bool = True
    """Whether renewals are even but for chance, as under the grid policy."""
    answers_every_due: bool = True
    """Whether every 2xx response in the renewal window carries a successor."""
    is_comparison: bool = False
    """Whether the service is shown for comparison only, without limits."""
