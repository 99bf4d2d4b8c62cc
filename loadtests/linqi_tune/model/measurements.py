"""What was measured, and what is wanted: the inputs of the tuner."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.losses import LagCounts

__all__ = [
    "REFERENCE_COSTS",
    "Costs",
    "CurrentSettings",
    "Measurements",
    "ServerMeasurements",
    "Targets",
    "Visitors",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Processor time of the calls on the user's machine, in microseconds, and memory in bytes."""

    hit: float
    """The whole middleware on a request whose token is cached."""
    verify: Mapping[str, float]
    """What a token that is not cached costs on top, by algorithm."""
    sign: Mapping[str, float]
    """A successor, by algorithm."""
    entry_bytes: float
    """Memory of one cached token."""
    sign_between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The interval of a signature's cost, where it was measured."""
    assumed: Collection[str] = ()
    """Algorithms whose costs are not of this machine."""
    source: str
    """Where the figures come from."""


REFERENCE_COSTS: Final = Costs(
    hit=3.4,
    verify={
        "HS256": 7.1, "RS256": 26.6, "RS384": 27.1, "PS256": 29.3, "ES256": 69.8, "ES384": 479.3,
        "Ed25519": 111.2, "EdDSA": 111.2,
    },
    sign={
        "HS256": 5.4, "RS256": 241.6, "RS384": 241.9, "PS256": 246.9, "ES256": 30.8, "ES384": 222.7,
        "Ed25519": 36.3, "EdDSA": 36.3,
    },
    entry_bytes=1_065,
    source="docs/reference/benchmarks.md (another machine)",
)  # fmt: skip
"""Used where no benchmark is given: an AMD EPYC of 2 CPUs, see docs/reference/benchmarks.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitors:
    """How people come, in real seconds."""

    groups: Sequence[GapDistribution]
    """Gaps between pages of a session, by disjoint sets of sessions, to draw whole ones."""
    parallel: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    """Requests per page, with the share of pages."""
    popularity: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    """Classes of sessions: their share, and how often they come beside the mean."""
    sessions: int = 0
    """Active at once, at the busiest; 0 where unknown."""
    peak_rps: float = 0.0
    """Requests in the busiest second; 0 where unknown."""
    login_spread: float = 0.0
    """Seconds within which all would sign in at the highest rate seen."""
    open_share: float = 0.0
    """The share of gaps that were not over at the end: what was not seen of the law."""
    source: str = ""

    @property
    def gaps(self) -> GapDistribution:
        """The law of all of them."""
        return self.groups[0] if len(self.groups) == 1 else GapDistribution.merged(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMeasurements:
    """What one storm showed of the servers, in real seconds."""

    request_seconds: float
    """Processor time of a request, everything included; 0 where not sampled."""
    p99: float
    """Of all requests, counted from when they should have been sent."""
    p999: float
    hit_ratio: float | None
    storm_factor: float | None
    window: float
    """Over which it was taken."""
    policy: str
    algorithm: str
    workers: int
    lost: float
    """The share of cycles lost."""
    cycles: int
    compression: float
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSettings:
    """The settings in force, in seconds; the defaults of the middleware where nothing is said."""

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
    """Signatures of successors per second of one process."""
    burst: float = 10.0
    off_loop: bool | None = None
    """None: threads for RSA only."""
    has_store: bool = False
    slides: bool = True
    """Whether the server hands successors back; else clients redeem refresh tokens."""
    idle: float = 604_800.0
    """Of a refresh token."""
    absolute: float = 2_592_000.0
    """The end of a session that is refreshed."""
    has_issuers: bool = False
    stale_after: float = 10.0
    grace: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is wanted; None where the user said nothing.

    `ConfigurationError` names every one that cannot be, as the command line calls it.
    """

    sessions: int | None = None
    peak_rps: float | None = None
    workers: int | None = None
    memory_mb: float | None = None
    """For cached tokens in each worker, in megabytes of 1,000,000 bytes."""
    max_lost: float = 1e-4
    """The largest share of renewals lost; a session has one every ``lifetime - buffer``."""
    cpu_share: float = 0.6
    """How busy a worker may be."""
    revocation: float | None = None
    """Seconds until a revoked session must be refused."""
    session_cap: float | None = None
    """The longest life of a session, in seconds."""
    most_lifetime: float = 3_600.0
    """The longest life of an access token: so long a stolen one is good."""
    timeout: float = 10.0
    """After which clients give up, in seconds."""
    outage: float = 120.0
    """An outage that must lose nobody, in seconds."""
    published_ahead: float | None = None
    """How long outside issuers publish a key before it signs, in seconds."""
    algorithm: str | None = None

    def __post_init__(self) -> None:
        above = ("peak_rps", "memory_mb", "revocation", "timeout")
        checks: list[tuple[str, str, Callable[[float], bool]]] = [
            *((name, "above 0", lambda value: value > 0) for name in above),
            *((name, "at least 1", lambda value: value >= 1)
              for name in ("sessions", "workers", "most_lifetime")),
            *((name, "at least 0", lambda value: value >= 0)
              for name in ("outage", "published_ahead")),
            ("session_cap", "at least 60", lambda value: value >= 60),
            ("max_lost", "above 0 and below 1", lambda value: 0 < value < 1),
            ("cpu_share", "above 0 and at most 1", lambda value: 0 < value <= 1),
        ]  # fmt: skip
        faults = []
        for name, expected, holds in checks:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and holds(value)):
                faults.append(f"{_OPTIONS[name]} is {value:g}, expected {expected}")
        if faults:
            raise ConfigurationError(faults)


_OPTIONS: Final = {
    "sessions": "--sessions",
    "peak_rps": "--peak-rps",
    "workers": "--workers",
    "memory_mb": "--memory-mb",
    "max_lost": "--max-lost",
    "cpu_share": "--cpu-share",
    "revocation": "--revocation-seconds",
    "session_cap": "--session-cap-seconds",
    "most_lifetime": "--max-lifetime-seconds",
    "timeout": "--timeout-seconds",
    "outage": "--outage-seconds",
    "published_ahead": "--key-overlap-seconds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All that is known."""

    visitors: Visitors | None = None
    lags: LagCounts | None = None
    lags_by_session: Sequence[Sequence[float]] = ()
    lags_source: str = ""
    costs: Costs = field(default_factory=lambda: REFERENCE_COSTS)
    served: ServerMeasurements | None = None
    current: CurrentSettings = field(default_factory=CurrentSettings)
    targets: Targets = field(default_factory=Targets)
