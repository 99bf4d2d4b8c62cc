"""What is stormed: it gives its clients their tokens, tells of itself, and may be mistreated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from linqi import Key, KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan, TokenSource, TokenTransport
from linqi_storm.schema.policies import parse_policy
from linqi_storm.schema.results import Target

__all__ = ["StormTarget", "plan_of", "refused_tokens", "sign_sliding", "signing_pace"]


class StormTarget(Protocol):
    """A service under test."""

    url: str
    transport: TokenTransport
    token_source: TokenSource

    def running(self, folder: Path) -> AbstractContextManager[StormTarget]:
        """Serve while the context lasts, with files in `folder`."""
        ...

    def describe(self) -> Target:
        """Tell what is tested."""
        ...

    def sign_in_seconds(self) -> float:
        """Estimate how long `clients` will take."""
        ...

    async def clients(
        self, scenario: Scenario, begins_at: float
    ) -> tuple[Sequence[Credential], Sequence[str]]:
        """Give what the clients hold at the barrier, and tokens that must be refused."""
        ...

    def samples(self) -> Sequence[ServerSample]:
        """Give what the workers have told; empty where they cannot."""
        ...

    def check(self) -> None:
        """Raise `ServerDiedError` when a server has ended by itself."""
        ...

    async def restart_workers(self) -> None:
        """Replace one worker after the other."""
        ...

    async def store_down(self) -> None:
        """Make the store unreachable."""
        ...

    async def store_up(self) -> None:
        """Make it reachable again."""
        ...

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Command the outside issuer."""
        ...

    async def issuer_requests(self) -> int | None:
        """Tell how often its documents were asked for; None without one."""
        ...


def plan_of(storm: StormConfig, scenario: Scenario, target: StormTarget) -> GeneratorPlan:
    """Give what the generators of `order` are told, the barrier left open."""
    return GeneratorPlan(
        scenario=storm.scenario,
        options=storm.options,
        url=target.url,
        mode=scenario.mode,
        transport=target.transport,
        token_source=target.token_source,
        load=storm.load,
    )


def signing_pace(key: Key) -> float:
    """Give the seconds that one signature takes here."""
    began = time.perf_counter()
    for _ in range(5):
        key.sign(b"pace")
    return (time.perf_counter() - began) / 5


async def sign_sliding(
    source: TokenSource, scenario: Scenario, begins_at: float
) -> list[Credential]:
    """Sign the first token of every session as its login would have done at its instant."""
    load = scenario.load
    now = begins_at
    signer = Signer(
        KeySet.load(Path(source.jwks)),
        issuer=source.issuer,
        audience=source.audience,
        clock=lambda: now,
    )
    settings = RenewalSettings(
        lifetime=load.lifetime,
        buffer=load.buffer,
        policy=parse_policy(source.policy),
        whole_seconds=load.lifetime >= 60,
    )
    renewal = SlidingRenewal(signer, settings, clock=lambda: now)
    held = []
    for index in range(load.sessions):
        now = begins_at + scenario.login_at(index)
        issued = renewal.start(f"user-{index}")
        held.append(Credential(token=issued.token, expires_at=issued.expires_at, begins_at=now))
        if index % 100 == 0:
            await asyncio.sleep(0)
    return held


def refused_tokens(source: TokenSource, begins_at: float) -> list[str]:
    """Give tokens that the right key has signed and that still must be refused."""
    signer = Signer(
        KeySet.load(Path(source.jwks)),
        issuer=source.issuer,
        audience=source.audience,
    )
    elsewhere = Signer(KeySet.load(Path(source.jwks)), issuer=source.issuer, audience="elsewhere")
    stranger = Signer(Key.generate("ES256"), issuer=source.issuer, audience=source.audience)
    live = {"sub": "mallory", "iat": begins_at - 60, "exp": begins_at + 3_600}
    return [
        signer.sign({**live, "exp": begins_at - 5}),
        signer.sign({**live, "nbf": begins_at + 3_000}),
        elsewhere.sign(live),
        stranger.sign(live),
    ]
