"""Claims and verifiers, most of them at one instant, for tests of the verification."""

from typing import Any

from linqi import Key, KeySet, Signer, TrustedIssuer, Verified, Verifier
from linqi.errors import Unavailable, UnknownKey
from linqi.testing import encode_token as make

__all__ = [
    "AUDIENCE",
    "ISSUER",
    "NOW",
    "good_claims",
    "make",
    "signer_of",
    "verified",
    "verifier_of",
]

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


def verifier_of(key: Key, **options: Any) -> Verifier:
    """Return a verifier of `ISSUER` whose clock stands at `NOW` unless told otherwise."""
    trusted = {
        name: options.pop(name)
        for name in (
            *("types", "require_type", "required_claims", "scope_claims", "audience", "own"),
        )
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


async def verified(verifier: Verifier, token: str | bytes) -> Verified:
    """Verify as the middleware does: at once, or after a fetch that may bring the key."""
    try:
        return verifier.verify(token)
    except (UnknownKey, Unavailable):
        if not await verifier.fetch_key(token):
            raise
    return verifier.verify(token)


def signer_of(key: Key) -> Signer:
    """Return a signer in the name of `ISSUER`."""
    return Signer(key, issuer=ISSUER, audience=AUDIENCE)
