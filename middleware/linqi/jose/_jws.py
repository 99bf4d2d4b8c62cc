"""The door to cryptography and PyJWT: sign bytes, verify bytes, read secrets and PEMs.

PyJWT decides whether a secret is another kind of key, and is imported for the first that may be
one: with it come ``ssl``, ``urllib`` and X.509, half of the time of ``import jwt``.

Exceptions of the libraries become `InvalidKey` for key material that cannot be read, and
`SigningError` for a signature that cannot be made. A checker raises as the libraries do; its one
caller, `linqi.jose.key.Key.verify`, takes any exception for a wrong signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from linqi.errors import InvalidKey, SigningError
from linqi.jose import _jwk

__all__ = ["ALGORITHMS", "Algorithm", "algorithm"]

Checker: TypeAlias = Callable[..., object]
KeyType = Literal["oct", "RSA", "EC", "OKP"]
_PRIVATE = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)
_HASHES: Final[dict[int, Callable[[], hashes.HashAlgorithm]]] = {
    32: hashes.SHA256,
    48: hashes.SHA384,
    64: hashes.SHA512,
}
_PUBLIC = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
)

_EDWARDS: Final[dict[str, tuple[type, ...]]] = {
    "EdDSA": (*_PRIVATE[2:], *_PUBLIC[2:]),
    "Ed25519": (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey),
    "Ed448": (ed448.Ed448PrivateKey, ed448.Ed448PublicKey),
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm of RFC 7518, section 3.1, RFC 8037 or RFC 9864, section 2.2.

    ``material`` in the methods is bytes for HMAC, else a key object of the cryptography library.
    """

    name: str
    kty: KeyType
    curve: type[ec.EllipticCurve] | None
    hash_bytes: int

    def generate(self, size: int) -> Any:
        """Return new asymmetric key material; `size` is in bits and used for RSA only."""
        if self.kty == "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=size)
        if self.curve is not None:
            return ec.generate_private_key(self.curve())
        if self.name == "Ed448":
            return ed448.Ed448PrivateKey.generate()
        return ed25519.Ed25519PrivateKey.generate()

    def read_secret(self, secret: bytes) -> Any:
        """Return `secret` for an HMAC; `InvalidKey` for another kind of key (CVE-2022-29217)."""
        if not _may_be_key(secret):
            return secret
        try:
            return _pyjwt(self.name).prepare_key(secret)
        except Exception as error:  # noqa: BLE001 - one door (V17)
            raise InvalidKey(f"{self.name}: {error}") from None

    def read_pem(self, pem: bytes, password: bytes | None) -> Any:
        """Return the key of one PEM block, or of a certificate, and check its type and curve."""
        if pem.startswith(b"-----BEGIN CERTIFICATE"):
            from linqi.jose._certificate import public_key_of

            material, _ = public_key_of(pem)
        else:
            material = self._load_pem(pem, password)
        if _type_of(material) != self.kty:
            raise InvalidKey(
                f"the PEM is a key of type {_type_of(material)}, {self.name} needs {self.kty}"
            )
        self.check_curve("PEM", material)
        return material

    def _load_pem(self, pem: bytes, password: bytes | None) -> Any:
        try:
            # Imported where it is used: 9 ms of 170 until the first request of a process.
            from cryptography.hazmat.primitives.serialization import (
                load_pem_private_key,
                load_pem_public_key,
            )

            if b"PRIVATE KEY-----" in pem:
                return load_pem_private_key(pem, password)
            return load_pem_public_key(pem)
        except Exception as error:  # noqa: BLE001 - one door (V17)
            raise InvalidKey(
                f"the PEM cannot be read ({type(error).__name__}: {error});"
                f" give a PKCS#8, PKCS#1 or SEC1 private key or a public key of type {self.kty}"
            ) from None

    def read_jwk(self, jwk: dict[str, Any]) -> Any:
        """Return the material of a JWK of this type; `InvalidKey` if it is none for this curve."""
        try:
            material = _jwk.read_material(jwk)
        except Exception as error:  # noqa: BLE001 - one door (V17)
            raise InvalidKey(f"the JWK is not a key for {self.name}: {error}") from None
        self.check_curve("JWK", material)
        return material

    def sign(self, data: bytes, material: Any) -> bytes:
        """Return the JWS signature of `data`; ECDSA is deterministic (RFC 6979).

        Two workers that sign the same successor therefore make the same token.
        """
        try:
            if self.kty == "oct":
                return hmac.digest(material, data, f"sha{8 * self.hash_bytes}")
            if self.curve is None:
                signature: bytes = material.sign(data, *self._rsa_arguments())
                return signature
            scheme, width = _ecdsa_signing(self.curve, self.hash_bytes)
            r, s = decode_dss_signature(material.sign(data, scheme))
            return r.to_bytes(width, "big") + s.to_bytes(width, "big")
        except Exception as error:
            raise SigningError(f"{self.name}: {type(error).__name__}") from error

    def checker(self, material: Any) -> tuple[Checker, tuple[Any, ...]]:
        """Return a function of signature and data that raises if the signature is wrong.

        Also its further arguments. Objects that do not change between calls are made here: a check
        through PyJWT's objects takes 0.3 us more, for ECDSA 4.
        """
        public = public_material(material)
        if self.kty == "oct":
            return _hmac_checker(public, f"sha{8 * self.hash_bytes}"), ()
        if self.curve is not None:
            return _ecdsa_checker(public, ec.ECDSA(self._hash())), ()
        if isinstance(public, ed25519.Ed25519PublicKey):
            from linqi.jose._ed25519 import ed25519_checker

            return ed25519_checker(public), ()
        return public.verify, self._rsa_arguments()

    def check_curve(self, form: str, material: Any) -> None:
        """Raise `InvalidKey` if the curve of `material`, read from a `form`, is another one."""
        if self.curve is not None and not isinstance(material.curve, self.curve):
            raise InvalidKey(
                f"the {form} is not a key for {self.name}: its curve is {material.curve.name},"
                f" expected {self.curve.name}"
            )
        if self.kty == "OKP" and not isinstance(material, _EDWARDS[self.name]):
            raise InvalidKey(
                f"the {form} is not a key for {self.name}: it is of another type or curve"
            )

    def _hash(self) -> hashes.HashAlgorithm:
        return _HASHES[self.hash_bytes]()

    def _rsa_arguments(self) -> tuple[Any, ...]:
        """Return the padding and the hash that RSA keys take to sign and verify; EdDSA has none."""
        if self.kty == "OKP":
            return ()
        function = self._hash()
        return _pss(function) if self.name.startswith("PS") else padding.PKCS1v15(), function


@cache
def _ecdsa_signing(curve: type[ec.EllipticCurve], hash_bytes: int) -> tuple[ec.ECDSA, int]:
    """Return what signs with ECDSA, and the bytes of each half of a signature.

    Made once: making it for each signature took 1.5 % of the time of a served refresh.
    """
    scheme = ec.ECDSA(_HASHES[hash_bytes](), deterministic_signing=True)
    return scheme, (curve().key_size + 7) // 8


def _may_be_key(secret: bytes) -> bool:
    """Return whether `secret` is empty or has what every PEM, SSH key, DER or JWK has.

    DER begins with the tag of a sequence, ``0``, and has tags below 32 in it. JSON with a member
    has a quote and a colon, in each of its encodings.
    """
    return (
        not secret
        or b"----" in secret
        or secret.startswith((b"ssh-", b"ecdsa-"))
        or (secret.startswith(b"0") and min(secret) < 32)
        or set(b'":') <= set(secret)
    )


@cache
def _pyjwt(name: str) -> Any:
    """Return PyJWT's implementation of an algorithm."""
    import jwt.algorithms

    return jwt.algorithms.get_default_algorithms()[name]


def _hmac_checker(secret: bytes, name: str) -> Checker:
    """Return a checker of HMACs, made of two hashes as RFC 2104, section 2, defines them.

    In a server, where other work has emptied the processor's caches, it takes a third of the time
    of an HMAC object: it runs the code that has just hashed, or will hash, the token.
    """
    inner, outer = hashlib.new(name), hashlib.new(name)
    short = secret if len(secret) <= inner.block_size else hashlib.new(name, secret).digest()
    block = short.ljust(inner.block_size, b"\0")
    inner.update(bytes(byte ^ 0x36 for byte in block))
    outer.update(bytes(byte ^ 0x5C for byte in block))

    def check(signature: bytes, data: bytes) -> None:
        message, mac = inner.copy(), outer.copy()
        message.update(data)
        mac.update(message.digest())
        if not hmac.compare_digest(mac.digest(), signature):  # in constant time (V18)
            raise ValueError("the MAC is another one")

    return check


def _ecdsa_checker(public: Any, scheme: ec.ECDSA) -> Checker:
    width = (public.curve.key_size + 7) // 8
    verify = public.verify

    def check(signature: bytes, data: bytes) -> None:
        # Two numbers of `width` bytes (RFC 7518, section 3.4). OpenSSL refuses a zero in either
        # (CVE-2022-21449).
        r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
        verify(encode_dss_signature(r, s), data, scheme)

    return check


def _pss(hash_function: hashes.HashAlgorithm) -> padding.PSS:
    """Return PSS padding with a salt as long as the hash (RFC 7518, section 3.5)."""
    return padding.PSS(padding.MGF1(hash_function), hash_function.digest_size)


def public_material(material: Any) -> Any:
    """Return the material that verifies: the public key, or the secret itself."""
    return material.public_key() if isinstance(material, _PRIVATE) else material


def can_sign(material: Any) -> bool:
    """Return whether `material` is a secret or a private key."""
    return not isinstance(material, _PUBLIC)


def _type_of(material: Any) -> str:
    """Return the ``kty`` of a key object, or the name of its class where JOSE has none for it."""
    types: dict[str, tuple[type, ...]] = {
        "RSA": (rsa.RSAPrivateKey, rsa.RSAPublicKey),
        "EC": (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey),
        "OKP": _EDWARDS["EdDSA"],
    }
    found = [kty for kty, classes in types.items() if isinstance(material, classes)]
    return found[0] if found else type(material).__name__


def rsa_numbers(material: Any) -> tuple[int, int]:
    """Return the modulus and the exponent of an RSA key."""
    numbers = public_material(material).public_numbers()
    return numbers.n, numbers.e


def signature_bytes(algorithm: Algorithm, material: Any) -> int:
    """Return the length of every signature of this key, in bytes."""
    if algorithm.kty == "oct":
        return algorithm.hash_bytes
    if algorithm.kty == "RSA":
        bits: int = public_material(material).key_size
        return (bits + 7) // 8
    if algorithm.curve is not None:
        return 2 * ((algorithm.curve().key_size + 7) // 8)
    return 64 if isinstance(public_material(material), ed25519.Ed25519PublicKey) else 114


def _table() -> dict[str, Algorithm]:
    rows: list[tuple[str, KeyType, type[ec.EllipticCurve] | None, int]] = [
        ("HS256", "oct", None, 32),
        ("HS384", "oct", None, 48),
        ("HS512", "oct", None, 64),
        ("RS256", "RSA", None, 32),
        ("RS384", "RSA", None, 48),
        ("RS512", "RSA", None, 64),
        ("PS256", "RSA", None, 32),
        ("PS384", "RSA", None, 48),
        ("PS512", "RSA", None, 64),
        ("ES256", "EC", ec.SECP256R1, 32),
        ("ES384", "EC", ec.SECP384R1, 48),
        ("ES512", "EC", ec.SECP521R1, 64),
        ("EdDSA", "OKP", None, 64),
        ("Ed25519", "OKP", None, 64),
        ("Ed448", "OKP", None, 64),
    ]
    return {row[0]: Algorithm(*row) for row in rows}


_BY_NAME: Final = _table()
ALGORITHMS: Final = tuple(_BY_NAME)
"""The names of all algorithms; ``none`` is not among them (RFC 8725, section 3.1)."""


def algorithm(name: str) -> Algorithm:
    """Return the algorithm with that exact name; `InvalidKey` if there is none."""
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidKey(f"unknown algorithm {name!r}; use one of {', '.join(ALGORITHMS)}")
    return found
