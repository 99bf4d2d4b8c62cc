"""The public key in a certificate or a PEM, read by `cryptography` (RFC 5280, RFC 7468)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from linqi.errors import InvalidKey
from linqi.jose._jwk import public_members

__all__ = ["is_der_key", "public_jwk_of", "public_key_of", "write_public_pem"]

_BEGIN = b"-----BEGIN "


def public_key_of(pem: bytes) -> tuple[Any, float]:
    """Return the public key in a PEM with one certificate or public key, and when it ends.

    The signature of a certificate is not checked: the publisher vouches for it, as for a key
    without one.

    Returns:
        The key object, and the Unix seconds at which the certificate ends; infinite without one.

    Raises:
        InvalidKey: It is something else, or there are several. The message shows nothing of it.

    """
    if pem.count(_BEGIN) != 1:
        raise InvalidKey(f"the PEM has {pem.count(_BEGIN)} blocks, expected one")
    try:
        # Imported where it is used: X.509 takes 10 ms, and few issuers publish certificates.
        if b"-----BEGIN CERTIFICATE-----" in pem:
            from cryptography.x509 import load_pem_x509_certificate

            found = load_pem_x509_certificate(pem)
            return found.public_key(), found.not_valid_after_utc.timestamp()
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return load_pem_public_key(pem), math.inf
    except Exception as error:  # noqa: BLE001 - one door (V17)
        raise InvalidKey(
            f"the PEM is no certificate and no public key ({type(error).__name__})"
        ) from None


def public_jwk_of(pem: bytes) -> tuple[dict[str, str], float]:
    """Return the required members of the JWK of `public_key_of`, and when it ends."""
    material, ends_at = public_key_of(pem)
    try:
        return public_members(material), ends_at
    except Exception as error:
        raise InvalidKey(
            f"the PEM is a {type(material).__name__}, for which JOSE has no key type"
        ) from error


def is_der_key(data: bytes) -> bool:
    """Return whether `data` is a key, public or private, or a certificate in DER."""
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_der_public_key,
    )
    from cryptography.x509 import load_der_x509_certificate

    loaders: tuple[Callable[[], object], ...] = (
        lambda: load_der_public_key(data),
        lambda: load_der_private_key(data, None),
        lambda: load_der_x509_certificate(data),
    )
    for load in loaders:
        try:
            load()
        except Exception:  # noqa: BLE001, S112 - one door (V17)
            continue
        return True
    return False


def write_public_pem(material: Any) -> str:
    """Return the PEM of a public key object."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem: bytes = material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")
