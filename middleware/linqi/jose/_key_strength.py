"""The strength that keys must have (RFC 7518, section 3; RFC 8725, section 3.5)."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping
from functools import cache
from pkgutil import get_data
from typing import Any

from linqi.errors import InvalidKey
from linqi.jose._jws import Algorithm, public_material, rsa_numbers
from linqi.jose._pem import holds_pem
from linqi.jose._roca import has_roca_fingerprint

__all__ = ["check_material", "check_members", "is_known_secret"]

_LEAST_DISTINCT_BYTES = 8
"""A random 32-byte secret has about 30 distinct bytes; fewer than 8 is a pattern."""

_SEQUENCE = b"0"
"""The first byte of each key in DER; in base64 it begins with ``M``."""
_STANDARD = bytes.maketrans(b"-_", b"+/")


def check_material(algorithm: Algorithm, material: Any) -> None:
    """Raise `InvalidKey`, with the remedy, if key material is too weak for `algorithm`."""
    if algorithm.kty == "oct":
        _check_secret(algorithm, material)
    elif algorithm.kty == "RSA":
        _check_rsa(material)
    elif algorithm.kty == "OKP":
        _check_eddsa(public_material(material).public_bytes_raw())


def check_members(jwk: Mapping[str, Any]) -> None:
    """Raise `InvalidKey` if ``use`` or ``key_ops`` allow no signatures (RFC 7517, section 4)."""
    use = jwk.get("use", "sig")
    if use != "sig":
        raise InvalidKey(f"the JWK is for use {use!r}, expected 'sig'; give a signature key")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not {"sign", "verify"} & {str(o) for o in operations}:
        raise InvalidKey("the JWK's key_ops allow neither 'sign' nor 'verify'")


def is_known_secret(secret: bytes) -> bool:
    """Return whether `secret` is on a public list of known JWT secrets."""
    return hashlib.sha256(secret).hexdigest()[:16] in _known_digests()


def _check_secret(algorithm: Algorithm, secret: bytes) -> None:
    remedy = "make one with `linqi keygen` or secrets.token_bytes(64)"
    if holds_pem(secret):
        # Else anyone who has the public key could sign (fast-jwt, CVE-2026-34950).
        raise InvalidKey("the secret is a PEM key, perhaps with text around it; use Key.from_pem")
    if _is_bare_key(secret):
        raise InvalidKey(
            "the secret is an asymmetric key in base64 or DER, without the lines of a PEM around"
            " it; use Key.from_pem, and an algorithm that is no HMAC"
        )
    if b'"kty"' in secret:
        raise InvalidKey("the secret is the text of a JWK; use Key.from_jwk")
    if len(secret) < algorithm.hash_bytes:
        raise InvalidKey(
            f"the secret has {len(secret)} bytes, {algorithm.name} needs at least"
            f" {algorithm.hash_bytes} (RFC 7518, section 3.2); {remedy}"
        )
    if len(set(secret)) < _LEAST_DISTINCT_BYTES:
        raise InvalidKey(f"the secret repeats a handful of bytes; {remedy}")
    if is_known_secret(secret):
        raise InvalidKey(f"the secret is on a public list of known JWT secrets; {remedy}")


def _is_bare_key(secret: bytes) -> bool:
    """Return whether `secret` is a key or a certificate in DER, plain or in base64."""
    text = b"".join(secret.strip(b"\"'").split()).translate(_STANDARD)
    try:
        plain = binascii.a2b_base64(text + b"==") if text.startswith(b"M") else secret
    except binascii.Error:
        return False
    if not plain.startswith(_SEQUENCE):
        return False
    from linqi.jose._certificate import is_der_key

    return is_der_key(plain)


def _check_rsa(material: Any) -> None:
    modulus, exponent = rsa_numbers(material)
    bits = modulus.bit_length()
    if not 2048 <= bits <= 8192:
        raise InvalidKey(f"the RSA key has {bits} bits, expected 2048 to 8192 (RFC 7518, 3.3)")
    if exponent < 65537:
        raise InvalidKey(f"the RSA exponent is {exponent}, expected at least 65537")
    if has_roca_fingerprint(modulus):
        raise InvalidKey(
            "the RSA modulus was made by a faulty library, and its factors can be found"
            " (ROCA, CVE-2017-15361); make another key, outside the chip or card that made this one"
        )


def _check_eddsa(public: bytes) -> None:
    from linqi.jose._ed25519 import is_degenerate

    if len(public) == 32 and is_degenerate(public):  # Ed448 keys have 57 bytes
        raise InvalidKey(
            "the Ed25519 key is a point of small order, for which anyone can sign, or not in the"
            " canonical encoding (RFC 8032, section 5.1.3); make another key"
        )


@cache
def _known_digests() -> frozenset[str]:
    """Return the digests in ``weak_secrets.txt``, which names its source."""
    lines = (get_data("linqi.jose", "weak_secrets.txt") or b"").decode("ascii").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
