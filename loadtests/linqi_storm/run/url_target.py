"""A running deployment as a target: nothing of it is started, sampled or mistreated."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
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
from linqi_storm.clients.unverified_claims import life_of
from linqi_storm.run.targets import refused_tokens, sign_sliding, signing_pace
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import Credential, StormLogin, TokenSource, TokenTransport
from linqi_storm.schema.results import Target

__all__ = ["UrlTarget", "at_barrier", "is_on_this_machine"]

_AT_ONCE: Final = 16
_LOGIN_SECONDS: Final = 0.1
"""A password hash at the other end, many at a time."""
_LIFE_TOLERANCE: Final = 1.1
_MANY: Final = 20
_LEAST_OF_MANY: Final = 2 / 3
"""Of the lifetime; the longest first token of 20 sessions on a grid falls short of it once in
3,000 times at most."""


def is_on_this_machine(url: str) -> bool:
    """Tell whether a URL names a loopback host."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def at_barrier(
    held: Sequence[Credential], scenario: Scenario, begins_at: float
) -> tuple[Credential, ...]:
    """Give what the clients hold when they come.

    `ConfigurationError` where that is not what the storm reckons with: tokens of another life, or
    no refresh tokens.
    """
    load = scenario.load
    longest = max(life_of(each.token.encode(), time.time()) for each in held)
    # On a grid the first token of a session is shorter, by chance.
    least = load.lifetime * _LEAST_OF_MANY if len(held) >= _MANY else load.buffer
    if not least <= longest <= load.lifetime * _LIFE_TOLERANCE:
        raise ConfigurationError(
            [
                f"the login gives tokens of {longest:g} s, and the storm reckons with"
                f" {load.lifetime:g}: say the lifetime and the buffer of the servers"
            ]
        )
    if scenario.mode == "dual" and not all(each.refresh_token for each in held):
        raise ConfigurationError(
            [f"{scenario.name} needs refresh tokens, and the login's answer holds none"]
        )
    is_expired = scenario.is_expired_at_start()
    return tuple(
        replace(
            each,
            # Clients of a rush take their tokens for expired and refresh at once.
            expires_at=begins_at - 1 if is_expired else each.expires_at,
            begins_at=begins_at + scenario.login_at(index),
        )
        for index, each in enumerate(held)
    )


class UrlTarget:
    """Clients of a service that runs already, with its signing key or its login endpoint."""

    def __init__(self, storm: StormConfig, scenario: Scenario) -> None:
        if faults := [*_faults(storm, scenario)]:
            raise ConfigurationError(faults)
        self._storm = storm
        self._scenario = scenario
        self.url = storm.url.rstrip("/")
        self.transport = _transport(storm)
        self.token_source = _token_source(storm)

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[UrlTarget]:
        """Do nothing: it runs."""
        yield self

    def describe(self) -> Target:
        """Tell what is known of it."""
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
        """Estimate how long `clients` will take."""
        sessions = self._scenario.load.sessions
        if self._storm.key:
            return sessions * 1.5 * signing_pace(KeySet.load(self._storm.key).signing_key()) + 0.5
        return sessions * _LOGIN_SECONDS / _AT_ONCE * 1.5 + 1

    async def clients(
        self, scenario: Scenario, begins_at: float
    ) -> tuple[Sequence[Credential], Sequence[str]]:
        """Sign the tokens, or sign everybody in."""
        login = self.token_source.login
        if login is None:
            held = await sign_sliding(self.token_source, scenario, begins_at)
            return held, refused_tokens(self.token_source, begins_at)
        gate = asyncio.Semaphore(_AT_ONCE)
        async with httpx2.AsyncClient(timeout=30) as client:

            async def sign_in(index: int) -> Credential:
                async with gate:
                    return await self._sign_in(client, login, index)

            held = await asyncio.gather(*map(sign_in, range(scenario.load.sessions)))
        return at_barrier(held, scenario, begins_at), ()

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

    def samples(self) -> Sequence[ServerSample]:
        """Give nothing: its workers are not ours."""
        return ()

    def check(self) -> None:
        """Nothing of ours can have ended."""

    async def restart_workers(self) -> None:
        """Refuse."""
        _refuse("restart its workers")

    async def store_down(self) -> None:
        """Refuse."""
        _refuse("shut its store")

    async def store_up(self) -> None:
        """Refuse."""
        _refuse("open its store")

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Refuse."""
        _refuse("command its issuer")

    async def issuer_requests(self) -> int | None:
        """Give None: nobody counts them."""
        return None


def _faults(storm: StormConfig, scenario: Scenario) -> Iterator[str]:
    for url in (storm.url, storm.login.url if storm.login else storm.url):
        if urlsplit(url).scheme not in ("http", "https"):
            yield f"{url!r} is no http(s) URL"
        elif not is_on_this_machine(url) and not storm.is_own_host:
            yield (
                f"{url} is not on this machine; a storm is an attack on a host that is not yours."
                " If it is, say so by --i-own-this-host"
            )
    if bool(storm.key) == bool(storm.login):
        yield "--url needs --key (with --issuer and --audience) or --login, one of them"
    if storm.key and not (storm.issuer and storm.audience):
        yield "--key needs --issuer and --audience"
    if scenario.mode == "dual" and storm.key:
        yield f"{scenario.name} needs refresh tokens: give --login"
    if scenario.mode == "outside" or scenario.embedded == "naive":
        yield f"{scenario.name} has servers of its own; leave --url out"


def _token_source(storm: StormConfig) -> TokenSource:
    if storm.key:
        return TokenSource(
            jwks=str(storm.key),
            issuer=storm.issuer,
            audience=storm.audience,
            policy=storm.policy,
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
    raise ConfigurationError([f"the scenario wants to {what}, which is not ours with --url"])
