"""The keys and the tokens that all rivals are given alike."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from rivals.material import AUDIENCE, ISSUER, KID, TENANT, Material

__all__ = ["TOKEN_BYTES", "Mint", "typical_claims"]

TOKEN_BYTES: Final = 800


def typical_claims(**others: Any) -> dict[str, Any]:
    """Return the claims of a session's access token, with a subject of its own; None leaves out.

    ``type`` is there because AuthX requires it; no other rival reads it.
    """
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"00000000-0000-4000-8000-{secrets.token_hex(6)}",
        "exp": now + 86_000,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "sid": secrets.token_urlsafe(16),
        "type": "access",
        "tenant": TENANT,
        "scope": "openid profile email orders:read orders:write",
        **others,
    }
    return {name: value for name, value in claims.items() if value is not None}


class Mint:
    """Signs tokens with a fresh key of one algorithm."""

    def __init__(self, alg: str) -> None:
        self._key = _fresh_key(alg)
        self._fill = 0
        secret = self._key if isinstance(self._key, str) else ""
        self.material = Material(
            alg=alg,
            algorithms=(alg,),
            secret=secret,
            public_pem="" if secret else _public_pem(self._key),
            private_pem="" if secret else _private_pem(self._key),
        )
        self._fill = (TOKEN_BYTES - len(self.token()) - 14) * 3 // 4

    def token(self, claims: Mapping[str, Any] | None = None, **header: Any) -> str:
        """Sign typical claims, padded to about `TOKEN_BYTES`; `header` adds members."""
        chosen = typical_claims() if claims is None else claims
        if self._fill > 0:
            chosen = {**chosen, "name": "n" * self._fill}
        return jwt.encode(
            dict(chosen), self._key, self.material.alg, headers={"kid": KID, **header}
        )

    def sign_text(self, header: str, payload: str) -> str:
        """Sign JSON texts as they are, which no library would write so."""
        data = f"{encoded(header.encode())}.{encoded(payload.encode())}"
        algorithm = jwt.get_algorithm_by_name(self.material.alg)
        signature = algorithm.sign(data.encode(), algorithm.prepare_key(self._key))
        return f"{data}.{encoded(signature)}"

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK."""
        algorithm = jwt.get_algorithm_by_name(self.material.alg)
        public = algorithm.prepare_key(self.material.public_pem)
        return dict(json.loads(algorithm.to_jwk(public)))


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _fresh_key(alg: str) -> Any:
    if alg == "HS256":
        return secrets.token_hex(32)
    if alg == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def _public_pem(key: Any) -> str:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode("ascii")


def _private_pem(key: Any) -> str:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode("ascii")
