"""Tokens for tests, well and badly made."""

import json
from collections.abc import Mapping
from typing import Any

from linqi import Key, KeySet, Signer, TrustedIssuer, Verifier
from linqi._base64url import encode as encode_segment

ISSUER, AUDIENCE = "https://issuer.test", "api"
NOW = 1_800_000_000.25


def good_claims(**changes: Any) -> dict[str, Any]:
    """Return claims that are accepted at `NOW`, with `changes`; a change to ... leaves one out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "iat": int(NOW) - 10,
        "exp": int(NOW) + 600,
        "jti": "token-1",
        "sid": "session-1",
        "scope": "read write",
    } | changes
    return {name: value for name, value in claims.items() if value is not ...}


def make(
    key: Key,
    claims: Mapping[str, Any] | bytes,
    header: Mapping[str, Any] | bytes | None = None,
) -> str:
    """Sign exactly `claims` under exactly `header`; bytes are taken as they are."""
    if header is None:
        header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    parts = [part if isinstance(part, bytes) else _encode(part) for part in (header, claims)]
    data = b".".join(encode_segment(part) for part in parts)
    return (data + b"." + encode_segment(key.sign(data))).decode()


def verifier_of(key: Key, **options: Any) -> Verifier:
    """Return a verifier of `ISSUER` whose clock stands at `NOW` unless told otherwise."""
    trusted = {
        name: options.pop(name)
        for name in ("types", "require_type", "required_claims", "audience", "own")
        if name in options
    }
    return Verifier(
        TrustedIssuer(
            issuer=ISSUER,
            audience=trusted.pop("audience", AUDIENCE),
            keys=KeySet([key]),
            algorithms=[key.alg],
            **trusted,
        ),
        **{"clock": lambda: NOW} | options,
    )


def signer_of(key: Key) -> Signer:
    """Return a signer in the name of `ISSUER`."""
    return Signer(key, issuer=ISSUER, audience=AUDIENCE)


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
