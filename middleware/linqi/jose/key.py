"""A key: one algorithm and one key id for its whole life."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from linqi import _base64url
from linqi.errors import InvalidKey
from linqi.jose import _jwk, _jws, _key_strength
from linqi.jose._jws import ALGORITHMS
from linqi.jose._members import read_object, without_nulls
from linqi.jose._pem import key_block

__all__ = ["ALGORITHMS", "Key"]

_LONGEST_KID: Final = 256
_EDDSA_CURVES: Final = ("Ed25519", "Ed448")
"""Each is also the name of its own algorithm (RFC 9864, section 2.2)."""


class Key:
    """A key bound to one algorithm, and checked to be strong enough for it.

    A key is immutable, and its ``repr`` shows neither secret nor key material.

    Attributes:
        alg: The algorithm, for the whole life of the key.
        kid: The given key id, or the first 16 characters of ``thumbprint`` (RFC 7638).
        is_named: Whether the key id was given; one that was computed here is unknown to others.
        kty: ``oct``, ``RSA``, ``EC`` or ``OKP``.
        can_sign: Whether it is a secret or a private key.
        issuer: The member ``issuer`` of its JWK, by which a provider with many tenants says whose
            tokens it signs: those of one ``iss``, or of all, with a placeholder; None without one.
        signs_from: Unix seconds from which a key that was rotated in signs; it is published at
            once.
        published_until: Unix seconds after which it need not be published; None without an end.

    """

    __slots__ = (
        "_algorithm",
        "_arguments",
        "_check",
        "_material",
        "_public",
        "_width",
        "alg",
        "can_sign",
        "is_named",
        "issuer",
        "kid",
        "kty",
        "published_until",
        "signs_from",
    )

    alg: str
    kid: str
    kty: str
    can_sign: bool
    is_named: bool
    issuer: str | None
    signs_from: float
    published_until: float | None
    _algorithm: _jws.Algorithm
    _material: Any
    _public: Any
    _check: _jws.Checker
    _arguments: tuple[Any, ...]
    _width: int

    def __init__(
        self,
        material: Any,
        alg: str,
        *,
        kid: str | None = None,
        signs_from: float = 0,
        published_until: float | None = None,
        issuer: str | None = None,
    ) -> None:
        """Wrap `material` of the cryptography library; prefer the ``from_`` constructors.

        Raises:
            InvalidKey: The material is too weak for `alg`, or an argument is out of range.

        """
        put = object.__setattr__
        found = _jws.algorithm(alg)
        found.check_curve("material", material)
        _key_strength.check_material(found, material)
        put(self, "_algorithm", found)
        put(self, "_material", material)
        put(self, "_public", _jws.public_material(material))
        check, arguments = found.checker(material)
        put(self, "_check", check)
        put(self, "_arguments", arguments)
        put(self, "_width", _jws.signature_bytes(found, material))
        put(self, "alg", found.name)
        put(self, "kty", found.kty)
        put(self, "can_sign", _jws.can_sign(material))
        put(self, "is_named", kid is not None)
        put(self, "issuer", issuer)
        put(self, "kid", _checked_kid(kid) if kid is not None else self.thumbprint[:16])
        put(self, "signs_from", _checked_instant(signs_from, "signs_from"))
        if published_until is not None:
            _checked_instant(published_until, "published_until")
        put(self, "published_until", published_until)

    @classmethod
    def from_secret(cls, secret: bytes | str, alg: str = "HS256", *, kid: str | None = None) -> Key:
        """Return the key of an HMAC secret; a text counts as its UTF-8 bytes."""
        data = secret.encode() if isinstance(secret, str) else bytes(secret)
        return cls(_family(alg, "oct").read_secret(data), alg, kid=kid)

    @classmethod
    def from_pem(
        cls,
        pem: bytes | str,
        alg: str,
        *,
        kid: str | None = None,
        password: bytes | None = None,
    ) -> Key:
        r"""Return the key of a PEM, private or public or a certificate, for the algorithm `alg`.

        Of several certificates the first counts, and only where no key stands beside them. Its
        names, dates and signature decide nothing: the key is trusted because it was given here.
        Text around the key, quotes and literal ``\n``, as environment variables have them, are
        accepted.

        Raises:
            InvalidKey: It cannot be read, or is not for `alg`; the message says what is wrong.

        """
        family = _family(alg, "RSA", "EC", "OKP")
        data = key_block(pem.encode() if isinstance(pem, str) else bytes(pem))
        return cls(family.read_pem(data, password), alg, kid=kid)

    @classmethod
    def from_jwk(
        cls,
        jwk: Mapping[str, Any] | str | bytes,
        alg: str | None = None,
        *,
        kid: str | None = None,
    ) -> Key:
        """Return the key of a JWK (RFC 7517); members that are null count as absent.

        `alg` is required if the JWK has none, and must otherwise be the same.
        """
        members = without_nulls(read_object(jwk, "JWK"))
        _key_strength.check_members(members)
        named = members.get("alg", alg)
        if named is None:
            raise InvalidKey(
                "the JWK names no alg; pass alg=, for example one of " + ", ".join(ALGORITHMS)
            )
        if alg is not None and named != alg:
            raise InvalidKey(f"the JWK is for alg {named!r}, expected {alg!r}")
        found = _jws.algorithm(named)
        if members.get("kty") != found.kty:
            raise InvalidKey(f"the JWK has kty {members.get('kty')!r}, {named} needs {found.kty!r}")
        material = found.read_jwk(members)
        if found.kty == "oct":
            material = found.read_secret(material)
        return cls(
            material,
            named,
            kid=kid if kid is not None else members.get("kid"),
            signs_from=members.get("signs_from", 0),
            published_until=members.get("published_until"),
            # What is no text is the issuer of no tenant.
            issuer=str(members["issuer"]) if "issuer" in members else None,
        )

    @classmethod
    def generate(
        cls, alg: str, *, kid: str | None = None, bits: int = 2048, curve: str | None = None
    ) -> Key:
        """Return a new key; `bits` is used for RSA only.

        `curve` is used for EdDSA only, Ed25519 by default; the other algorithms name their own.
        """
        material = _fresh(_jws.algorithm(alg), bits, curve)
        # Its thumbprint is its given key id: a new key has no other.
        return cls(material, alg, kid=cls(material, alg).kid if kid is None else kid)

    @property
    def thumbprint(self) -> str:
        """The JWK thumbprint: base64url of SHA-256 over the required members (RFC 7638)."""
        members = _jwk.public_members(self._public)
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
        digest = hashlib.sha256(canonical).digest()
        return _base64url.encode(digest).decode()

    def public_jwk(self) -> dict[str, Any]:
        """Return the JWK to publish; `InvalidKey` for a secret, which has no public half."""
        if self.kty == "oct":
            raise InvalidKey("an HMAC secret has no public JWK; publish only asymmetric keys")
        return self._labelled(_jwk.public_members(self._public))

    def public_pem(self) -> str:
        """Return the public key as a PEM (RFC 7468, section 13); `InvalidKey` for a secret."""
        if self.kty == "oct":
            raise InvalidKey("an HMAC secret has no public PEM; publish only asymmetric keys")
        from linqi.jose._certificate import write_public_pem

        return write_public_pem(self._public)

    def private_jwk(self) -> dict[str, Any]:
        """Return the JWK with secret members and tenure; `InvalidKey` for a public key."""
        if not self.can_sign:
            raise InvalidKey("the key is public: there is no private JWK of it")
        tenure: dict[str, Any] = {}
        if self.signs_from:
            tenure["signs_from"] = self.signs_from
        if self.published_until is not None:
            tenure["published_until"] = self.published_until
        return self._labelled(_jwk.write_material(self._material)) | tenure

    def with_tenure(self, *, signs_from: float, published_until: float | None) -> Key:
        """Return the same key with another `signs_from` and `published_until`."""
        return Key(
            self._material,
            self.alg,
            kid=self._given_kid,
            signs_from=signs_from,
            published_until=published_until,
            issuer=self.issuer,
        )

    def is_same(self, other: Key) -> bool:
        """Return whether `other` verifies exactly what this key does, with the same ``kid``."""
        return (self.kid, self.alg, self.issuer) == (other.kid, other.alg, other.issuer) and (
            self.thumbprint == other.thumbprint
        )

    def public_half(self) -> Key:
        """Return the key that only verifies; `InvalidKey` for a secret."""
        if self.kty == "oct":
            raise InvalidKey("an HMAC secret has no public half")
        return Key(self._public, self.alg, kid=self._given_kid, issuer=self.issuer)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`; `SigningError` if it cannot be made."""
        return self._algorithm.sign(data, self._material)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Return whether `signature` is a signature of `data` by this key; never raises.

        The length is compared first: an ECDSA signature of 21,830 characters has overflowed a
        well-known proxy.
        """
        if len(signature) != self._width:
            return False
        try:
            self._check(signature, data, *self._arguments)
        except Exception:  # noqa: BLE001 - any error of the library is a wrong signature (V17)
            return False
        return True

    def __repr__(self) -> str:
        return f"<Key {self.alg} kid={self.kid!r} {'signs' if self.can_sign else 'verifies'}>"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Key is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Key is immutable: cannot delete {name!r}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key is not pickled: hand on its JWK")

    @property
    def _given_kid(self) -> str | None:
        return self.kid if self.is_named else None

    def _labelled(self, jwk: dict[str, Any]) -> dict[str, Any]:
        issuer = {} if self.issuer is None else {"issuer": self.issuer}
        return jwk | {"alg": self.alg, "kid": self.kid, "use": "sig"} | issuer


def _fresh(algorithm: _jws.Algorithm, bits: int, curve: str | None) -> Any:
    if algorithm.kty == "oct":
        return os.urandom(algorithm.hash_bytes)
    if algorithm.kty != "OKP":
        return algorithm.generate(bits)
    own = _EDDSA_CURVES if algorithm.name == "EdDSA" else (algorithm.name,)
    if curve is not None and curve not in own:
        raise InvalidKey(f"unknown curve {curve!r} for {algorithm.name}; use {' or '.join(own)}")
    return _jws.algorithm(curve or own[0]).generate(bits)


def _checked_kid(kid: object) -> str:
    if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID or not kid.isprintable():
        raise InvalidKey(f"a kid is 1 to {_LONGEST_KID} printable characters")
    return kid


def _checked_instant(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidKey(f"{name} is {value!r}, expected Unix seconds")
    return value


def _family(alg: str, *types: str) -> _jws.Algorithm:
    found = _jws.algorithm(alg)
    if found.kty not in types:
        raise InvalidKey(f"{alg} takes a key of type {found.kty}, not of {' or '.join(types)}")
    return found
