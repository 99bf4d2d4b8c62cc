"""Keys and tokens of every algorithm, and their check by linqi, PyJWT and ``cryptography``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jwt
import pybase64
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linqi import Key, Signer, TrustedIssuer, VerifiedCache, Verifier

__all__ = [
    "AUDIENCE",
    "CASES",
    "ISSUER",
    "QUICK_CASES",
    "Block",
    "Case",
    "brief_claims",
    "typical_claims",
]

ISSUER: Final = "https://accounts.shop.example"
AUDIENCE: Final = "https://api.shop.example"

Block = Callable[[], None]
_SCOPES: Final = "openid profile email orders:read orders:write basket:read basket:write"
_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_CURVES: Final[dict[str, Callable[[], ec.EllipticCurve]]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
CASES: Final = (
    *("HS256", "HS384", "HS512"),
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("Ed25519", "Ed448"),
)
"""Every algorithm; the last two are the curves of EdDSA."""


QUICK_CASES: Final = ("HS256", "RS256", "ES256", "Ed25519")
"""The four that a quick run measures."""


def brief_claims(number: int = 0) -> dict[str, Any]:
    """Return the fewest claims that a verifier requires, distinct for each `number`."""
    now = int(time.time())
    names = {"iss": ISSUER, "aud": AUDIENCE, "sub": f"user-{number:08d}"}
    return names | {"exp": now + 86_000, "iat": now}


def typical_claims(number: int = 0, *, padding_characters: int = 0) -> dict[str, Any]:
    """Return the claims of a session's access token, distinct for each `number`."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"user-{number:08d}",
        "exp": now + 86_000,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "sid": secrets.token_urlsafe(16),
        "auth_time": now,
        "session_end": now + 28_800,
        "scope": _SCOPES,
    }
    return claims | {"name": "n" * padding_characters} if padding_characters else claims


@dataclass(frozen=True, slots=True)
class Case:
    """One algorithm with a fresh key."""

    name: str
    alg: str
    material: Any
    signer: Signer

    @classmethod
    def of(cls, name: str) -> Case:
        """Make the case `name` of `CASES`."""
        alg = "EdDSA" if name.startswith("Ed") else name
        material = _material(name)
        signer = Signer(Key(material, alg), issuer=ISSUER, audience=AUDIENCE)
        return cls(name, alg, material, signer)

    @property
    def public(self) -> Any:
        """The key object that verifies: the public key, or the secret."""
        return self.material if self.alg.startswith("HS") else self.material.public_key()

    @property
    def public_pem(self) -> str:
        """The public key as a PEM."""
        pem: bytes = self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode("ascii")

    def tokens(self, count: int, *, at_least_bytes: int = 0) -> list[bytes]:
        """Sign `count` distinct tokens, each padded to `at_least_bytes` or up to 2 more.

        Below the length of typical claims they have the fewest claims there are.
        """
        fill = 0
        if 0 < at_least_bytes < len(self.signer.sign(typical_claims())):
            return [self.signer.sign(brief_claims(number)).encode() for number in range(count)]
        if at_least_bytes:
            missing = at_least_bytes - len(self.signer.sign(typical_claims()))
            fill = max(0, missing * 3 // 4 - len(',"name":""') + 1)
        made = [typical_claims(number, padding_characters=fill) for number in range(count)]
        return [self.signer.sign(claims).encode() for claims in made]

    def verifier(self, cache: VerifiedCache | None) -> Verifier:
        """Return a verifier as an application sets it up, with `cache`."""
        trusted = TrustedIssuer(
            issuer=ISSUER,
            audience=AUDIENCE,
            keys=self.signer.keys,
            algorithms=[self.alg],
            types=("at+jwt",),
            require_type=True,
            own=True,
        )
        return Verifier(trusted, cache=cache)

    def ours(self, tokens: list[bytes], verifier: Verifier) -> Block:
        """Return a block that verifies each of `tokens` with linqi."""
        verify = verifier.verify

        def block() -> None:
            for token in tokens:
                verify(token)

        return block

    def pyjwt(self, tokens: list[bytes]) -> Block:
        """Return a block of PyJWT's `decode`: a prepared key object, iss, aud and exp checked."""
        key, algorithms, decode = self.public, [self.alg], jwt.decode

        def block() -> None:
            for token in tokens:
                decode(token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER)

        return block

    def raw(self, tokens: list[bytes]) -> Block:
        """Return a block that only checks the signatures, with ``cryptography``.

        Keys, paddings, hashes and decoded signatures are made beforehand. For HMAC the keyed
        context is prepared and copied, which is quicker than keying it anew.
        """
        if self.alg.startswith("HS"):
            return self._raw_hmac(tokens)
        verify = self.public.verify
        arguments = [
            (self._raw_signature(signature), data, *self._how())
            for data, signature in map(_halves, tokens)
        ]

        def block() -> None:
            for each in arguments:
                verify(*each)

        return block

    def raw_between(
        self, tokens: list[bytes], other: Callable[[bytes], object], others: list[bytes]
    ) -> Block:
        """Return a block that checks each signature as `raw` does, after one call of `other`."""
        pairs = [*zip((self.raw([token]) for token in tokens), others, strict=True)]

        def block() -> None:
            for raw, token in pairs:
                other(token)
                raw()

        return block

    def raw_sign(self, data: bytes, calls: int) -> Block:
        """Return a block that signs `data` `calls` times; ECDSA deterministically (RFC 6979)."""
        if self.alg.startswith("HS"):
            keyed = hmac.HMAC(self.material, _HASHES[self.alg[2:]]())

            def block() -> None:
                for _ in range(calls):
                    context = keyed.copy()
                    context.update(data)
                    context.finalize()

            return block
        sign, how = self.material.sign, self._how(signs=True)

        def asymmetric_block() -> None:
            for _ in range(calls):
                sign(data, *how)

        return asymmetric_block

    def _raw_hmac(self, tokens: list[bytes]) -> Block:
        keyed = hmac.HMAC(self.material, _HASHES[self.alg[2:]]())
        pairs = [*map(_halves, tokens)]

        def block() -> None:
            for data, signature in pairs:
                context = keyed.copy()
                context.update(data)
                context.verify(signature)

        return block

    def _raw_signature(self, signature: bytes) -> bytes:
        if not self.alg.startswith("ES"):
            return signature
        half = len(signature) // 2
        r, s = signature[:half], signature[half:]
        return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))

    def _how(self, *, signs: bool = False) -> tuple[Any, ...]:
        """Return the arguments of a raw call that name padding and hash."""
        if self.alg == "EdDSA":
            return ()
        hashing = _HASHES[self.alg[2:]]()
        if self.alg.startswith("RS"):
            return padding.PKCS1v15(), hashing
        if self.alg.startswith("PS"):
            return padding.PSS(padding.MGF1(hashing), hashing.digest_size), hashing
        return (ec.ECDSA(hashing, deterministic_signing=signs),)


def _material(name: str) -> Any:
    if name == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if name == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if name.startswith("HS"):
        return secrets.token_bytes(64)
    if name in _CURVES:
        return ec.generate_private_key(_CURVES[name]())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _halves(token: bytes) -> tuple[bytes, bytes]:
    """Return the signed bytes and the decoded signature."""
    data, _, signature = token.rpartition(b".")
    return data, pybase64.urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
