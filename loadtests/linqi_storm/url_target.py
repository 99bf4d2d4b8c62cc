"""A running deployment as a target: nothing of it is started, sampled or mistreated."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import httpx2

from linqi import ConfigurationError, KeySet
from linqi_storm.order import Order
from linqi_storm.plan import Carrier, Credential, Mint
from linqi_storm.results import Target
from linqi_storm.sampler import Sample
from linqi_storm.scenarios.base import Scenario
from linqi_storm.targets import mint_sliding, refused_tokens, signing_pace
from linqi_storm.unverified import expiry_of

__all__ = ["UrlTarget", "is_on_this_machine"]

_AT_ONCE: Final = 16
_LOGIN_SECONDS: Final = 0.1
"""A password hash at the other end, many at a time."""


def is_on_this_machine(url: str) -> bool:
    """Tell whether a URL names a loopback host."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class UrlTarget:
    """Clients of a service that runs already, with its signing key or its login endpoint."""

    def __init__(self, order: Order, scenario: Scenario) -> None:
        if faults := [*_faults(order, scenario)]:
            raise ConfigurationError(faults)
        self._order = order
        self._scenario = scenario
        self.url = order.url.rstrip("/")
        self.carrier = Carrier(path=order.path or "/me")
        self.mint = _mint(order)

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
            policy=self._order.policy if self._order.key else "",
            algorithm=self._order.alg if self._order.key else "",
            key_bits=0,
            workers=0,
            store="",
        )

    def people_seconds(self) -> float:
        """Estimate how long `people` will take."""
        sessions = self._scenario.size.sessions
        if self._order.key:
            return sessions * 1.5 * signing_pace(KeySet.load(self._order.key).signing_key()) + 0.5
        return sessions * _LOGIN_SECONDS / _AT_ONCE * 1.5 + 1

    async def people(
        self, scenario: Scenario, begins_at: float
    ) -> tuple[Sequence[Credential], Sequence[str]]:
        """Sign the tokens, or sign everybody in."""
        if self._order.key:
            held = await mint_sliding(self.mint, scenario, begins_at)
            return held, refused_tokens(self.mint, begins_at)
        gate = asyncio.Semaphore(_AT_ONCE)
        async with httpx2.AsyncClient(timeout=30) as client:

            async def sign_in(index: int) -> Credential:
                async with gate:
                    return await self._sign_in(client, index, begins_at)

            return await asyncio.gather(*map(sign_in, range(scenario.size.sessions))), ()

    async def _sign_in(
        self, client: httpx2.AsyncClient, index: int, begins_at: float
    ) -> Credential:
        body = {name: value.replace("{n}", str(index)) for name, value in self.mint.body.items()}
        answer = await client.post(self.mint.url, json=body, headers=dict(self.mint.headers))
        try:
            told = json.loads(answer.raise_for_status().content)
            token = str(told[self.mint.token_field])
        except (httpx2.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                [f"the login answered {answer.status_code} without a token: {error}"]
            ) from None
        is_expired = self._scenario.is_expired_at_start()
        return Credential(
            token=token,
            # Clients of a rush take their tokens for expired and refresh at once.
            expires_at=begins_at - 1 if is_expired else expiry_of(token.encode()),
            refresh_token=str(told.get("refresh_token", "")),
            refresh_expires_at=time.time() + float(told.get("refresh_token_timeout", 1e9)),
            sequence=int(told.get("sequence", 0)),
            begins_at=begins_at + self._scenario.login_at(index),
        )

    def samples(self) -> Sequence[Sample]:
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


def _faults(order: Order, scenario: Scenario) -> Iterator[str]:
    for url in (order.url, str(order.login.get("url", order.url))):
        if urlsplit(url).scheme not in ("http", "https"):
            yield f"{url!r} is no http(s) URL"
        elif not is_on_this_machine(url) and not order.is_own_host:
            yield (
                f"{url} is not on this machine; a storm is an attack on a host that is not yours."
                " If it is, say so by --i-own-this-host"
            )
    if bool(order.key) == bool(order.login):
        yield "--url needs --key (with --issuer and --audience) or --login, one of them"
    if order.key and not (order.issuer and order.audience):
        yield "--key needs --issuer and --audience"
    if scenario.mode == "dual" and order.key:
        yield f"{scenario.name} needs refresh tokens: give --login"
    if scenario.mode == "outside" or scenario.embedded == "naive":
        yield f"{scenario.name} has servers of its own; leave --url out"


def _mint(order: Order) -> Mint:
    if order.key:
        return Mint(
            jwks=str(order.key),
            issuer=order.issuer,
            audience=order.audience,
            policy=order.policy,
        )
    login = order.login
    return Mint(
        url=str(login["url"]),
        body=login.get("body", {}),
        token_field=login.get("token_field", "access_token"),
        headers=login.get("headers", {}),
    )


def _refuse(what: str) -> NoReturn:
    raise ConfigurationError([f"the scenario wants to {what}, which is not ours with --url"])
