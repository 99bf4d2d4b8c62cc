"""Keys and sets of them: one key has one algorithm and one key id for its whole life."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import pybase64

from linqi.errors import ConfigurationError, InvalidKey, UnknownKey
from linqi.jose import _hygiene, _jws
from linqi.jose._jws import ALGORITHMS

__all__ = ["ALGORITHMS", "Key", "KeySet"]

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_THUMBPRINT_MEMBERS: Final = {
    "oct": ("k", "kty"),
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}
_LONGEST_KID: Final = 256


class Key:
    """A key bound to one algorithm, checked to be strong enough when it is made.

    ``kid`` is the given id, or the first 16 characters of ``thumbprint`` (RFC 7638). A key is
    immutable, and its ``repr`` shows neither secret nor key material.
    """

    __slots__ = (
        "_algorithm",
        "_check",
        "_material",
        "_public",
        "_width",
        "alg",
        "can_sign",
        "kid",
        "kty",
    )

    alg: str
    kid: str
    kty: str
    can_sign: bool
    _algorithm: _jws.Algorithm
    _material: Any
    _public: Any
    _check: _jws.Checker
    _width: int

    def __init__(self, material: Any, alg: str, *, kid: str | None = None) -> None:
        """Wrap `material` of the crypto library; the ``from_`` constructors are the usual way."""
        put = object.__setattr__
        found = _jws.algorithm(alg)
        _hygiene.check_material(found, material)
        put(self, "_algorithm", found)
        put(self, "_material", material)
        put(self, "_public", _jws.public_material(material))
        put(self, "_check", found.checker(material))
        put(self, "_width", _jws.signature_bytes(found, material))
        put(self, "alg", found.name)
        put(self, "kty", found.kty)
        put(self, "can_sign", _jws.can_sign(material))
        put(self, "kid", _checked_kid(kid) if kid is not None else self.thumbprint[:16])

    @classmethod
    def from_secret(cls, secret: bytes | str, alg: str = "HS256", *, kid: str | None = None) -> Key:
        """Take an HMAC secret; text is taken as its UTF-8 bytes."""
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
        """Read a PEM private or public key for the algorithm `alg`."""
        data = pem.encode() if isinstance(pem, str) else bytes(pem)
        return cls(_family(alg, "RSA", "EC", "OKP").read_pem(data, password), alg, kid=kid)

    @classmethod
    def from_jwk(
        cls,
        jwk: Mapping[str, Any] | str | bytes,
        alg: str | None = None,
        *,
        kid: str | None = None,
    ) -> Key:
        """Read a JWK (RFC 7517); `alg` is needed where the JWK has none, and must agree with it."""
        members = _object(jwk, "JWK")
        _hygiene.check_members(members)
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
        return cls(material, named, kid=kid if kid is not None else members.get("kid"))

    @classmethod
    def generate(
        cls, alg: str, *, kid: str | None = None, bits: int = 2048, curve: str = "Ed25519"
    ) -> Key:
        """Make a fresh key; `bits` is read for RSA only, `curve` for EdDSA only."""
        found = _jws.algorithm(alg)
        if found.kty == "oct":
            return cls(secrets.token_bytes(found.hash_bytes), alg, kid=kid)
        if found.kty == "OKP" and curve == "Ed448":
            return cls(_jws.generate_ed448(), alg, kid=kid)
        if curve != "Ed25519":
            raise InvalidKey(f"unknown curve {curve!r} for EdDSA; use 'Ed25519' or 'Ed448'")
        return cls(found.generate(bits), alg, kid=kid)

    @property
    def thumbprint(self) -> str:
        """The JWK thumbprint: base64url of SHA-256 over the required members (RFC 7638)."""
        jwk = self._algorithm.write_jwk(self._public)
        members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[self.kty]}
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
        digest = hashlib.sha256(canonical).digest()
        return pybase64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def public_jwk(self) -> dict[str, Any]:
        """Give the JWK to publish; `InvalidKey` for a secret, which has no public half."""
        if self.kty == "oct":
            raise InvalidKey("an HMAC secret has no public JWK; publish only asymmetric keys")
        return self._labelled(self._algorithm.write_jwk(self._public))

    def private_jwk(self) -> dict[str, Any]:
        """Give the JWK with its secret members; `InvalidKey` for a public key."""
        if not self.can_sign:
            raise InvalidKey("the key is public: there is no private JWK of it")
        return self._labelled(self._algorithm.write_jwk(self._material))

    def public_half(self) -> Key:
        """Give the key that verifies only; `InvalidKey` for a secret."""
        if self.kty == "oct":
            raise InvalidKey("an HMAC secret has no public half")
        return Key(self._public, self.alg, kid=self.kid)

    def sign(self, data: bytes) -> bytes:
        """Give the signature of `data`; `SigningError` when it cannot be made."""
        return self._algorithm.sign(data, self._material)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is this key's over `data`; never raises.

        The length is compared first: an ECDSA signature of 21,830 characters has overflowed a
        well-known proxy.
        """
        if len(signature) != self._width:
            return False
        try:
            self._check(signature, data)
        except Exception:  # noqa: BLE001 - whatever the library throws, it did not fit (V17)
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

    def _labelled(self, jwk: dict[str, Any]) -> dict[str, Any]:
        return jwk | {"alg": self.alg, "kid": self.kid, "use": "sig"}


class KeySet:
    """Keys of one issuer, oldest first: all verify, the last that can sign signs.

    Symmetric and asymmetric keys never share a set, and no two keys share a ``kid``.
    ``generation`` rises whenever a key is removed, so that whoever remembers a verification can
    tell that its key may be gone.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: tuple[Key, ...] = ()
        self._by_kid: dict[str, Key] = {}
        self._alone: dict[str, Key | None] = {}
        self.generation = 0
        self._replace(tuple(keys))

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, Any] | str | bytes, algorithms: Sequence[str] = ALGORITHMS
    ) -> KeySet:
        """Read a JWKS (RFC 7517, section 5); every key in it must be usable.

        A key without ``alg`` takes the only one of `algorithms` that fits its type.
        """
        entries = _object(jwks, "JWKS").get("keys")
        if not isinstance(entries, list):
            raise InvalidKey('a JWKS is an object with a "keys" array')
        faults, keys = [], []
        for position, entry in enumerate(entries):
            try:
                keys.append(Key.from_jwk(entry, _only_fit(entry, algorithms)))
            except InvalidKey as error:
                faults.append(f"key {position}: {error}")
        if faults:
            raise ConfigurationError(faults)
        return cls(keys)

    @classmethod
    def load(cls, path: str | Path, algorithms: Sequence[str] = ALGORITHMS) -> KeySet:
        """Read a JWKS file; OSError as the file system gives it."""
        return cls.from_jwks(Path(path).read_bytes(), algorithms)

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, oldest first."""
        return self._keys

    @property
    def signing_key(self) -> Key:
        """The newest key that can sign; `InvalidKey` when all of them only verify."""
        for key in reversed(self._keys):
            if key.can_sign:
                return key
        raise InvalidKey("no key of the set can sign; add a private key or a secret")

    def find(self, alg: str, kid: str | None) -> Key:
        """Give the one key for a header; `UnknownKey` when none or several fit.

        An unknown ``kid`` is never "any key", and an absent one fits only where the set holds
        exactly one key for `alg` (RFC 7515, section 4.1.4).
        """
        key = self._alone.get(alg) if kid is None else self._by_kid.get(kid)
        if key is None or key.alg != alg:
            raise UnknownKey(
                f"no key for alg {alg} with that kid"
                if kid is not None
                else f"the token has no kid and not exactly one key is for alg {alg}"
            )
        return key

    def add(self, key: Key) -> None:
        """Append `key`: it verifies at once, and signs if it can."""
        self._replace((*self._keys, key))

    def remove(self, kid: str) -> None:
        """Withdraw the key `kid`; tokens it signed stop verifying, cached ones included."""
        kept = tuple(key for key in self._keys if key.kid != kid)
        if len(kept) == len(self._keys):
            raise InvalidKey(f"no key has kid {kid!r}")
        self._replace(kept)
        self.generation += 1

    def public_jwks(self) -> dict[str, Any]:
        """Give the JWKS to publish; `InvalidKey` for a set of secrets."""
        return {"keys": [key.public_jwk() for key in self._keys]}

    def save(self, path: str | Path) -> None:
        """Write all keys, secrets included, to `path` with mode 0600, atomically."""
        jwks = {
            "keys": [key.private_jwk() if key.can_sign else key.public_jwk() for key in self._keys]
        }
        _write_private(Path(path), json.dumps(jwks, indent=2).encode() + b"\n")

    def __repr__(self) -> str:
        return f"<KeySet {list(self._keys)}>"

    def _replace(self, keys: tuple[Key, ...]) -> None:
        _check_together(keys)
        by_alg: dict[str, list[Key]] = {}
        for key in keys:
            by_alg.setdefault(key.alg, []).append(key)
        self._keys = keys
        self._by_kid = {key.kid: key for key in keys}
        self._alone = {alg: ks[0] if len(ks) == 1 else None for alg, ks in by_alg.items()}


def _check_together(keys: Sequence[Key]) -> None:
    faults = []
    if not keys:
        faults.append("the key set is empty; give at least one key")
    kids = [key.kid for key in keys]
    faults += [
        f"several keys share kid {kid!r}; give each its own"
        for kid in sorted({kid for kid in kids if kids.count(kid) > 1})
    ]
    if len({key.kty == "oct" for key in keys}) > 1:
        faults.append("secrets and asymmetric keys share a set; use one set for each")
    if faults:
        raise ConfigurationError(faults)


def _checked_kid(kid: object) -> str:
    if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID or not kid.isprintable():
        raise InvalidKey(f"a kid is 1 to {_LONGEST_KID} printable characters")
    return kid


def _family(alg: str, *types: str) -> _jws.Algorithm:
    found = _jws.algorithm(alg)
    if found.kty not in types:
        raise InvalidKey(f"{alg} takes a key of type {found.kty}, not of {' or '.join(types)}")
    return found


def _only_fit(entry: object, algorithms: Sequence[str]) -> str | None:
    """Give the one algorithm that an ``alg``-less JWK can be for; None when it says or none is."""
    if not isinstance(entry, Mapping) or "alg" in entry:
        return None
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    if entry.get("kty") == "EC":
        fits = [alg for alg in algorithms if alg == curves.get(str(entry.get("crv")))]
    else:
        fits = [alg for alg in algorithms if _jws.algorithm(alg).kty == entry.get("kty")]
    return fits[0] if len(fits) == 1 else None


def _object(source: Mapping[str, Any] | str | bytes, what: str) -> dict[str, Any]:
    if isinstance(source, str | bytes):
        try:
            source = json.loads(source)
        except (ValueError, RecursionError):
            raise InvalidKey(f"the {what} is not JSON") from None
    if not isinstance(source, Mapping):
        raise InvalidKey(f"a {what} is a JSON object, not {type(source).__name__}")
    return dict(source)


def _write_private(path: Path, data: bytes) -> None:
    """Write through a file of mode 0600 beside `path`: a reader sees the old or the new, whole."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
