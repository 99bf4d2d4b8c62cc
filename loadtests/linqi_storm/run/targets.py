"""The contract of services under test, and what its implementations share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

from linqi import Key, KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.generator_plan import (
    Credential,
    GeneratorPlan,
    StormClients,
    TokenSource,
    TokenTransport,
)
from linqi_storm.schema.identity import claims_of, scopes_of, subject_of
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.policies import parse_policy
from linqi_storm.schema.results import Target

__all__ = [
    "StormTarget",
    "lead_of",
    "plan_of",
    "refused_tokens",
    "sign_sliding",
    "signing_pace",
]

_LEAD_SECONDS: Final = 0.7


class StormTarget(Protocol):
    """A service under test."""

    url: str
    transport: TokenTransport
    token_source: TokenSource
    expected: Expectations

    def running(self, folder: Path) -> AbstractContextManager[StormTarget]:
        """Return a context manager in which the service runs, with files in `folder`."""
        ...

    def describe(self) -> Target:
        """Return a description of the service under test."""
        ...

    def sign_in_seconds(self) -> float:
        """Return an estimate of the seconds that `clients` takes."""
        ...

    async def clients(self, scenario: Scenario, begins_at: float) -> StormClients:
        """Return the tokens of all clients at the barrier, and those that must be refused.

        The barrier is at `begins_at`, or later where sessions that took longer cannot be begun
        again.
        """
        ...

    def samples(self) -> Sequence[ServerSample]:
        """Return the samples of the workers; empty if there are none."""
        ...

    def pids(self) -> Sequence[int]:
        """Return the processes of the workers; empty if they are not those of this storm."""
        ...

    def check(self) -> None:
        """Raise `ServerDiedError` if a server has ended unexpectedly."""
        ...

    async def restart_workers(self, *, at_once: bool = False) -> None:
        """Replace the workers one by one, or all at once."""
        ...

    async def store_down(self) -> None:
        """Make the store unreachable."""
        ...

    async def store_up(self) -> None:
        """Make the store reachable again."""
        ...

    async def fail_over(self) -> None:
        """Let a replica take over from the store's server."""
        ...

    async def set_clock(self, ahead: float) -> None:
        """Set the clock of one worker."""
        ...

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Send a command to the outside issuer; return its response."""
        ...

    async def issuer_requests(self) -> int | None:
        """Return the number of fetches from the outside issuer; None without one."""
        ...


def plan_of(storm: StormConfig, scenario: Scenario, target: StormTarget) -> GeneratorPlan:
    """Return the plan for the generators of `storm`, without its barrier."""
    return GeneratorPlan(
        scenario=storm.scenario,
        options=storm.options,
        url=target.url,
        mode=scenario.mode,
        transport=target.transport,
        token_source=target.token_source,
        expected=target.expected,
        load=storm.load,
    )


def lead_of(load: StormLoad) -> float:
    """Return the seconds between the last token and the barrier: each generator gets ready."""
    return _LEAD_SECONDS + load.preparation


def signing_pace(key: Key) -> float:
    """Return the seconds that one signature takes on this machine."""
    began = time.perf_counter()
    for _ in range(5):
        key.sign(b"pace")
    return (time.perf_counter() - began) / 5


async def sign_sliding(
    source: TokenSource, scenario: Scenario, begins_at: float, run: str
) -> list[Credential]:
    """Return the first token of every session, signed as a login would at its instant."""
    load = scenario.load
    now = begins_at
    signer = Signer(
        KeySet.load(Path(source.jwks)),
        issuer=source.issuer,
        audience=source.audience,
        clock=lambda: now,
    )
    settings = RenewalSettings(
        lifetime=scenario.held_lifetime(),
        buffer=load.buffer,
        policy=parse_policy(source.policy),
        whole_seconds=load.whole_seconds,
    )
    renewal = SlidingRenewal(signer, settings, clock=lambda: now)
    held = []
    for index in range(load.sessions):
        now = begins_at + scenario.login_at(index)
        subject = subject_of(index)
        issued = renewal.start(
            subject,
            claims=claims_of(run, subject),
            scopes=(*source.scopes, *scopes_of(subject)),
        )
        held.append(Credential(token=issued.token, expires_at=issued.expires_at, begins_at=now))
        if index % 100 == 0:
            await asyncio.sleep(0)
    return held


def refused_tokens(source: TokenSource, begins_at: float) -> list[str]:
    """Return expired, premature, foreign and wrongly signed tokens, which must be refused."""
    signer = Signer(
        KeySet.load(Path(source.jwks)),
        issuer=source.issuer,
        audience=source.audience,
    )
    elsewhere = Signer(KeySet.load(Path(source.jwks)), issuer=source.issuer, audience="elsewhere")
    stranger = Signer(Key.generate("ES256"), issuer=source.issuer, audience=source.audience)
    live = {"sub": "mallory", "iat": begins_at - 60, "exp": begins_at + 3_600}
    return [
        signer.sign({**live, "iat": begins_at - 900, "exp": begins_at - 400}),
        signer.sign({**live, "nbf": begins_at + 3_000}),
        elsewhere.sign(live),
        stranger.sign(live),
    ]
