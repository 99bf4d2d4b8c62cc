"""How a client gets the tokens of a new session: by a signing key or a login endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from linqi import KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.login_endpoint import login_content, read_credential
from linqi_storm.clients.request_statistics import RequestStatistics
from linqi_storm.clients.wire_responses import NoResponseError
from linqi_storm.schema.generator_plan import (
    Credential,
    GeneratorPlan,
    StormLogin,
    TokenSource,
    TokenTransport,
)
from linqi_storm.schema.identity import claims_of, identity_claims, scopes_of, subject_of
from linqi_storm.schema.policies import parse_policy

__all__ = ["ReportedSignIn", "SignIn", "sign_in_of"]


class SignIn(Protocol):
    """A source of the tokens of new sessions."""

    path: str
    """Of the login endpoint; empty if tokens are signed without a request."""

    def sign_in(self, number: int) -> Credential:
        """Return the tokens of a new session of client `number`.

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
        whole_seconds: bool,
        run: str,
        clock: Callable[[], float],
    ) -> None:
        settings = RenewalSettings(
            lifetime=lifetime,
            buffer=buffer,
            policy=parse_policy(source.policy),
            whole_seconds=whole_seconds,
        )
        signer = Signer(
            KeySet.load(Path(source.jwks)),
            issuer=source.issuer,
            audience=source.audience,
            clock=clock,
        )
        self.path = ""
        self._renewal = SlidingRenewal(signer, settings, clock=clock)
        self._scopes = source.scopes
        self._run = run

    def sign_in(self, number: int) -> Credential:
        """Return the first token of a new session."""
        subject = subject_of(number)
        issued = self._renewal.start(
            subject,
            claims=claims_of(self._run, subject),
            scopes=(*self._scopes, *scopes_of(subject)),
        )
        return Credential(token=issued.token, expires_at=issued.expires_at)


class _ByEndpoint:
    """Sends requests to a login or token endpoint."""

    def __init__(
        self,
        login: StormLogin,
        claims_lifetime: float | None,
        *,
        run: str,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._login = login
        self._lifetime = claims_lifetime
        self._pool = ConnectionPool(login.url, timeout=timeout)
        parts = urlsplit(login.url)
        self.path = parts.path or "/"
        self._requests = RequestBuilder(f"{parts.scheme}://{parts.netloc}", TokenTransport())
        self._clock = clock
        self._run = run

    def sign_in(self, number: int) -> Credential:
        """Return the tokens of a new session."""
        claims = {}
        if self._lifetime is not None:
            claims = identity_claims(self._run, number)
            now = self._clock()
            claims |= {"iat": now, "exp": now + self._lifetime}
        content, media_type = login_content(self._login, number, claims)
        request = self._requests.post(self.path, content, media_type, self._login.headers)
        response = self._pool.exchange(request)
        try:
            return read_credential(response.body, self._clock(), self._login.token_field)
        except ValueError as error:
            raise NoResponseError(f"the login answered {response.status}: {error}") from None


class ReportedSignIn:
    """A `SignIn` whose requests are in the statistics.

    Args:
        source: Signs in.
        statistics: Receives the requests, if `source` sends some.
        now: Returns a time in seconds.

    """

    def __init__(
        self, source: SignIn, statistics: RequestStatistics, now: Callable[[], float]
    ) -> None:
        self.path = source.path
        self._source = source
        self._statistics = statistics
        self._now = now

    def sign_in(self, number: int) -> Credential:
        """Return the tokens of a new session, as `SignIn.sign_in`."""
        began, fault = self._now(), None
        try:
            return self._source.sign_in(number)
        except (NoResponseError, TimeoutError) as error:
            fault = error
            raise
        finally:
            if self.path:
                self._statistics.count("LOGIN", self.path, self._now() - began, None, fault)


def sign_in_of(plan: GeneratorPlan) -> SignIn:
    """Return the source of tokens that `plan` names."""
    source, load, run = plan.token_source, plan.load, plan.expected.run
    if source.login is None:
        return _ByKey(
            source,
            lifetime=load.lifetime,
            buffer=load.buffer,
            whole_seconds=load.whole_seconds,
            run=run,
            clock=time.time,
        )
    return _ByEndpoint(
        source.login, source.claims_lifetime, run=run, timeout=plan.timeout, clock=time.time
    )
