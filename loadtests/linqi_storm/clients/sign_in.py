"""How a client gets the tokens of a new session: by a signing key or a login endpoint."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from linqi import KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.clients.http_connections import ConnectionPool, NoResponseError
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.login_endpoint import login_content, read_credential
from linqi_storm.schema.generator_plan import (
    Credential,
    GeneratorPlan,
    StormLogin,
    TokenSource,
    TokenTransport,
)
from linqi_storm.schema.policies import parse_policy

__all__ = ["SignIn", "sign_in_of"]


class SignIn(Protocol):
    """A source of the tokens of new sessions."""

    def sign_in(self) -> Credential:
        """Return the tokens of a new session.

        Raises:
            NoResponseError: If the endpoint does not return tokens.
            TimeoutError: If it does not respond in time.

        """
        ...


class _ByKey:
    """Signs tokens of sliding sessions with the key of the deployment, as its login does."""

    def __init__(
        self,
        source: TokenSource,
        *,
        lifetime: float,
        buffer: float,
        clock: Callable[[], float],
    ) -> None:
        settings = RenewalSettings(
            lifetime=lifetime,
            buffer=buffer,
            policy=parse_policy(source.policy),
            whole_seconds=lifetime >= 60,
        )
        signer = Signer(
            KeySet.load(Path(source.jwks)),
            issuer=source.issuer,
            audience=source.audience,
            clock=clock,
        )
        self._renewal = SlidingRenewal(signer, settings, clock=clock)
        self._numbers = itertools.count()

    def sign_in(self) -> Credential:
        """Return the first token of a new session."""
        issued = self._renewal.start(f"user-{next(self._numbers)}")
        return Credential(token=issued.token, expires_at=issued.expires_at)


class _ByEndpoint:
    """Sends requests to a login or token endpoint."""

    def __init__(
        self,
        login: StormLogin,
        claims_lifetime: float | None,
        *,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._login = login
        self._lifetime = claims_lifetime
        self._pool = ConnectionPool(login.url, timeout=timeout)
        parts = urlsplit(login.url)
        self._path = parts.path or "/"
        self._requests = RequestBuilder(f"{parts.scheme}://{parts.netloc}", TokenTransport())
        self._clock = clock
        self._numbers = itertools.count()

    def sign_in(self) -> Credential:
        """Return the tokens of a new session."""
        claims = {} if self._lifetime is None else {"exp": self._clock() + self._lifetime}
        content, media_type = login_content(self._login, next(self._numbers), claims)
        request = self._requests.post(self._path, content, media_type, self._login.headers)
        response = self._pool.exchange(request)
        try:
            return read_credential(response.body, self._clock(), self._login.token_field)
        except ValueError as error:
            raise NoResponseError(f"the login answered {response.status}: {error}") from None


def sign_in_of(plan: GeneratorPlan) -> SignIn:
    """Return the source of tokens that `plan` names."""
    source, load = plan.token_source, plan.load
    if source.login is None:
        return _ByKey(source, lifetime=load.lifetime, buffer=load.buffer, clock=time.time)
    return _ByEndpoint(source.login, source.claims_lifetime, timeout=plan.timeout, clock=time.time)
