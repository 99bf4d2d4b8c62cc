"""Applications on this machine as a target, with their store or issuer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2

from linqi import ConfigurationError, Key, KeySet, SessionSettings
from linqi_report.processes import running
from linqi_storm.apps.embedded import AppSpec, build_sessions
from linqi_storm.apps.offset_clock import set_offset
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.apps.user_app import transport_of, user_config
from linqi_storm.outside.issuer import AUDIENCE
from linqi_storm.run.local_store import LocalStore
from linqi_storm.run.probe_sessions import (
    clients_by_key,
    dated,
    dead_tokens,
    planned_probes,
    probe_claims,
    signed_probes,
    stored_probes,
)
from linqi_storm.run.targets import refused_tokens, signing_pace
from linqi_storm.run.worker_pool import WorkerPool, check_shared_port
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.expectations import SAME_CLOCK, Expectations
from linqi_storm.schema.generator_plan import Credential, StormClients, StormLogin, TokenSource
from linqi_storm.schema.identity import claims_of, identity_claims, scopes_of, subject_of
from linqi_storm.schema.probes import Probe
from linqi_storm.schema.results import Target

__all__ = ["LocalTarget"]

_AT_ONCE: Final = 20
_MOST_LEEWAY: Final = 300.0
_SIGN_IN_SECONDS: Final = 0.0006
"""Estimated time of a sign-in at a store without its signature."""


class LocalTarget:
    """Workers that serve an embedded application, or the user's own with its linqi.toml.

    Raises:
        ConfigurationError: The system has no sockets that several workers can share.

    """

    def __init__(self, storm: StormConfig, scenario: Scenario) -> None:
        check_shared_port()
        self._storm = storm
        self._scenario = scenario
        self._key = Key.generate(storm.alg, bits=storm.bits)
        self._worker_pool: WorkerPool | None = None
        self._store = LocalStore(storm.store, scenario, storm.failover_command)
        self._clock = ""
        self._issuer_url = ""
        self._spec = AppSpec(kind=scenario.embedded, lifetime=1, buffer=0.1)
        self._config = user_config(storm, scenario) if storm.app else None
        self.url = ""
        self.transport = transport_of(self._config, storm.path)
        self.token_source = TokenSource()
        self.expected = self._expectations()

    def _expectations(self) -> Expectations:
        config = self._config
        kind = self._scenario.embedded
        policy = self._storm.policy
        return Expectations(
            run=secrets.token_hex(4),
            is_embedded=config is None,
            has_grid=kind not in ("naive", "outside") and policy in ("grid", "plain"),
            clock_error=self._scenario.clock_error(),
            period=self._scenario.load.period,
            held_lifetime=self._scenario.held_lifetime(),
            leeway=self._leeway if config is None else config.verify.leeway_seconds,
            revocation_bound=self._scenario.revocation_bound,
            idle=SessionSettings().idle if config is None else config.sessions.idle_seconds,
            absolute=(
                SessionSettings().absolute if config is None else config.sessions.absolute_seconds
            ),
            may_be_unavailable=self._scenario.may_be_unavailable
            or self._scenario.mode == "outside",
            grace=self._spec.grace if config is None else config.sessions.grace_seconds,
        )

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[LocalTarget]:
        """Return a context manager in which the workers serve, with files in `folder`."""
        kind, load, mode = self._scenario.embedded, self._scenario.load, self._scenario.mode
        KeySet([self._key]).save(folder / "key.json")
        KeySet([Key.generate("HS256")]).save(folder / "secret.json")
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(self._store.running(folder)).url if mode == "dual" else ""
            issuer = stack.enter_context(self._issuer(folder)) if mode == "outside" else ""
            self._issuer_url = issuer
            spec = AppSpec(
                kind=kind,
                lifetime=load.lifetime,
                buffer=load.buffer,
                whole_seconds=load.whole_seconds,
                policy="plain" if kind == "naive" else self._storm.policy,
                jwks=str(folder / "key.json"),
                secret=str(folder / "secret.json"),
                scopes=self._storm.scopes,
                password=secrets.token_urlsafe(16),
                store=store,
                workers=self._storm.workers,
                budget_per_second=self._storm.budget_per_second,
                refreshes_per_second=self._scenario.refreshes_per_second,
                refresh_path=self.transport.refresh_path,
                algorithms=(self._storm.alg,),
                run=self.expected.run,
                sessions=load.sessions,
                leeway=self._leeway,
                stale_after=self._scenario.stale_after,
            )
            if issuer:
                spec = dataclasses.replace(spec, issuer=issuer, audience=AUDIENCE)
            if self._config is not None:
                spec = dataclasses.replace(
                    spec,
                    kind="app",
                    app=self._storm.app,
                    config=str(self._storm.config),
                    issuer=self._config.verify.issuer or "",
                    audience=self._config.verify.audience or "",
                )
            self._spec = spec
            self._worker_pool = stack.enter_context(
                WorkerPool(self._specs(folder), folder).running()
            )
            self.url = self._worker_pool.url
            self.token_source = self._source_of_tokens(folder)
            yield self

    @property
    def _leeway(self) -> float:
        """What the embedded application allows for clocks that differ, in whole seconds."""
        error = self._scenario.clock_error()
        return 0.0 if error <= SAME_CLOCK else min(_MOST_LEEWAY, math.ceil(error) + 1.0)

    def _specs(self, folder: Path) -> list[AppSpec]:
        """Return the settings of each worker: they differ by clock and by the way to the store."""
        specs = [
            dataclasses.replace(self._spec, store=self._store.url_of(number, self._storm.workers))
            if self._spec.store
            else self._spec
            for number in range(self._storm.workers)
        ]
        if self._scenario.steps_clock:
            self._clock = str(folder / "clock")
            set_offset(Path(self._clock), 0)
            specs[0] = dataclasses.replace(specs[0], clock=self._clock)
        return specs

    def _source_of_tokens(self, folder: Path) -> TokenSource:
        spec = self._spec
        if self._scenario.mode == "dual":
            body = {"username": "user-{n}", "password": spec.password}
            headers = {"x-token-delivery": "body"}
            path = self.transport.refresh_path.removesuffix("refresh") + "login"
            return TokenSource(
                login=StormLogin(url=f"{self.url}{path}", body=body, headers=headers)
            )
        if self._scenario.mode == "outside":
            login = StormLogin(url=f"{spec.issuer}/token", token_field="token")
            return TokenSource(login=login, claims_lifetime=spec.lifetime)
        return TokenSource(
            jwks=str(folder / "key.json"),
            issuer=spec.issuer,
            audience=spec.audience,
            policy=spec.policy,
            scopes=self._storm.scopes,
        )

    @contextlib.contextmanager
    def _issuer(self, folder: Path) -> Iterator[str]:
        arguments = ["linqi_storm.outside.issuer", "--port", "0", "--alg", self._storm.alg]
        with running(arguments, folder / "issuer.log", health="/counts") as url:
            yield url

    def describe(self) -> Target:
        """Return a description of the service under test."""
        spec, storm = self._spec, self._storm
        return Target(
            kind="app" if storm.app else "embedded",
            name=storm.app or f"embedded {spec.kind}",
            mode="naive" if spec.kind == "naive" else self._scenario.mode,
            policy={"naive": "plain", "outside": ""}.get(spec.kind, storm.policy),
            algorithm=storm.alg,
            key_bits=_bits(storm),
            workers=storm.workers,
            store=storm.store if self._scenario.mode == "dual" else "",
            budget_per_second=storm.budget_per_second,
        )

    def sign_in_seconds(self) -> float:
        """Return an estimate of the seconds that `clients` takes."""
        each = signing_pace(self._key)
        if self._scenario.mode == "dual":
            each += _SIGN_IN_SECONDS
        if self._scenario.mode == "outside":
            each += 0.002
        return self._scenario.load.sessions * (each + 0.00005) * 1.5 + 0.5

    async def clients(self, scenario: Scenario, begins_at: float) -> StormClients:
        """Return the tokens of all clients at the barrier, and those that must be refused."""
        run = self.expected.run
        if self._scenario.mode == "sliding":
            return await clients_by_key(self.token_source, scenario, begins_at, run)
        if self._scenario.mode == "outside":
            held = await self._fetch_all(scenario.load.sessions)
            probes = await self._fetch_probes(scenario, begins_at)
            return StormClients(begins_at=begins_at, credentials=tuple(held), probes=tuple(probes))
        by_key = TokenSource(
            jwks=self._spec.jwks, issuer=self._spec.issuer, audience=self._spec.audience
        )
        signed = signed_probes(by_key, scenario, begins_at, run)
        held, stored, dead = await self._sign_in_all(scenario, begins_at)
        return StormClients(
            begins_at=begins_at,
            credentials=tuple(held),
            refused=tuple(dead or refused_tokens(by_key, begins_at)),
            probes=(*signed, *stored),
        )

    async def _sign_in_all(
        self, scenario: Scenario, begins_at: float
    ) -> tuple[list[Credential], Sequence[Probe], Sequence[str]]:
        """Create the sessions in the store, with expired tokens if the scenario needs them.

        Returns the tokens of clients, probes, and refresh tokens of sessions that have ended.
        """
        age = self._spec.lifetime + 1 if scenario.is_expired_at_start() else 0.0
        now = begins_at - age
        sessions = build_sessions(self._spec, clock=lambda: now)

        def set_clock(instant: float) -> None:
            nonlocal now
            now = instant

        await sessions.start()
        held = []
        try:
            for index in range(scenario.load.sessions):
                now = begins_at - age + scenario.login_at(index)
                subject = subject_of(index)
                pair = await sessions.sign_in(
                    subject,
                    claims=claims_of(self.expected.run, subject),
                    scopes=(*self._storm.scopes, *scopes_of(subject)),
                )
                held.append(
                    Credential(
                        token=pair.access_token,
                        expires_at=pair.access_expires_at,
                        refresh_token=pair.refresh_token,
                        refresh_expires_at=pair.refresh_expires_at,
                        sequence=pair.sequence,
                        begins_at=begins_at + scenario.login_at(index),
                    )
                )
            run = self.expected.run
            probes = await stored_probes(scenario, sessions, set_clock, begins_at, run)
            dead = await dead_tokens(sessions) if scenario.forgeries == "dead" else ()
        finally:
            await sessions.close()
        return held, probes, dead

    async def _fetch_all(self, sessions: int) -> list[Credential]:
        gate = asyncio.Semaphore(_AT_ONCE)
        async with httpx2.AsyncClient(base_url=self._issuer_url, timeout=10) as client:

            async def fetch(index: int) -> Credential:
                async with gate:
                    now = time.time()
                    until = now + self._spec.lifetime * (1 + index / sessions) / 2
                    times = {"iat": now, "exp": until}
                    claims = {**identity_claims(self.expected.run, index), **times}
                    return Credential(token=await self._fetch(client, claims), expires_at=until)

            return list(await asyncio.gather(*map(fetch, range(sessions))))

    async def _fetch_probes(self, scenario: Scenario, begins_at: float) -> list[Probe]:
        planned = planned_probes(scenario, "expiring", "premature")
        async with httpx2.AsyncClient(base_url=self._issuer_url, timeout=10) as client:
            return [
                dataclasses.replace(probe, token=await self._fetch(client, claims))
                for probe in (dated(one, begins_at) for one in planned)
                for claims in [probe_claims(probe, scenario, self.expected.run)]
            ]

    async def _fetch(self, client: httpx2.AsyncClient, claims: Mapping[str, Any]) -> str:
        answer = await client.post("/token", json={"claims": claims})
        token: str = answer.raise_for_status().json()["token"]
        return token

    def samples(self) -> Sequence[ServerSample]:
        """Return the samples of the workers."""
        return [] if self._worker_pool is None else self._worker_pool.samples()

    def pids(self) -> Sequence[int]:
        """Return the processes of the workers."""
        return [] if self._worker_pool is None else self._worker_pool.pids

    def check(self) -> None:
        """Raise `ServerDiedError` if a worker has ended unexpectedly."""
        if self._worker_pool is not None:
            self._worker_pool.check()

    async def restart_workers(self, *, at_once: bool = False) -> None:
        """Replace the workers one by one, or all at once."""
        assert self._worker_pool is not None  # noqa: S101 - called while running
        await asyncio.to_thread(self._worker_pool.replace_all, at_once=at_once)

    async def store_down(self) -> None:
        """Make the store unreachable."""
        await self._store.shut()

    async def store_up(self) -> None:
        """Make the store reachable again."""
        await self._store.open()

    async def fail_over(self) -> None:
        """Let a replica take over from the store's server."""
        await self._store.fail_over()

    async def set_clock(self, ahead: float) -> None:
        """Set the clock of the first worker."""
        if not self._clock:
            raise ConfigurationError(
                [f"{self._scenario.name} sets a worker's clock, expected steps_clock = True"]
            )
        set_offset(Path(self._clock), ahead)

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Send a command to the outside issuer; return its response."""
        async with httpx2.AsyncClient(base_url=self._issuer_url, timeout=10) as client:
            answer = await client.post("/control", json=command)
            state: Mapping[str, Any] = answer.raise_for_status().json()
            return state

    async def issuer_requests(self) -> int | None:
        """Return the number of fetches from the issuer; None without one."""
        if not self._issuer_url:
            return None
        async with httpx2.AsyncClient(base_url=self._issuer_url, timeout=10) as client:
            counts: dict[str, int] = (await client.get("/counts")).raise_for_status().json()
            return sum(counts.values())


def _bits(storm: StormConfig) -> int:
    if storm.alg.startswith(("RS", "PS")):
        return storm.bits
    return int(storm.alg[-3:]) if storm.alg[-3:].isdigit() else 256
