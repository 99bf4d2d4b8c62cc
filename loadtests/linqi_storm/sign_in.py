"""Where a client gets a token when it has to sign in again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from linqi import KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.courier import Courier
from linqi_storm.plan import Carrier, Credential, Mint
from linqi_storm.policies import parse_policy
from linqi_storm.unverified import expiry_of
from linqi_storm.wire import BrokenError, Wire

__all__ = ["ByEndpoint", "ByKey", "SignIn"]


class SignIn(Protocol):
    """Gives the tokens of a new session."""

    def sign_in(self) -> Credential:
        """Give them; `BrokenError` when that did not work."""
        ...


class ByKey:
    """Signs tokens of sliding sessions with the key of the deployment, as its login would."""

    def __init__(
        self, mint: Mint, *, lifetime: float, buffer: float, clock: Callable[[], float]
    ) -> None:
        settings = RenewalSettings(
            lifetime=lifetime,
            buffer=buffer,
            policy=parse_policy(mint.policy),
            whole_seconds=lifetime >= 60,
        )
        signer = Signer(
            KeySet.load(Path(mint.jwks)), issuer=mint.issuer, audience=mint.audience, clock=clock
        )
        self._renewal = SlidingRenewal(signer, settings, clock=clock)
        self._numbers = itertools.count()

    def sign_in(self) -> Credential:
        """Give the first token of a new session."""
        issued = self._renewal.start(f"user-{next(self._numbers)}")
        return Credential(token=issued.token, expires_at=issued.expires_at)


class ByEndpoint:
    """Asks a login or token endpoint."""

    def __init__(self, mint: Mint, *, timeout: float, clock: Callable[[], float]) -> None:
        self._mint = mint
        self._wire = Wire(mint.url, timeout=timeout)
        parts = urlsplit(mint.url)
        self._path = parts.path or "/"
        self._courier = Courier(f"{parts.scheme}://{parts.netloc}", Carrier())
        self._clock = clock
        self._numbers = itertools.count()

    def sign_in(self) -> Credential:
        """Give the tokens of a new session; ``{n}`` in the body becomes a rising number."""
        number = str(next(self._numbers))
        body: dict[str, Any] = {
            name: value.replace("{n}", number) for name, value in self._mint.body.items()
        }
        if self._mint.claims_lifetime is not None:
            body["claims"] = {"exp": self._clock() + self._mint.claims_lifetime}
        request = self._courier.post(self._path, body, self._mint.headers)
        answer = self._wire.exchange(request)
        try:
            told: dict[str, Any] = json.loads(answer.body)
            token = str(told[self._mint.token_field])
        except (ValueError, KeyError, TypeError):
            raise BrokenError(f"the login answered {answer.status}, without a token") from None
        return Credential(
            token=token,
            expires_at=expiry_of(token.encode()),
            refresh_token=str(told.get("refresh_token", "")),
            refresh_expires_at=self._clock() + float(told.get("refresh_token_timeout", 1e9)),
            sequence=int(told.get("sequence", 0)),
        )
