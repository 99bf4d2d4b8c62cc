"""Certificates for tests, as servers of key sets publish them."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from linqi import Key
from tokens import NOW


def certificate_of(key: Key, *, ends_at: float = NOW + 86_400) -> str:
    """Return a certificate (PEM) of the key, signed by itself and valid for 16 days."""
    return _certified(serialization.load_pem_private_key(_pem_of(key), None), ends_at)


def weak_certificate() -> str:
    """Return a certificate whose RSA key has 1,024 bits."""
    return _certified(rsa.generate_private_key(65537, 1024), NOW + 86_400)  # noqa: S505


def private_pem_of(key: Key) -> str:
    """Return the private key as PKCS#8 text, as no server should publish it."""
    return _pem_of(key).decode()


def _pem_of(key: Key) -> bytes:
    material: Any = key._material
    return bytes(
        material.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _certified(private: Any, ends_at: float) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.test")])
    end = datetime.datetime.fromtimestamp(ends_at, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(end - datetime.timedelta(days=16))
        .not_valid_after(end)
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
