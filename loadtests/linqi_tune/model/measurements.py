"""The inputs of the tuner: measurements, the settings in force, and targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.lag_counts import LagCounts
from linqi_tune.model.person_days import DAY

__all__ = [
    "REFERENCE_COSTS",
    "TARGET_OPTIONS",
    "Costs",
    "CurrentSettings",
    "Measurements",
    "ServerMeasurements",
    "Targets",
    "Visitors",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Processor time of single operations in microseconds, and memory in bytes.

    Attributes:
        hit: The whole middleware, for a request whose token is cached.
        verify: The additional cost of a token that is not cached, by algorithm.
        sign: A successor, by algorithm.
        entry_bytes: Memory of one cached token.
        sign_between: The interval of the cost of a signature, where it was measured.
        assumed: Algorithms whose costs were measured on another machine.
        source: The name of the file with the figures.

    """

    hit: float
    verify: Mapping[str, float]
    sign: Mapping[str, float]
    entry_bytes: float
    sign_between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    assumed: Collection[str] = ()
    source: str


_REFERENCE_VERIFY_AND_SIGN: Final = {
    "HS256": (7.1, 5.4),
    "RS256": (26.6, 241.6),
    "RS384": (27.1, 241.9),
    "PS256": (29.3, 246.9),
    "ES256": (69.8, 30.8),
    "ES384": (479.3, 222.7),
    "Ed25519": (111.2, 36.3),
    "EdDSA": (111.2, 36.3),
}
REFERENCE_COSTS: Final = Costs(
    hit=3.4,
    verify={name: verify for name, (verify, _) in _REFERENCE_VERIFY_AND_SIGN.items()},
    sign={name: sign for name, (_, sign) in _REFERENCE_VERIFY_AND_SIGN.items()},
    entry_bytes=1_065,
    source="docs/reference/benchmarks.md (another machine)",
)
"""Used without a benchmark: an AMD EPYC with 2 CPUs, see docs/reference/benchmarks.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitors:
    """The traffic of an application's users, in real seconds.

    Attributes:
        groups: The gaps between pages of a session, by disjoint sets of sessions, so that whole
            sets can be drawn.
        parallel: Requests per page, with the share of pages.
        popularity: Classes of sessions: their share, and their page rate over the mean rate.
        sessions: Sessions active at once, at most; 0 where unknown.
        peak_rps: Requests in the busiest second; 0 where unknown.
        login_spread: Seconds within which all would sign in at the highest sign-in rate seen.
        open_share: The share of gaps that had not ended when the log did.
        source: The name of the log or storm.

    """

    groups: Sequence[GapDistribution]
    parallel: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    popularity: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    sessions: int = 0
    peak_rps: float = 0.0
    login_spread: float = 0.0
    open_share: float = 0.0
    source: str = ""

    @property
    def gaps(self) -> GapDistribution:
        """The gaps of all groups."""
        return self.groups[0] if len(self.groups) == 1 else GapDistribution.merged(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMeasurements:
    """The servers of one storm, in real seconds.

    Attributes:
        request_seconds: Processor time of a request, everything included; 0 where not sampled.
        p99: Latency of 99 of 100 requests, from the time they were planned for.
        p999: The same of 999 in 1,000.
        hit_ratio: The share of verifications that the cache answered; None where unknown.
        storm_factor: The highest renewal rate over the steady rate; None where unknown.
        window: The seconds over which the storm factor was taken.
        lost: The share of cycles that were lost.
        cycles: Tokens that were renewed or found expired.
        compression: The number by which the storm divided times.
        source: The name of the storm.

    """

    request_seconds: float
    p99: float
    p999: float
    hit_ratio: float | None
    storm_factor: float | None
    window: float
    policy: str
    algorithm: str
    workers: int
    lost: float
    cycles: int
    compression: float
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSettings:
    """The settings in force, in seconds; the middleware's defaults where none are set.

    Attributes:
        budget: Signatures of successors per second of one process; None for no budget.
        off_loop: None for threads with RSA only.
        slides: Whether the server hands out successors; else clients redeem refresh tokens.
        idle: Seconds without use after which a refresh token ends.
        absolute: Seconds after which a session with refresh tokens ends.

    """

    lifetime: float = 900.0
    buffer: float = 300.0
    policy: str = "grid"
    jitter_width: float = 0.1
    max_session: float = 28_800.0
    algorithm: str = "ES256"
    cache_entries: int = 10_000
    cache_bytes: int = 64 * 2**20
    cache_lifetime: float = 60.0
    budget: float | None = None
    burst: float = 10.0
    off_loop: bool | None = None
    has_store: bool = False
    slides: bool = True
    idle: float = 604_800.0
    absolute: float = 2_592_000.0
    has_issuers: bool = False
    stale_after: float = 10.0
    grace: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the settings must achieve; None where the user set no target.

    Attributes:
        sessions: Sessions active at once, at most.
        peak_rps: Requests in the busiest second.
        workers: Server processes.
        memory_mb: Memory for cached tokens in each worker, in megabytes of 1,000,000 bytes.
        max_sign_ins: Forced sign-ins per person and day, at most, whatever their cause.
        cpu_share: The highest utilisation of a worker.
        revocation: Seconds until a revoked session must be refused.
        session_cap: Seconds after which a session must end.
        most_lifetime: The longest lifetime of an access token, for which a stolen one is valid.
        timeout: Seconds after which clients abandon a request.
        outage: The longest outage, in seconds, in which no session may be lost.
        published_ahead: Seconds for which outside issuers publish a key before it signs.

    Raises:
        ConfigurationError: Names every target out of its range, as the command line calls it.

    """

    sessions: int | None = None
    peak_rps: float | None = None
    workers: int | None = None
    memory_mb: float | None = None
    max_sign_ins: float | None = None
    cpu_share: float = 0.6
    revocation: float | None = None
    session_cap: float | None = None
    most_lifetime: float = 3_600.0
    timeout: float = 10.0
    outage: float = 120.0
    published_ahead: float | None = None
    algorithm: str | None = None

    def __post_init__(self) -> None:
        faults = []
        for name, (option, expected, holds) in _TARGETS.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and holds(value)):
                faults.append(f"{option} is {value!r}, expected {expected}")
        if faults:
            raise ConfigurationError(faults)


_ABOVE_0 = ("above 0", lambda value: value > 0)
_AT_LEAST_0 = ("at least 0", lambda value: value >= 0)
_AT_LEAST_1 = ("at least 1", lambda value: value >= 1)
_TARGETS: Final[Mapping[str, tuple[str, str, Callable[[float], bool]]]] = {
    "sessions": ("--sessions", *_AT_LEAST_1),
    "peak_rps": ("--peak-rps", *_ABOVE_0),
    "workers": ("--workers", *_AT_LEAST_1),
    "memory_mb": ("--memory-mb", *_ABOVE_0),
    "max_sign_ins": ("--max-sign-ins-per-day", *_ABOVE_0),
    "cpu_share": ("--cpu-share", "above 0 and at most 1", lambda value: 0 < value <= 1),
    "revocation": ("--revocation-seconds", *_ABOVE_0),
    "session_cap": (
        "--session-cap-seconds",
        "60 to 31622400 (366 days)",
        lambda value: 60 <= value <= 366 * DAY,
    ),
    "most_lifetime": (
        "--max-lifetime-seconds",
        "1 to 86400 (a day)",
        lambda value: 1 <= value <= DAY,
    ),
    "timeout": ("--timeout-seconds", *_ABOVE_0),
    "outage": ("--outage-seconds", *_AT_LEAST_0),
    "published_ahead": ("--key-overlap-seconds", *_AT_LEAST_0),
}
"""The option of each target, its range, and the check of the range."""
TARGET_OPTIONS: Final = {name: option for name, (option, _, _) in _TARGETS.items()}
"""The option of the command line for each target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All measurements, the settings in force and the targets; None or empty where unknown."""

    visitors: Visitors | None = None
    histories: Histories | None = None
    lags: LagCounts | None = None
    lags_by_session: Sequence[Sequence[float]] = ()
    lags_source: str = ""
    costs: Costs = field(default_factory=lambda: REFERENCE_COSTS)
    served: ServerMeasurements | None = None
    current: CurrentSettings = field(default_factory=CurrentSettings)
    targets: Targets = field(default_factory=Targets)
