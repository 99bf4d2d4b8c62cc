"""What a generator is told: whom to ask, as how many clients, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from linqi_storm.schema.load import StormLoad

__all__ = [
    "Credential",
    "GeneratorPlan",
    "Mode",
    "StormClients",
    "StormLogin",
    "TokenSource",
    "TokenTransport",
    "read_clients",
    "read_plan",
    "write_clients",
    "write_plan",
]

Mode = Literal["sliding", "dual", "outside"]
"""Who renews: the server by the way, the client at ``/refresh``, or an outside issuer."""

_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransport:
    """How a token travels, and where its successor comes back."""

    path: str = "/me"
    """The page that honest clients ask for."""
    cookie: str = ""
    """The name of the cookie that carries the token; empty for ``Authorization``."""
    successor_header: str = "X-Refresh-Token"
    refresh_path: str = "/refresh"
    logout_path: str = "/logout"
    quiet_header: str = "X-Quiet"
    """The header of requests that extend no session."""


class StormLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint that signs a client in, and the paths where it renews and signs out."""

    url: str
    body: Mapping[str, str] = {}
    """What is posted; ``{n}`` in a value becomes the number of the client."""
    encoding: Literal["json", "form"] = "json"
    headers: Mapping[str, str] = {}
    token_field: str = "access_token"
    """The member of the answer that holds the token."""
    refresh_path: str = "/refresh"
    logout_path: str = "/logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where a client that has to sign in gets a token: signed with a key, or from a login."""

    jwks: str = ""
    """The path of a file with the signing key of sliding sessions."""
    issuer: str = ""
    audience: str = ""
    policy: str = "grid"
    login: StormLogin | None = None
    claims_lifetime: float | None = None
    """Ask for tokens of this life by a member ``claims``, as an outside issuer takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What one client holds at the barrier; instants in Unix seconds."""

    token: str
    expires_at: float
    refresh_token: str = ""
    refresh_expires_at: float = 0.0
    sequence: int = 0
    begins_at: float = 0.0
    """When this client comes for the first time; the barrier if earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorPlan:
    """One storm, as every generator is told of it. Durations are in seconds."""

    scenario: str
    """``module:Class``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The scenario's own settings, by name."""
    url: str
    mode: Mode
    transport: TokenTransport = field(default_factory=TokenTransport)
    token_source: TokenSource = field(default_factory=TokenSource)
    load: StormLoad
    timeout: float = _TIMEOUT_SECONDS
    begins_at: float = 0.0
    """The barrier, in Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormClients:
    """Everybody who takes part, and when it begins."""

    begins_at: float
    """The barrier, in Unix seconds."""
    credentials: tuple[Credential, ...]
    refused: tuple[str, ...] = ()
    """Tokens that the keys of the run have signed and that still must be refused."""


def write_plan(plan: GeneratorPlan, path: Path) -> None:
    """Write `plan` for a generator."""
    _write(plan, path)


def read_plan(path: Path) -> GeneratorPlan:
    """Read what `write_plan` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=GeneratorPlan)


def write_clients(clients: StormClients, path: Path) -> None:
    """Write who takes part; whoever waits for the file finds it whole."""
    _write(clients, path)


def read_clients(path: Path) -> StormClients:
    """Read what `write_people` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=StormClients)


def _write(value: GeneratorPlan | StormClients, path: Path) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(value))
    partial.chmod(0o600)  # live tokens
    partial.rename(path)
