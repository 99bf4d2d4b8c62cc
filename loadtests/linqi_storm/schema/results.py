"""What one storm has shown: the values that the run writes and the report and the tuner read.

Everything is written as JSON with units in the names. Durations are in milliseconds where they
are latencies and in seconds elsewhere; instants inside a run are seconds since its barrier, the
moment at which the load began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "SCHEMA",
    "Check",
    "Generator",
    "Histogram",
    "Lags",
    "Latencies",
    "Peak",
    "Percentiles",
    "Rates",
    "RequestLoad",
    "Second",
    "SessionCounts",
    "Setup",
    "Spectrum",
    "StormRun",
    "Target",
    "Traffic",
    "Window",
]

SCHEMA: Final = 1
"""Rises when a field changes its meaning or goes; a new field with a default does not raise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """The spread of the latencies of one second, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """All percentiles of a set of latencies, in milliseconds, at three significant digits."""

    count: int
    mean_ms: float
    max_ms: float
    percentiles: tuple[float, ...]
    """Rising, from 0 to 100; denser towards 100."""
    values_ms: tuple[float, ...]
    """The latency at each of `percentiles`."""
    hdr: str
    """The histogram itself, in microseconds, in HdrHistogram's compressed encoding (V2)."""

    def at(self, percentile: float) -> float:
        """Give the latency, in milliseconds, that `percentile` per cent do not exceed."""
        pairs = zip(self.percentiles, self.values_ms, strict=True)
        return next((value for reached, value in pairs if reached >= percentile), self.max_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """How long answers took, counted from two instants.

    ``service`` counts from the moment a request was sent. ``intended`` counts from the moment it
    should have been sent, so that requests held back by a stalled server or generator show: it is
    the one that a user feels.
    """

    service: Spectrum
    intended: Spectrum


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Sparse counts of values at three significant digits, in seconds unless its field says so."""

    values: tuple[float, ...] = ()
    """Rising; the upper end of each bucket."""
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts)

    def share_above(self, value: float) -> float:
        """Give the share of counted values above `value`; 0 when nothing was counted."""
        above = sum(
            count for upper, count in zip(self.values, self.counts, strict=True) if upper > value
        )
        return above / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLoad:
    """What the clients did, as far as it was chosen beforehand."""

    sessions: int
    duration_seconds: float
    """From the barrier to the last planned request."""
    lifetime_seconds: float
    buffer_seconds: float
    compression: float
    """k: the real lifetime, buffer and gaps are k times those of the run."""
    not_kept: tuple[str, ...]
    """What compression by k changes, so that no conclusion is drawn from it."""
    seed: int
    gaps: str
    """The law of the pauses between pages, in words."""
    mean_gap_seconds: float
    mean_parallel: float
    """Requests per page."""
    login_spread_seconds: float
    """All sessions begin within this time."""
    hostile_per_second: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    """The scenario's own settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was tested."""

    kind: str
    """``embedded``, ``app`` or ``url``."""
    name: str
    """Such as ``embedded sliding``, ``module:app`` or the URL."""
    mode: str
    """``sliding``, ``dual``, ``outside`` (an outside issuer) or ``naive``."""
    policy: str
    """Of renewal: ``grid``, ``plain``, ``jitter .25``; empty where nobody renews."""
    algorithm: str
    key_bits: int
    """RSA modulus, or the bits of the curve or secret."""
    workers: int
    """0 where unknown."""
    store: str
    """``sqlite``, ``valkey``, ``postgresql``, ``memory``; empty without one."""
    budget_per_second: float | None = None
    """Of renewals, all workers together; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that is needed to do the run again."""

    scenario: str
    summary: str
    """What the scenario does, in one sentence."""
    load: RequestLoad
    target: Target
    generators: int
    """Processes that sent the load."""
    began_at: float
    """The barrier, in Unix seconds."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of the run, seen from both sides.

    Requests and their outcomes stand in the second in which they should have been sent. Where the
    servers could not be sampled, their figures are None or empty.
    """

    second: int
    """Since the barrier."""
    requests: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """By kind: ``ok``, ``renewed`` (a success with a successor), ``refreshed``, ``quiet`` (the
    success of a request that extends no session), ``refused`` (401 or 403), ``limited`` (429),
    ``unavailable`` (503), ``failed`` (other 5xx), ``strange`` (other answers), ``timeout``,
    ``broken`` (no answer), ``dropped`` (a reply thrown away on purpose)."""
    hostile: Mapping[str, int] = field(default_factory=dict)
    """The same for requests that are not honest; they are in none of the other figures."""
    renewals: int = 0
    """Distinct successors that clients got first in this second."""
    service: Percentiles | None = None
    intended: Percentiles | None = None
    in_flight: int = 0
    """Most requests unanswered at once."""
    generator_cpu: float = 0.0
    """Share of one core, the busiest generator process."""
    cpu: tuple[float, ...] = ()
    """Share of one core by worker, in the order of `StormRun.workers`."""
    loop_lag_ms: tuple[float, ...] = ()
    """Worst delay of the event loop by worker."""
    memory_mb: tuple[float, ...] = ()
    """Resident memory by worker, in megabytes of 1,000,000 bytes."""
    signatures: int | None = None
    renewals_served: int | None = None
    """Responses with a successor, shared ones included."""
    cache_hits: int | None = None
    cache_misses: int | None = None
    store_calls: int | None = None
    budget_queue: int | None = None
    """Sessions whose renewal the budget has put off and that have not got it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the run that is looked at by itself."""

    label: str
    """``expiry``: from when the first token is due until the last of that cycle has expired;
    ``outage``, ``restart``, ``rotation``: while that happened."""
    begins: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The storm factor: the highest renewal rate over a sliding window, against the floor.

    The floor is sessions / (lifetime - buffer), below which no policy can keep the mean. A factor
    is only comparable at the same window, and says nothing below `noise95`.
    """

    label: str
    """``first cycle`` or ``whole run``."""
    begins: float
    ends: float
    window_seconds: float
    renewals: int
    peak_per_second: float
    floor_per_second: float
    factor: float
    """``peak_per_second / floor_per_second``."""
    noise95: float
    """95 of 100 perfectly spread populations of this size stay below this factor."""
    at: float | None = None
    """The middle of the peak's window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Renewals per second; the window of the n-th value begins at ``n * step_seconds``."""

    window_seconds: float
    step_seconds: float
    per_second: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """What became of the honest sessions."""

    total: int
    """Those at the barrier; logins after a loss are not counted again."""
    logins: int
    """Signed in again after having been lost."""
    renewals: int
    """Distinct (session, renewal) pairs that clients got."""
    cycles: int
    """Tokens whose window has closed, or that were renewed: chances to get lost."""
    lapsed: int
    """Came back only after expiry: no request in the buffer. The price of the buffer chosen."""
    forced_out: int
    """Refused although they held a live token or had asked in their buffer: never right."""
    by_lost_reply: int = 0
    """Lost because every answer in their buffer was dropped on its way, on purpose."""
    duplicate_successors: int = 0
    """Renewals for which clients saw two different successors."""
    quiet: int = 0
    """Quiet requests answered with success: polls, which extend no session and show no lag."""
    quiet_unsent: int = 0
    """Quiet requests that clients did not send because their token was over."""
    families_killed: int = 0
    """Refresh families revoked as stolen although nobody stole."""
    refused_seconds: Histogram = field(default_factory=Histogram)
    """After a revocation: until the last worker refused. Only in ``revoke``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """From due to the first request at or after it, expired tokens included.

    The share above B is the share of sessions that a buffer of B seconds loses; see
    ``Histogram.share_above``. The values are those of the run: times k for the real ones.
    """

    lags: Histogram
    by_session: tuple[tuple[float, ...], ...] = ()
    """The lags of each session, in seconds, for a bootstrap over sessions; at most 2,000."""
    expired_presented: int = 0
    """How many of them were presented after expiry."""
    silent: int = 0
    """Sessions that were due at the end of the run and had not come back: not in the histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the clients did, as it was seen: what the tuner needs to know of it."""

    gaps: Histogram
    """Between pages of one session."""
    parallel: Histogram
    """Requests per page, a plain number."""
    pages: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An invariant: what was counted, and how much of it may be."""

    name: str
    limit: float | None
    """The most that passes; None for a figure that is only shown."""
    seen: float
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Whether the generator kept up with its own plan; if not, the run says nothing."""

    lag_p50_ms: float
    lag_p99_ms: float
    """Scheduling lag: from when a request should be sent until its sending begins."""
    lag_max_ms: float
    cpu_p95: float
    """Share of one core in a second, the busiest process."""
    is_valid: bool
    faults: tuple[str, ...] = ()
    """Why it is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRun:
    """One run of one scenario against one target."""

    schema: int = SCHEMA
    setup: Setup
    timeline: tuple[Second, ...]
    windows: tuple[Window, ...]
    peaks: tuple[Peak, ...]
    """The first one is *the* storm factor; empty where nobody renews."""
    rates: Rates | None = None
    sessions: SessionCounts
    latencies: Latencies
    inside: Latencies | None = None
    """Requests meant for a time inside `windows`; None when there were none."""
    outside: Latencies | None = None
    lags: Lags
    traffic: Traffic
    workers: tuple[str, ...] = ()
    """Server processes in the order of the columns in `timeline`; empty where not sampled."""
    checks: tuple[Check, ...]
    generator: Generator
    notes: tuple[str, ...] = ()
    """What a reader has to know before the figures are believed."""

    @property
    def has_passed(self) -> bool:
        """Whether every invariant held; meaningless unless ``generator.is_valid``."""
        return all(check.passed for check in self.checks)

    @property
    def verdict(self) -> str:
        """``VOID``, ``PASS`` or ``FAIL``."""
        if not self.generator.is_valid:
            return "VOID"
        return "PASS" if self.has_passed else "FAIL"
