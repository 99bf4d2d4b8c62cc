"""Applications on this machine as a target, with their store or issuer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2

from linqi import ConfigurationError, Key, KeySet
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store
from linqi_report.processes import running
from linqi_report.servers import postgres, valkey
from linqi_storm.apps.embedded import AppSpec, build_sessions
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.apps.user_app import transport_of, user_config
from linqi_storm.outside.issuer import AUDIENCE
from linqi_storm.run.relay import Relay
from linqi_storm.run.targets import refused_tokens, sign_sliding, signing_pace
from linqi_storm.run.worker_pool import WorkerPool
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import Credential, StormLogin, TokenSource
from linqi_storm.schema.results import Target

__all__ = ["LocalTarget"]

_AT_ONCE: Final = 20
_SIGN_IN_SECONDS: Final = 0.0006
"""Estimated time of a sign-in at a store without its signature."""


class LocalTarget:
    """Workers that serve an embedded application, or the user's own with its linqi.toml."""

    def __init__(self, storm: StormConfig, scenario: Scenario) -> None:
        self._storm = storm
        self._scenario = scenario
        self._key = Key.generate(storm.alg, bits=storm.bits)
        self._worker_pool: WorkerPool | None = None
        self._relay: Relay | None = None
        self._lock: sqlite3.Connection | None = None
        self._database = Path()
        self._issuer_url = ""
        self._spec = AppSpec(kind=scenario.embedded, lifetime=1, buffer=0.1)
        self._config = user_config(storm, scenario) if storm.app else None
        self.url = ""
        self.transport = transport_of(self._config, storm.path)
        self.token_source = TokenSource()

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[LocalTarget]:
        """Return a context manager in which the workers serve, with files in `folder`."""
        kind, load, mode = self._scenario.embedded, self._scenario.load, self._scenario.mode
        KeySet([self._key]).save(folder / "key.json")
        KeySet([Key.generate("HS256")]).save(folder / "secret.json")
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(self._store(folder)) if mode == "dual" else ""
            issuer = stack.enter_context(self._issuer(folder)) if mode == "outside" else ""
            self._issuer_url = issuer
            spec = AppSpec(
                kind=kind,
                lifetime=load.lifetime,
                buffer=load.buffer,
                policy="plain" if kind == "naive" else self._storm.policy,
                jwks=str(folder / "key.json"),
                secret=str(folder / "secret.json"),
                password=secrets.token_urlsafe(16),
                store=store,
                workers=self._storm.workers,
                budget_per_second=self._storm.budget_per_second,
                algorithms=(self._storm.alg,),
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
            self._worker_pool = stack.enter_context(WorkerPool(self._spec, folder).running())
            self.url = self._worker_pool.url
            self.token_source = self._source_of_tokens(folder)
            yield self

    def _source_of_tokens(self, folder: Path) -> TokenSource:
        spec = self._spec
        if self._scenario.mode == "dual":
            body = {"username": "again-{n}", "password": spec.password}
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
        )

    @contextlib.contextmanager
    def _store(self, folder: Path) -> Iterator[str]:
        """Start the store and yield its URL, through a relay if the scenario needs one."""
        if self._storm.store == "sqlite":
            self._database = folder / "sessions.db"
            yield f"sqlite:{self._database}"
            return
        server = valkey if self._storm.store == "valkey" else postgres
        with contextlib.ExitStack() as stack:
            url = stack.enter_context(server())
            if self._scenario.shuts_store:
                self._relay = stack.enter_context(Relay(url))
                url = self._relay.url
            made = open_store(url)
            if isinstance(made, PostgresStore):
                asyncio.run(made.initialize())  # the workers do not create its schema
            yield url

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

    async def clients(
        self, scenario: Scenario, begins_at: float
    ) -> tuple[Sequence[Credential], Sequence[str]]:
        """Return the tokens of all clients at the barrier, and tokens that must be refused."""
        if self._scenario.mode == "outside":
            return await self._fetch_all(scenario.load.sessions), ()
        if self._scenario.mode == "dual":
            held = await self._sign_in_all(scenario, begins_at)
        else:
            held = await sign_sliding(self.token_source, scenario, begins_at)
        by_key = TokenSource(
            jwks=self._spec.jwks, issuer=self._spec.issuer, audience=self._spec.audience
        )
        return held, refused_tokens(by_key, begins_at)

    async def _sign_in_all(self, scenario: Scenario, begins_at: float) -> list[Credential]:
        """Create the sessions in the store, with expired tokens if the scenario needs them."""
        age = self._spec.lifetime + 1 if scenario.is_expired_at_start() else 0.0
        now = begins_at - age
        sessions = build_sessions(self._spec, clock=lambda: now)
        await sessions.store.start()
        held = []
        try:
            for index in range(scenario.load.sessions):
                now = begins_at - age + scenario.login_at(index)
                pair = await sessions.sign_in(f"user-{index}")
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
        finally:
            await sessions.store.close()
        return held

    async def _fetch_all(self, sessions: int) -> list[Credential]:
        gate = asyncio.Semaphore(_AT_ONCE)
        async with httpx2.AsyncClient(base_url=self._issuer_url, timeout=10) as client:

            async def fetch(index: int) -> Credential:
                async with gate:
                    until = time.time() + self._spec.lifetime * (1 + index / sessions) / 2
                    body = {"claims": {"sub": f"user-{index}", "exp": until}}
                    answer = await client.post("/token", json=body)
                    token = answer.raise_for_status().json()["token"]
                    return Credential(token=token, expires_at=until)

            return list(await asyncio.gather(*map(fetch, range(sessions))))

    def samples(self) -> Sequence[ServerSample]:
        """Return the samples of the workers."""
        return [] if self._worker_pool is None else self._worker_pool.samples()

    def check(self) -> None:
        """Raise `ServerDiedError` if a worker has ended unexpectedly."""
        if self._worker_pool is not None:
            self._worker_pool.check()

    async def restart_workers(self) -> None:
        """Replace the workers one by one."""
        assert self._worker_pool is not None  # noqa: S101 - called while running
        await asyncio.to_thread(self._worker_pool.replace_all)

    async def store_down(self) -> None:
        """Close the relay, or lock the SQLite database exclusively."""
        if not self._scenario.shuts_store:
            raise ConfigurationError(
                [f"{self._scenario.name} makes the store unreachable, expected shuts_store = True"]
            )
        if self._relay is not None:
            self._relay.shut()
            return

        def lock() -> sqlite3.Connection:
            made = sqlite3.connect(
                self._database, timeout=10, isolation_level=None, check_same_thread=False
            )
            made.execute("BEGIN EXCLUSIVE")
            return made

        self._lock = await asyncio.to_thread(lock)

    async def store_up(self) -> None:
        """Make the store reachable again."""
        if self._relay is not None:
            self._relay.open()
        if self._lock is not None:
            self._lock.rollback()
            self._lock.close()
            self._lock = None

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
