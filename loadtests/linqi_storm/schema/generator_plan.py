"""The plan of one storm for its load generators, and the clients that they run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.probes import Probe

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
"""Who renews: the server in any response, the client at ``/refresh``, or an outside issuer."""

_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransport:
    """Where requests carry the token, and where responses carry its successor."""

    path: str = "/me"
    """Path of the page that honest clients request."""
    cookie: str = ""
    """Name of the cookie that carries the token; empty for the header ``Authorization``."""
    successor_header: str = "X-Refresh-Token"
    refresh_path: str = "/refresh"
    logout_path: str = "/logout"
    quiet_header: str = "X-Quiet"
    """Request header that marks requests which extend no session."""


class StormLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A login endpoint, and the paths for renewal and sign-out, as ``--login`` takes it."""

    url: str
    body: Mapping[str, str] = {}
    """Members to post; ``{n}`` in a value becomes the number of the client."""
    encoding: Literal["json", "form"] = "json"
    headers: Mapping[str, str] = {}
    token_field: str = "access_token"
    """The member of the response that holds the access token."""
    refresh_path: str = "/refresh"
    logout_path: str = "/logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where a client that signs in gets its token: signed with a key, or from a login endpoint."""

    jwks: str = ""
    """Path of the JWKS file with the signing key of sliding sessions."""
    issuer: str = ""
    audience: str = ""
    policy: str = "grid"
    scopes: tuple[str, ...] = ()
    """Of the tokens signed with `jwks`."""
    login: StormLogin | None = None
    claims_lifetime: float | None = None
    """Lifetime in seconds to request by a member ``claims``, as the outside issuer expects it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The tokens of one client at the barrier; instants in Unix seconds."""

    token: str
    expires_at: float
    refresh_token: str = ""
    refresh_expires_at: float = 0.0
    sequence: int = 0
    """Of the refresh token; a higher one replaces a lower one."""
    begins_at: float = 0.0
    """Earliest first request of this client; not before the barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorPlan:
    """One storm, as every generator reads it; durations in seconds."""

    scenario: str
    """A registered name or ``module:Class``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The scenario's own settings, by name."""
    url: str
    mode: Mode
    transport: TokenTransport = field(default_factory=TokenTransport)
    token_source: TokenSource = field(default_factory=TokenSource)
    expected: Expectations = field(default_factory=Expectations)
    load: StormLoad
    timeout: float = _TIMEOUT_SECONDS
    """For a whole response."""
    begins_at: float = 0.0
    """The barrier, at which the load begins, in Unix seconds."""

    def with_public(self, kinds: Collection[tuple[str, str]]) -> GeneratorPlan:
        """Return the same plan, in which requests of these kinds are sent without a token."""
        workload = self.load.workload
        if workload is None or not kinds:
            return self
        return replace(self, load=replace(self.load, workload=workload.with_public(kinds)))

    def with_guests(self, kinds: Collection[tuple[str, str]]) -> GeneratorPlan:
        """Return the same plan, in which requests of these kinds may be served without a token."""
        return replace(self, expected=replace(self.expected, guests=tuple(sorted(kinds))))


@dataclass(frozen=True, slots=True, kw_only=True)
class StormClients:
    """All clients of a storm, and the instant at which the load begins."""

    begins_at: float
    """The barrier, at which the load begins, in Unix seconds."""
    credentials: tuple[Credential, ...]
    refused: tuple[str, ...] = ()
    """Tokens signed with the keys of the run that must still be refused, such as expired ones."""
    probes: tuple[Probe, ...] = ()
    """Tokens that no honest client holds, and that are presented at their instants."""


def write_plan(plan: GeneratorPlan, path: Path) -> None:
    """Write `plan` to the JSON file `path`, with mode 0600."""
    _write(plan, path)


def read_plan(path: Path) -> GeneratorPlan:
    """Return the plan that `write_plan` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=GeneratorPlan)


def write_clients(clients: StormClients, path: Path) -> None:
    """Write `clients` to the JSON file `path`, which appears complete, with mode 0600."""
    _write(clients, path)


def read_clients(path: Path) -> StormClients:
    """Return the clients that `write_clients` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=StormClients)


def _write(value: GeneratorPlan | StormClients, path: Path) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(value))
    partial.chmod(0o600)  # live tokens
    partial.rename(path)
