"""Tokens for tests, well and badly made."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Any, Final, Protocol

from linqi import _base64url
from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose.key import Key
from linqi.jose.keys import KeySet
from linqi.jose.signer import Signer
from linqi.sessions.renewal import RenewalSettings
from linqi.testing.faults import CannotTest
from linqi.testing.parts import Parts, parts_of

__all__ = ["TokenMaker", "claims_at", "encode_token", "make_token", "settings_of", "signer_of"]

_TYPE: Final = "at+jwt"


class TokenMaker(Protocol):
    """Makes tokens of its own, as a `FakeIssuer` does."""

    def token(
        self,
        subject: str,
        *,
        scopes: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        near_expiry: bool = False,
        expired: bool = False,
    ) -> str:
        """Return a token for `subject`."""
        ...


def make_token(
    by: object,
    subject: str = "alice",
    *,
    scopes: Sequence[str] = (),
    claims: Mapping[str, Any | EllipsisType] | None = None,
    near_expiry: bool = False,
    expired: bool = False,
    clock: Callable[[], float] | None = None,
) -> str:
    """Return a token as an application's own keys sign it, with whatever claims a test needs.

    Args:
        by: Whose keys sign: an application with the middleware, a client of one, a `Signer`, or a
            `FakeIssuer`.
        subject: The ``sub``.
        scopes: The ``scope``.
        claims: Added, or instead of what the token would have; ``...`` leaves one out. They are
            not checked: ``{"aud": "other"}`` makes a token that is refused.
        near_expiry: Whether half of the buffer is left, so that a response carries its successor.
        expired: Whether it expired a second ago.
        clock: Returns Unix seconds; by default the clock of `by`.

    Raises:
        CannotTest: `by` has no key that can sign.
        ConfigurationError: `near_expiry` and `expired` contradict each other.

    """
    if hasattr(by, "token") and not isinstance(by, Signer):
        maker: TokenMaker = by
        return maker.token(
            subject, scopes=scopes, claims=claims, near_expiry=near_expiry, expired=expired
        )
    if isinstance(by, Signer):
        signer, settings, own_clock = by, RenewalSettings(), by.clock
    else:
        signer, settings, own_clock = _found(by)
    now = (clock or own_clock)()
    content = claims_at(
        now,
        subject,
        settings,
        scopes=scopes,
        claims={"iss": signer.issuer, "aud": signer.audience} | dict(claims or {}),
        near_expiry=near_expiry,
        expired=expired,
    )
    return encode_token(signer.keys.signing_key(now), content)


def claims_at(
    now: float,
    subject: str,
    settings: RenewalSettings,
    *,
    scopes: Sequence[str],
    claims: Mapping[str, Any],
    near_expiry: bool,
    expired: bool,
) -> dict[str, Any]:
    """Return the claims of a sliding session's token at `now`, overridden by `claims`."""
    if near_expiry and expired:
        raise ConfigurationError(["near_expiry and expired are both true: pass one of them"])
    left = settings.buffer / 2 if near_expiry else -1.0 if expired else settings.lifetime
    ends = int(now + left)
    begun = int(ends - settings.lifetime)
    session = secrets.token_urlsafe(16)
    content: dict[str, Any] = {
        "sub": subject,
        "sid": session,
        "auth_time": begun,
        "session_end": settings.session_end(session, begun),
        "iat": begun,
        "exp": ends,
        "jti": secrets.token_urlsafe(16),
    }
    if scopes:
        content["scope"] = " ".join(scopes)
    return {name: value for name, value in (content | dict(claims)).items() if value is not ...}


def encode_token(
    key: Key,
    claims: Mapping[str, Any] | bytes,
    header: Mapping[str, Any] | bytes | None = None,
) -> str:
    """Sign exactly `claims` under exactly `header`, right or wrong.

    Args:
        key: The private key.
        claims: The payload; bytes are taken as they are.
        header: The protected header; None for that of a token of `Signer`.

    """
    if header is None:
        header = {"alg": key.alg, "kid": key.kid, "typ": _TYPE}
    parts = [part if isinstance(part, bytes) else _as_json(part) for part in (header, claims)]
    data = b".".join(_base64url.encode(part) for part in parts)
    return (data + b"." + _base64url.encode(key.sign(data))).decode()


def signer_of(parts: Parts) -> Signer:
    """Return the application's own signer, or one of the private keys that it verifies with.

    Raises:
        CannotTest: It has none.

    """
    service = parts.renewal or parts.sessions
    if service is not None:
        return service.signer
    for trusted in parts.verifier.issuers:
        audience = trusted.audience
        if not isinstance(trusted.keys, KeySet) or not isinstance(audience, (str, Sequence)):
            continue
        first = audience if isinstance(audience, str) else audience[0]
        try:
            trusted.keys.signing_key()
        except InvalidKey:
            continue
        return Signer(trusted.keys, issuer=trusted.issuer, audience=first)
    raise CannotTest(
        "the application has no private key, because other services issue its tokens: attach a"
        " FakeIssuer (the fixture linqi_issuer) in their place"
    )


def settings_of(parts: Parts) -> RenewalSettings:
    """Return the settings by which the application's tokens live."""
    if parts.renewal is not None:
        return parts.renewal.settings
    return RenewalSettings() if parts.sessions is None else parts.sessions.access


def _found(by: object) -> tuple[Signer, RenewalSettings, Callable[[], float]]:
    parts = parts_of(by)
    return signer_of(parts), settings_of(parts), parts.verifier.clock


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
