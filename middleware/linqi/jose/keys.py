"""Sets of keys: all keys verify, the newest that may sign signs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from linqi.errors import ConfigurationError, InvalidKey, Unavailable, UnknownKey
from linqi.jose import _jws
from linqi.jose._jws import ALGORITHMS
from linqi.jose._members import read_object
from linqi.jose.key import Key

if TYPE_CHECKING:
    from pathlib import Path

    from linqi.events import Hook

__all__ = [
    "FetchedKeys",
    "KeySet",
    "KeySource",
    "OnDemandKeys",
    "Secrets",
    "only_algorithm_for",
    "secrets_in",
]

_ALGORITHMS_OF_CURVES: Final[Mapping[str, tuple[str, ...]]] = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("Ed25519", "EdDSA"),
    "Ed448": ("Ed448", "EdDSA"),
}


@runtime_checkable
class KeySource(Protocol):
    """The keys of one issuer, as a verifier looks them up."""

    generation: int
    """Rises whenever a key is removed or `trusted_until` becomes earlier, so that tokens that were
    verified before are verified again."""

    @property
    def trusted_until(self) -> float:
        """The monotonic instant from which the keys are too old to be trusted."""
        ...

    def find(self, alg: str, kid: str | None) -> Key:
        """Return the one key for a header; `UnknownKey` if none or several fit."""
        ...


@runtime_checkable
class FetchedKeys(KeySource, Protocol):
    """Keys that are fetched in the background, from `start` to `close`."""

    async def start(self) -> None:
        """Fetch the keys, and keep them fresh."""
        ...

    async def close(self) -> None:
        """Stop fetching the keys."""
        ...

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too with what happens to the keys."""
        ...


@runtime_checkable
class OnDemandKeys(KeySource, Protocol):
    """Keys that can be fetched when a token names one that is not known."""

    async def fetch_for(self, alg: str, kid: str | None) -> bool:
        """Wait for a fetch that may bring the key for a header, if one may be made now.

        Returns:
            Whether a fetch was waited for, so that another `find` may succeed.

        """
        ...


class KeySet:
    """Keys of one issuer, oldest first: all verify, the newest that may sign signs.

    A set holds either secrets or asymmetric keys. No two keys share both ``kid`` and ``alg``; one
    ``kid`` for two algorithms is two keys, as some issuers publish them. ``generation`` rises
    whenever a key is removed, so that a cache knows that the key of an entry may be gone.
    """

    trusted_until: Final = math.inf
    """Keys that are given, not fetched, are trusted until they are removed."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: tuple[Key, ...] = ()
        self._by_name: dict[tuple[str, str], Key] = {}
        self._alone: dict[str, Key | None] = {}
        self._nameless: Key | None = None
        self.generation = 0
        self.awaited: frozenset[str] = frozenset()
        """Key ids that other workers have and this set lacks: `find` raises `Unavailable` for
        them, because the token may be valid (see `KeyAnnouncer`)."""
        self._put(tuple(keys))

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, Any] | str | bytes, algorithms: Sequence[str] = ALGORITHMS
    ) -> KeySet:
        """Return the set in a JWKS (RFC 7517, section 5).

        A key without ``alg`` is for the only one of `algorithms` that fits its type and curve.

        Raises:
            InvalidKey: The source is no JWKS.
            ConfigurationError: A key of it cannot be used.

        """
        entries = read_object(jwks, "JWKS").get("keys")
        if not isinstance(entries, list):
            raise InvalidKey('a JWKS is an object with a "keys" array')
        faults, keys = [], []
        for position, entry in enumerate(entries):
            try:
                keys.append(Key.from_jwk(entry, only_algorithm_for(entry, algorithms)))
            except InvalidKey as error:
                faults.append(f"key {position}: {error}")
        if faults:
            raise ConfigurationError(faults)
        return cls(keys)

    @classmethod
    def load(cls, path: str | Path, algorithms: Sequence[str] = ALGORITHMS) -> KeySet:
        """Return the set in a JWKS file that no other user may write.

        Raises:
            ConfigurationError: The group or others may write it (mode 0440 is fine), or a key of
                it cannot be used.
            OSError: The file cannot be read.

        """
        from linqi.jose._guarded_file import read_guarded

        return cls.from_jwks(read_guarded(path), algorithms)

    @classmethod
    def load_or_create(cls, path: str | Path, alg: str) -> KeySet:
        """Return the set in a JWKS file; if there is none, create it with a new key for `alg`.

        Processes that start at the same time get the same key: exactly one of them creates the
        file, with mode 0600. `alg` is not compared with an existing file, whose keys may have been
        rotated to another algorithm. For the secrets of refresh tokens pass ``"HS256"``.

        Raises:
            ConfigurationError: As `load` does.
            OSError: The file cannot be read or created; also if the file system has no hard links.

        """
        from linqi.jose._atomic_write import PRIVATE, create_atomically

        if not os.path.exists(path):
            create_atomically(path, cls([Key.generate(alg)])._to_text(), PRIVATE)
        return cls.load(path)

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, oldest first."""
        return self._keys

    def signing_key(self, now: float = math.inf) -> Key:
        """Return the newest key that may sign at `now`, in Unix seconds; by default the newest.

        If no key may sign yet, the oldest that can is returned: a clock that jumped back must not
        stop the service. `InvalidKey` if all keys only verify.
        """
        able = [key for key in self._keys if key.can_sign]
        if not able:
            raise InvalidKey("no key of the set can sign; add a private key or a secret")
        for key in reversed(able):
            if key.signs_from <= now:
                return key
        return able[0]

    def find(self, alg: str, kid: str | None) -> Key:
        """Return the one key for a header; `UnknownKey` if none or several fit.

        `Unavailable` if the key id is one of ``awaited``.

        An absent ``kid`` fits only if the set holds exactly one key for `alg` (RFC 7515,
        section 4.1.4). An unknown ``kid`` fits only the single key of a set that was given without
        a ``kid``, where there is nothing to choose from.
        """
        if kid is None:
            key = self._alone.get(alg)
        else:
            key = self._by_name.get((kid, alg)) or self._nameless
        if key is None or key.alg != alg:
            if kid in self.awaited:
                raise Unavailable("other workers have the key, and this one has not read it yet")
            raise UnknownKey(
                f"no key for alg {alg} with that kid"
                if kid is not None
                else f"the token has no kid and not exactly one key is for alg {alg}"
            )
        return key

    def fits(self, alg: str, kid: str | None) -> bool:
        """Return whether `find` returns a key for that header."""
        try:
            self.find(alg, kid)
        except (Unavailable, UnknownKey):
            return False
        return True

    def has(self, kid: str, alg: str) -> bool:
        """Return whether a key for `alg` has the key id `kid`."""
        return (kid, alg) in self._by_name

    def add(self, key: Key) -> None:
        """Append `key`: it verifies at once, and signs if it can."""
        self._put((*self._keys, key))

    def remove(self, kid: str) -> None:
        """Remove all keys with that `kid`; their tokens are refused, cached ones included."""
        kept = tuple(key for key in self._keys if key.kid != kid)
        if len(kept) == len(self._keys):
            raise InvalidKey(f"no key has kid {kid!r}")
        self.replace(kept)

    def replace(self, keys: Iterable[Key]) -> None:
        """Replace all keys by `keys`; tokens of keys that are gone are refused."""
        before, after = self._keys, tuple(keys)
        self._put(after)
        kept = self._by_name
        names = [(key.kid, key.alg) for key in before]
        if not all(n in kept and k.is_same(kept[n]) for n, k in zip(names, before, strict=True)):
            self.generation += 1

    def public_jwks(self, now: float = -math.inf) -> dict[str, Any]:
        """Return the JWKS to publish at `now`, in Unix seconds; by default every key.

        `InvalidKey` for a set of secrets.
        """
        return {
            "keys": [
                key.public_jwk()
                for key in self._keys
                if key.published_until is None or now < key.published_until
            ]
        }

    def save(self, path: str | Path) -> None:
        """Write all keys, secrets included, to `path` atomically, with mode 0600."""
        from linqi.jose._atomic_write import PRIVATE, write_atomically

        write_atomically(path, self._to_text(), PRIVATE)

    def __repr__(self) -> str:
        return f"<KeySet {list(self._keys)}>"

    def _to_text(self) -> bytes:
        jwks = {
            "keys": [key.private_jwk() if key.can_sign else key.public_jwk() for key in self._keys]
        }
        return json.dumps(jwks, indent=2).encode() + b"\n"

    def _put(self, keys: tuple[Key, ...]) -> None:
        _check_together(keys)
        by_alg: dict[str, list[Key]] = {}
        for key in keys:
            by_alg.setdefault(key.alg, []).append(key)
        self._keys = keys
        self._by_name = {(key.kid, key.alg): key for key in keys}
        self._alone = {alg: ks[0] if len(ks) == 1 else None for alg, ks in by_alg.items()}
        self._nameless = keys[0] if len(keys) == 1 and not keys[0].is_named else None


def _check_together(keys: Sequence[Key]) -> None:
    faults = []
    if not keys:
        faults.append("the key set is empty; give at least one key")
    names = [(key.kid, key.alg) for key in keys]
    faults += [
        f"several keys for {alg} share kid {kid!r}; give each its own"
        for kid, alg in sorted({name for name in names if names.count(name) > 1})
    ]
    if len({key.kty == "oct" for key in keys}) > 1:
        faults.append("secrets and asymmetric keys share a set; use one set for each")
    if faults:
        raise ConfigurationError(faults)


Secrets: TypeAlias = KeySet | Sequence[Key | bytes] | Key | bytes
"""HMAC secrets of sessions and stores, the newest last. A `KeySet` may change."""


def secrets_in(secrets: Secrets) -> list[Key]:
    """Return the keys of all secrets, the newest last; `InvalidKey` if bytes are no secret."""
    if isinstance(secrets, KeySet):
        return [*secrets.keys]
    listed = [secrets] if isinstance(secrets, Key | bytes) else secrets
    return [secret if isinstance(secret, Key) else Key.from_secret(secret) for secret in listed]


def only_algorithm_for(entry: object, algorithms: Sequence[str]) -> str | None:
    """Return the one of `algorithms` for a JWK without ``alg``; None if it has one or none fits."""
    if not isinstance(entry, Mapping) or entry.get("alg") is not None:
        return None
    kty, curve = entry.get("kty"), str(entry.get("crv"))
    if kty in ("EC", "OKP"):
        of_curve = _ALGORITHMS_OF_CURVES.get(curve, ())
        fits = [alg for alg in algorithms if alg in of_curve]
    else:
        fits = [alg for alg in algorithms if _jws.algorithm(alg).kty == kty]
    return fits[0] if len(fits) == 1 else None
