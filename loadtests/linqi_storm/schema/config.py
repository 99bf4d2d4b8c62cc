"""The settings of one storm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from linqi import ConfigurationError
from linqi_storm.schema.generator_plan import StormLogin
from linqi_storm.schema.load import StormLoad

__all__ = ["StormConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StormConfig:
    """The settings of one storm: the scenario, the load and the target.

    Raises:
        ConfigurationError: With every setting that is out of range or contradicts another.

    """

    scenario: str
    """A name of `linqi_storm.scenarios.SCENARIOS`, or ``module:Class``."""
    load: StormLoad
    options: Mapping[str, float] = field(default_factory=dict)
    """The scenario's own settings, by name."""
    policy: str = "grid"
    """Of renewal: ``grid``, ``plain`` or such as ``jitter .25``."""
    alg: str = "RS256"
    bits: int = 2048
    """Modulus of an RSA key."""
    workers: int = 2
    """Server processes under test, 1 to 64."""
    generators: int = 1
    """Processes that send the load, 1 to 64, at most one per session."""
    store: str = "sqlite"
    """``sqlite``, ``valkey`` or ``postgresql``; only used where sessions are stored."""
    failover_command: str = ""
    """Lets a replica of the store take over, in scenarios that do so."""
    budget_per_second: float | None = None
    """Renewals per second, all workers together; None for no limit."""
    app: str = ""
    """``module:app`` of the user's application; empty for the embedded one."""
    config: Path | None = None
    """Path of the linqi.toml of `app`."""
    url: str = ""
    """Base URL of a running deployment; empty to start servers."""
    path: str = ""
    """Path of the page that clients request; the target's default if empty."""
    key: Path | None = None
    """JWKS file with the signing key of `url`."""
    issuer: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ()
    """Of the tokens that the storm signs."""
    login: StormLogin | None = None
    """The login endpoint of `url`."""
    is_own_host: bool = False
    """Whether the user states that a host other than loopback may be loaded."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the user calls this run, for the result."""
    command: tuple[str, ...] = ()
    """The command line, without secrets, for the result."""

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.workers <= 64:
            faults.append(f"workers is {self.workers}, expected 1 to 64")
        if not 1 <= self.generators <= 64:
            faults.append(f"processes is {self.generators}, expected 1 to 64")
        if self.store not in ("sqlite", "valkey", "postgresql"):
            faults.append(f"the store is {self.store!r}, expected sqlite, valkey or postgresql")
        if self.app and self.url:
            faults.append("both --app and --url are given, expected one of them")
        if self.generators > self.load.sessions:
            faults.append(
                f"processes is {self.generators}, expected at most one per session"
                f" ({self.load.sessions})"
            )
        if faults:
            raise ConfigurationError(faults)
