"""The result of one storm: the run writes it, the report and the tuner read it.

It is written as JSON with units in the names. Latencies are in milliseconds, other durations in
seconds. Instants within a run are seconds since its barrier, the instant at which the load begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from linqi_storm.schema.checks import Check, CheckKind, RequirementCheck
from linqi_storm.schema.distributions import Histogram, Latencies, Percentiles, Spectrum
from linqi_storm.schema.stages import Stage

__all__ = [
    "OUTCOMES",
    "SCHEMA",
    "Check",
    "CheckKind",
    "Generator",
    "Histogram",
    "Lags",
    "Latencies",
    "Peak",
    "Percentiles",
    "Rates",
    "RequestLoad",
    "RequirementCheck",
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
"""Raised when a field changes its meaning or is removed, not for a new field with a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLoad:
    """The load as it was configured; durations in seconds of the run."""

    sessions: int
    duration_seconds: float
    """From the barrier to the last planned request."""
    lifetime_seconds: float
    buffer_seconds: float
    compression: float
    """k: the real lifetime, buffer and gaps are k times longer than those of the run."""
    not_kept: tuple[str, ...]
    """Properties that compression by k distorts: they allow no conclusion."""
    seed: int
    gaps: str
    """The distribution of the pauses between pages, in words."""
    mean_gap_seconds: float
    mean_parallel: float
    """Mean number of requests per page."""
    login_spread_seconds: float
    """All sessions sign in within this time."""
    hostile_per_second: float = 0.0
    stages: tuple[Stage, ...] = ()
    """Ramps of the number of active sessions; `sessions` is then how many sign in."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The scenario's own settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service under test."""

    kind: str
    """``embedded``, ``app`` or ``url``."""
    name: str
    """Such as ``embedded sliding``, ``module:app`` or the URL."""
    mode: str
    """``sliding``, ``dual``, ``outside`` (an outside issuer) or ``naive``."""
    policy: str
    """Of renewal: ``grid``, ``plain``, ``jitter .25``; empty where the servers do not renew."""
    algorithm: str
    key_bits: int
    """Length of the RSA modulus, the curve or the secret."""
    workers: int
    """Number of server processes; 0 where unknown."""
    store: str
    """``sqlite``, ``valkey``, ``postgresql``, ``memory``; empty without one."""
    budget_per_second: float | None = None
    """Renewals per second, all workers together; None without a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that is needed to repeat the run."""

    scenario: str
    summary: str
    """One sentence that describes the scenario."""
    load: RequestLoad
    target: Target
    generators: int
    """Processes that sent the load."""
    began_at: float
    """The barrier, in Unix seconds."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    command: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the user calls this run; a comparison does not look at them."""


OUTCOMES: Final = (
    *("ok", "renewed", "refreshed", "quiet", "refused", "limited", "unavailable", "failed"),
    *("strange", "timeout", "broken", "dropped"),
)
"""The kinds of outcomes of a request; `Second.outcomes` says what each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of the run, as clients and servers saw it.

    Requests and outcomes count in the second in which the request should have been sent. Where
    the servers could not be sampled, their figures are None or empty.
    """

    second: int
    """Since the barrier."""
    requests: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Counts by kind: ``ok``, ``renewed`` (2xx with a successor), ``refreshed``, ``quiet`` (2xx for
    a request that extends no session), ``refused`` (400, 401 or 403), ``limited`` (429),
    ``unavailable`` (503), ``failed`` (other 5xx), ``strange`` (any other status), ``timeout``,
    ``broken`` (no response), ``dropped`` (a response that the scenario discarded)."""
    hostile: Mapping[str, int] = field(default_factory=dict)
    """The same for hostile requests, which are in none of the other figures."""
    renewals: int = 0
    """Distinct successors that clients received for the first time in this second."""
    service: Percentiles | None = None
    intended: Percentiles | None = None
    in_flight: int = 0
    """The most requests that were unanswered at the same time."""
    generator_cpu: float = 0.0
    """Share of one core that the busiest generator process used."""
    generator_lag_ms: float = 0.0
    """How late the generator sent requests: the 99th percentile."""
    cpu: tuple[float, ...] = ()
    """Share of one core by server worker, in the order of `StormRun.workers`."""
    loop_lag_ms: tuple[float, ...] = ()
    """Longest delay of the event loop by server worker."""
    memory_mb: tuple[float, ...] = ()
    """Resident memory by server worker, in megabytes of 1,000,000 bytes."""
    signatures: int | None = None
    renewals_served: int | None = None
    """Responses with a successor, including those that share one successor."""
    cache_hits: int | None = None
    cache_misses: int | None = None
    store_calls: int | None = None
    budget_queue: int | None = None
    """Sessions whose renewal the budget deferred and that still wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the run that is evaluated separately; seconds since the barrier."""

    label: str
    """``expiry``: from when the first token is due until the last token of that cycle has expired;
    ``outage``, ``restart``, ``rotation``: the time of that event."""
    begins: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The storm factor: the highest renewal rate over a sliding window, divided by the floor.

    The floor is sessions / (lifetime - buffer): no policy has a lower mean rate. Factors are only
    comparable at the same window. A factor below `noise95` is at the level of chance.
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
    """95 % of perfectly even renewals of this number have a factor below this one."""
    at: float | None = None
    """The middle of the window with the highest rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The renewal rate over a sliding window; the n-th window begins at ``n * step_seconds``."""

    window_seconds: float
    step_seconds: float
    per_second: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """Counts over all honest sessions."""

    total: int
    """Sessions at the barrier; a login after a loss is not counted again."""
    logins: int
    """Logins after a session was lost."""
    renewals: int
    """Distinct (session, renewal) pairs that clients received."""
    cycles: int
    """Tokens that were renewed or whose renewal window closed: the chances to lose a session."""
    lapsed: int
    """Sessions that expired without a request in the buffer: the cost of the buffer's length."""
    forced_out: int
    """Sessions refused with a live token or despite a request in the buffer: a fault."""
    by_lost_reply: int = 0
    """Sessions lost because the scenario discarded every response in their buffer."""
    duplicate_successors: int = 0
    """Renewals for which clients received two different successors."""
    quiet: int = 0
    """Quiet requests answered 2xx: polls, which extend no session and count in no lag."""
    quiet_unsent: int = 0
    """Quiet requests that clients did not send because their token had expired."""
    families_killed: int = 0
    """Refresh token families revoked for reuse, although no token was stolen."""
    refused_seconds: Histogram = field(default_factory=Histogram)
    """From a revocation until the last worker refused the token. Only in scenario ``revoke``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """From when a token is due for renewal to the first request at or after that instant.

    Expired tokens are included. The share above B is the share of renewals that a buffer of B
    seconds loses, where B is all the time from due to expiry: first tokens of the grid have longer,
    so `SessionCounts.lapsed` says what was lost. See ``Histogram.share_above``. The values are
    those of the run: multiply by the compression k for real ones.
    """

    lags: Histogram
    by_session: tuple[tuple[float, ...], ...] = ()
    """The lags of each session, in seconds, for a bootstrap over sessions; at most 2,000."""
    expired_presented: int = 0
    """How many of these requests presented an expired token."""
    silent: int = 0
    """Sessions due at the end of the run without a later request: not in the histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The load as it was measured, for the tuner."""

    gaps: Histogram
    """Pauses between pages of one session."""
    parallel: Histogram
    """Requests per page: a number, not seconds."""
    pages: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Whether the load generator kept up with its plan; if not, the run is void."""

    lag_p50_ms: float
    lag_p99_ms: float
    """Scheduling lag: from when a request should be sent until it is sent."""
    lag_max_ms: float
    cpu_p95: float
    """Share of one core that the busiest process used in a second, 95th percentile."""
    is_valid: bool
    late_seconds: tuple[int, ...] = ()
    """Seconds of the run that are in no latency, because the generator was late in them."""
    faults: tuple[str, ...] = ()
    """Why the run is void."""
    chosen: tuple[str, ...] = ()
    """What was measured of the machine before the run, and chosen for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRun:
    """One run of one scenario against one target."""

    schema: int = SCHEMA
    setup: Setup
    timeline: tuple[Second, ...]
    windows: tuple[Window, ...]
    peaks: tuple[Peak, ...]
    """The first one is *the* storm factor; empty without renewals."""
    rates: Rates | None = None
    sessions: SessionCounts
    latencies: Latencies
    inside: Latencies | None = None
    """Requests planned for a time inside `windows`; None if there were none."""
    outside: Latencies | None = None
    lags: Lags
    traffic: Traffic
    workers: tuple[str, ...] = ()
    """Server processes in the order of the columns in `timeline`; empty where not sampled."""
    checks: tuple[Check, ...]
    requirements: tuple[RequirementCheck, ...] = ()
    generator: Generator
    notes: tuple[str, ...] = ()
    """Remarks that qualify the figures, and the first violations."""

    def is_judged(self, check: Check | RequirementCheck) -> bool:
        """Return whether the outcome of `check` is true: of a void run that of safety only."""
        return check.kind == "safety" or self.generator.is_valid

    @property
    def every_check(self) -> tuple[Check | RequirementCheck, ...]:
        """The requirements, then the invariants."""
        return (*self.requirements, *self.checks)

    @property
    def judged(self) -> tuple[Check | RequirementCheck, ...]:
        """The invariants with a limit and the requirements, without what the run leaves open."""
        return tuple(
            check for check in self.every_check if check.expected and self.is_judged(check)
        )

    @property
    def broken(self) -> tuple[Check | RequirementCheck, ...]:
        """Those of `judged` that failed."""
        return tuple(check for check in self.judged if not check.passed)

    @property
    def verdict(self) -> str:
        """``FAIL`` if a judged check failed, else ``VOID`` if the generator was late, or ``PASS``.

        What was accepted, leaked or lost was so however late the generator was: safety is judged
        first, and a void run can fail but not pass.
        """
        if self.broken:
            return "FAIL"
        return "PASS" if self.generator.is_valid else "VOID"
