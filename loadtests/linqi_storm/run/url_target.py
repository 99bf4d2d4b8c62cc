"""A running deployment as a target: its servers are not started, sampled or disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import httpx2

from linqi import ConfigurationError, KeySet
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.login_endpoint import login_content, read_credential
from linqi_storm.clients.unverified_claims import lifetime_of
from linqi_storm.run.local_store import run_failover
from linqi_storm.run.probe_sessions import (
    DEAD_SESSIONS,
    clients_by_key,
    has_own_users,
    online_probes,
)
from linqi_storm.run.targets import lead_of, signing_pace
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.expectations import SAME_CLOCK, Expectations
from linqi_storm.schema.generator_plan import (
    Credential,
    StormClients,
    StormLogin,
    TokenSource,
    TokenTransport,
)
from linqi_storm.schema.results import Target
from linqi_storm.schema.stages import joins_at

__all__ = ["CLOCK_SECONDS", "LOGINS_AT_ONCE", "UrlTarget", "at_barrier", "is_on_this_machine"]

LOGINS_AT_ONCE: Final = 4
"""linqi's throttle counts a login until it is answered, and allows 5 of one name and address."""
_LOGIN_SECONDS: Final = 0.1
"""Estimated time of a login, with a password hash on the server."""
_LIFE_TOLERANCE: Final = 1.1
CLOCK_SECONDS: Final = 1.0
"""How far the clocks of two machines may differ."""
_MANY: Final = 20
_LEAST_OF_MANY: Final = 2 / 3
"""Share of the lifetime. Under the grid policy the longest first token of 20 sessions is shorter
with a probability of at most 1/3,000."""


def is_on_this_machine(url: str) -> bool:
    """Return whether a URL names a loopback host."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def at_barrier(
    held: Sequence[Credential], scenario: Scenario, begins_at: float
) -> tuple[Credential, ...]:
    """Return the tokens of the clients at the barrier.

    Raises:
        ConfigurationError: If the tokens have another lifetime than the storm expects, or the
            scenario needs refresh tokens and there are none.

    """
    load = scenario.load
    longest = max(lifetime_of(each.token.encode(), time.time()) for each in held)
    # Under the grid policy the first token of a session has a random, shorter lifetime.
    least = load.lifetime * _LEAST_OF_MANY if len(held) >= _MANY else load.buffer
    if not least <= longest <= load.lifetime * _LIFE_TOLERANCE:
        raise ConfigurationError(
            [
                f"the login returns tokens with a lifetime of {longest:g} s, expected"
                f" {load.lifetime:g} s: set --lifetime-seconds and --buffer-seconds to those of"
                " the servers"
            ]
        )
    if scenario.mode == "dual" and not all(each.refresh_token for each in held):
        raise ConfigurationError(
            [f"{scenario.name} needs refresh tokens, and the login's response has none"]
        )
    is_expired = scenario.is_expired_at_start()
    return tuple(
        replace(
            each,
            # Clients of a rush treat their tokens as expired and refresh at once.
            expires_at=begins_at - 1 if is_expired else each.expires_at,
            begins_at=begins_at + scenario.login_at(index),
        )
        for index, each in enumerate(held)
    )


class UrlTarget:
    """A service that already runs; clients use its signing key or its login endpoint."""

    def __init__(self, storm: StormConfig, scenario: Scenario) -> None:
        if faults := [*_faults(storm, scenario)]:
            raise ConfigurationError(faults)
        self._storm = storm
        self._scenario = scenario
        self.url = storm.url.rstrip("/")
        self.transport = _transport(storm)
        self.token_source = _token_source(storm)
        self.expected = Expectations(
            # With a login endpoint the claims of the sessions are the service's own.
            run=secrets.token_hex(4) if storm.key else "",
            has_grid=bool(storm.key) and storm.policy in ("grid", "plain"),
            period=scenario.load.period,
            held_lifetime=scenario.held_lifetime(),
            revocation_bound=scenario.revocation_bound,
            may_be_unavailable=scenario.may_be_unavailable,
            clock_error=SAME_CLOCK if is_on_this_machine(storm.url) else CLOCK_SECONDS,
        )

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[UrlTarget]:
        """Return a context manager that does nothing: the service runs."""
        yield self

    def describe(self) -> Target:
        """Return what is known of the service."""
        return Target(
            kind="url",
            name=self.url,
            mode=self._scenario.mode,
            policy=self._storm.policy if self._storm.key else "",
            algorithm=self._storm.alg if self._storm.key else "",
            key_bits=0,
            workers=0,
            store="",
        )

    def sign_in_seconds(self) -> float:
        """Return an estimate of the seconds that `clients` takes."""
        sessions = self._scenario.load.sessions
        if self._storm.key:
            return sessions * 1.5 * signing_pace(KeySet.load(self._storm.key).signing_key()) + 0.5
        return sessions * _LOGIN_SECONDS / LOGINS_AT_ONCE * 1.5 + 1

    async def clients(self, scenario: Scenario, begins_at: float) -> StormClients:
        """Sign the tokens, or sign all clients in at the login endpoint.

        The barrier waits for slow logins. Once more they would be other sessions, and a service
        that limits the sessions of a user would end those of the clients.
        """
        login = self.token_source.login
        if login is None:
            return await clients_by_key(self.token_source, scenario, begins_at, self.expected.run)
        gate = asyncio.Semaphore(LOGINS_AT_ONCE)
        async with httpx2.AsyncClient(timeout=30) as client:

            async def sign_in(index: int) -> Credential:
                async with gate:
                    return await self._sign_in(client, login, index)

            sessions = scenario.load.sessions
            held = await asyncio.gather(*map(sign_in, range(sessions)))
            planned = online_probes(scenario) if has_own_users(login) else ()
            others = await asyncio.gather(*(sign_in(n % sessions) for n in range(len(planned))))
            doomed = DEAD_SESSIONS if scenario.forgeries == "dead" else 0
            dead = await asyncio.gather(*(sign_in(n % sessions) for n in range(doomed)))
            for each in dead:
                await self._sign_out(client, each)
        probes = [
            replace(probe, refresh_token=held.refresh_token)
            for probe, held in zip(planned, others, strict=True)
        ]
        barrier = max(begins_at, math.ceil(time.time() + lead_of(scenario.load)))
        return StormClients(
            begins_at=barrier,
            credentials=at_barrier(held, scenario, barrier),
            refused=tuple(each.refresh_token for each in dead),
            probes=tuple(probes),
        )

    async def _sign_in(
        self, client: httpx2.AsyncClient, login: StormLogin, index: int
    ) -> Credential:
        content, media_type = login_content(login, index, {})
        headers = {**login.headers, "content-type": media_type}
        answer = await client.post(login.url, content=content, headers=headers)
        try:
            return read_credential(
                answer.raise_for_status().content, time.time(), login.token_field
            )
        except (httpx2.HTTPStatusError, ValueError) as error:
            raise ConfigurationError(
                [f"{login.url} answered {answer.status_code}: {error}"]
            ) from None

    async def _sign_out(self, client: httpx2.AsyncClient, held: Credential) -> None:
        url = self.url + self.transport.logout_path
        answer = await client.post(url, json={"refresh_token": held.refresh_token})
        if not answer.is_success:
            raise ConfigurationError([f"{url} answered {answer.status_code}, expected 2xx"])

    def samples(self) -> Sequence[ServerSample]:
        """Return none: its workers are not sampled."""
        return ()

    def pids(self) -> Sequence[int]:
        """Return no process: they are not known."""
        return ()

    def check(self) -> None:
        """Do nothing: no server was started."""

    async def restart_workers(self, *, at_once: bool = False) -> None:
        """Raise `ConfigurationError`."""
        _refuse("restart its workers")

    async def store_down(self) -> None:
        """Raise `ConfigurationError`."""
        _refuse("shut its store")

    async def store_up(self) -> None:
        """Raise `ConfigurationError`."""
        _refuse("open its store")

    async def fail_over(self) -> None:
        """Run the command of the storm.

        Raises:
            ConfigurationError: There is none, or it failed.

        """
        if not self._storm.failover_command:
            _refuse("let a replica take over: add --failover-command")
        await run_failover(self._storm.failover_command)

    async def set_clock(self, ahead: float) -> None:
        """Raise `ConfigurationError`."""
        _refuse("set the clock of a worker")

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Raise `ConfigurationError`."""
        _refuse("command its issuer")

    async def issuer_requests(self) -> int | None:
        """Return None: they are not counted."""
        return None


def _faults(storm: StormConfig, scenario: Scenario) -> Iterator[str]:
    for url in (storm.url, storm.login.url if storm.login else storm.url):
        if urlsplit(url).scheme not in ("http", "https"):
            yield f"{url!r} is not an http(s) URL"
        elif not is_on_this_machine(url) and not storm.is_own_host:
            yield (
                f"{url} is not on this machine; a storm is an attack on a host that is not yours."
                " If the host is yours, add --i-own-this-host"
            )
    if bool(storm.key) == bool(storm.login):
        yield "--url needs either --key (with --issuer and --audience) or --login"
    if storm.key and not (storm.issuer and storm.audience):
        yield "--key needs --issuer and --audience"
    yield from _stage_faults(storm, scenario)
    if scenario.mode == "dual" and storm.key:
        yield f"{scenario.name} needs refresh tokens: give --login"
    if storm.login and scenario.held_lifetime() != scenario.load.lifetime:
        yield f"{scenario.name} signs tokens of a former lifetime: give --key"
    if storm.login and scenario.forgeries == "dead" and not has_own_users(storm.login):
        yield f"{scenario.name} ends sessions: give the body of --login a {{n}}"
    if scenario.mode == "outside" or scenario.embedded == "naive":
        yield f"{scenario.name} starts servers of its own, expected no --url"


def _stage_faults(storm: StormConfig, scenario: Scenario) -> Iterator[str]:
    if storm.load.stages and storm.login and scenario.mode == "sliding":
        latest = joins_at(storm.load.stages, storm.load.sessions - 1)
        if latest >= storm.load.lifetime:
            yield (
                f"--stage lets sessions begin until second {latest:g}, and the tokens of --login,"
                f" fetched before the load, live {storm.load.lifetime:g} s: use --key"
            )


def _token_source(storm: StormConfig) -> TokenSource:
    if storm.key:
        return TokenSource(
            jwks=str(storm.key),
            issuer=storm.issuer,
            audience=storm.audience,
            policy=storm.policy,
            scopes=storm.scopes,
        )
    return TokenSource(login=storm.login)


def _transport(storm: StormConfig) -> TokenTransport:
    if storm.login is None:
        return TokenTransport(path=storm.path or "/me")
    return TokenTransport(
        path=storm.path or "/me",
        refresh_path=storm.login.refresh_path,
        logout_path=storm.login.logout_path,
    )


def _refuse(what: str) -> NoReturn:
    raise ConfigurationError([f"the scenario must {what}, which is not possible with --url"])
