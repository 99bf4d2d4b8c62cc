"""What somebody wants to have stormed."""

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
    """One storm: the scenario, its size and the target."""

    scenario: str
    load: StormLoad
    options: Mapping[str, float] = field(default_factory=dict)
    policy: str = "grid"
    alg: str = "RS256"
    bits: int = 2048
    """Of an RSA key."""
    workers: int = 2
    generators: int = 1
    store: str = "sqlite"
    """``sqlite``, ``valkey`` or ``postgresql``; only where sessions are stored."""
    budget_per_second: float | None = None
    app: str = ""
    """``module:app``; empty for the embedded application."""
    config: Path | None = None
    """The linqi.toml of `app`."""
    url: str = ""
    """A running deployment."""
    path: str = ""
    """The page to ask for; the target's own choice when empty."""
    key: Path | None = None
    """The signing key of `url`."""
    issuer: str = ""
    audience: str = ""
    login: StormLogin | None = None
    """The login endpoint of `url`."""
    is_own_host: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.workers <= 64:
            faults.append(f"workers is {self.workers}, expected 1 to 64")
        if not 1 <= self.generators <= 64:
            faults.append(f"processes is {self.generators}, expected 1 to 64")
        if self.store not in ("sqlite", "valkey", "postgresql"):
            faults.append(f"the store is {self.store!r}, expected sqlite, valkey or postgresql")
        if self.app and self.url:
            faults.append("give --app or --url, not both")
        if self.generators > self.load.sessions:
            faults.append("there are more generators than sessions")
        if faults:
            raise ConfigurationError(faults)
