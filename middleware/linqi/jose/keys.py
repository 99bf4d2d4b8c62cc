"""Sets of keys: all verify, the newest that may sign signs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from linqi.errors import ConfigurationError, InvalidKey, UnknownKey
from linqi.events import Hook
from linqi.jose import _jws
from linqi.jose._atomic_write import PRIVATE, create_atomically, write_atomically
from linqi.jose._guarded_file import read_guarded
from linqi.jose._jws import ALGORITHMS
from linqi.jose._members import read_object
from linqi.jose.key import Key

__all__ = ["FetchedKeys", "KeySet", "KeySource", "OnDemandKeys", "only_algorithm_for"]


@runtime_checkable
class KeySource(Protocol):
    """Where a verifier looks the keys of one issuer up."""

    generation: int
    """Rises whenever a key is gone, so that what was verified by it is not believed any more."""

    @property
    def trusted_until(self) -> float:
        """The monotonic instant at which the keys are too old to be believed."""
        ...

    def find(self, alg: str, kid: str | None) -> Key:
        """Give the one key for a header; `UnknownKey` when none or several fit."""
        ...


@runtime_checkable
class FetchedKeys(KeySource, Protocol):
    """Keys that are fetched in the background, from `start` to `close`."""

    async def start(self) -> None:
        """Fetch, and go on fetching in time."""
        ...

    async def close(self) -> None:
        """Stop fetching."""
        ...

    def listen(self, *hooks: Hook) -> None:
        """Tell `hook` what happens to the keys."""
        ...


@runtime_checkable
class OnDemandKeys(KeySource, Protocol):
    """Keys of which more can be fetched when a token names one that is not known."""

    async def fetch_for(self, alg: str, kid: str | None) -> bool:
        """Wait for a fetch that may bring the key for a header, if one may be made now.

        Returns:
            Whether a fetch was waited for, so that another `find` may succeed.

        """
        ...


class KeySet:
    """Keys of one issuer, oldest first: all verify, the last whose turn it is signs.

    Symmetric and asymmetric keys never share a set, and no two keys share both ``kid`` and
    ``alg``: keys of one ``kid`` for two algorithms are two keys, as some issuers publish them.
    ``generation`` rises whenever a key is removed, so that whoever remembers a verification can
    tell that its key may be gone.
    """

    trusted_until: Final = math.inf
    """Keys that were given, not fetched, are believed until they are removed."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: tuple[Key, ...] = ()
        self._by_name: dict[tuple[str, str], Key] = {}
        self._alone: dict[str, Key | None] = {}
        self._nameless: Key | None = None
        self.generation = 0
        self._put(tuple(keys))

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, Any] | str | bytes, algorithms: Sequence[str] = ALGORITHMS
    ) -> KeySet:
        """Read a JWKS (RFC 7517, section 5); every key in it must be usable.

        A key without ``alg`` takes the only one of `algorithms` that fits its type.
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
        """Read a JWKS file that no one else may write.

        Raises:
            ConfigurationError: The group or others may write it (mode 0440 is fine), or a key of
                it cannot be used.
            OSError: As the file system gives it.

        """
        return cls.from_jwks(read_guarded(Path(path)), algorithms)

    @classmethod
    def load_or_create(cls, path: str | Path, alg: str) -> KeySet:
        """Read a JWKS file, made with one fresh key for `alg` and mode 0600 if there is none.

        Processes that start at once end with the same key: exactly one of them makes the file,
        which appears whole. `alg` says nothing about a file that is there: its keys may have been
        rotated to another. For the secrets of refresh tokens pass ``"HS256"``.

        Raises:
            ConfigurationError: As `load` does.
            OSError: As the file system gives it; also where it knows no hard links.

        """
        place = Path(path)
        if not place.exists():
            create_atomically(place, cls([Key.generate(alg)])._to_text(), PRIVATE)
        return cls.load(place)

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, oldest first."""
        return self._keys

    def signing_key(self, now: float = math.inf) -> Key:
        """Give the newest key that may sign at `now`, in Unix seconds; by default ever.

        Where none may yet, the oldest that can does: a clock that jumped back must not stop the
        service. `InvalidKey` when all of them only verify.
        """
        able = [key for key in self._keys if key.can_sign]
        if not able:
            raise InvalidKey("no key of the set can sign; add a private key or a secret")
        for key in reversed(able):
            if key.signs_from <= now:
                return key
        return able[0]

    def find(self, alg: str, kid: str | None) -> Key:
        """Give the one key for a header; `UnknownKey` when none or several fit.

        An absent ``kid`` fits only where the set holds exactly one key for `alg` (RFC 7515,
        section 4.1.4). An unknown ``kid`` is never "any key": it fits only the one key of a set
        that came without a ``kid`` of its own, where there is nothing to choose from.
        """
        if kid is None:
            key = self._alone.get(alg)
        else:
            key = self._by_name.get((kid, alg)) or self._nameless
        if key is None or key.alg != alg:
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
        except UnknownKey:
            return False
        return True

    def has(self, kid: str, alg: str) -> bool:
        """Return whether a key for `alg` is called `kid`."""
        return (kid, alg) in self._by_name

    def add(self, key: Key) -> None:
        """Append `key`: it verifies at once, and signs if it can."""
        self._put((*self._keys, key))

    def remove(self, kid: str) -> None:
        """Withdraw the key `kid`; tokens it signed stop verifying, cached ones included.

        Keys that share the ``kid`` are all withdrawn, whatever they are for.
        """
        kept = tuple(key for key in self._keys if key.kid != kid)
        if len(kept) == len(self._keys):
            raise InvalidKey(f"no key has kid {kid!r}")
        self.replace(kept)

    def replace(self, keys: Iterable[Key]) -> None:
        """Put `keys` in the place of all; tokens of those not among them stop verifying."""
        before, after = self._keys, tuple(keys)
        self._put(after)
        kept = self._by_name
        names = [(key.kid, key.alg) for key in before]
        if not all(n in kept and k.is_same(kept[n]) for n, k in zip(names, before, strict=True)):
            self.generation += 1

    def public_jwks(self, now: float = -math.inf) -> dict[str, Any]:
        """Give the JWKS to publish at `now`, in Unix seconds; by default every key.

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
        """Write all keys, secrets included, to `path` with mode 0600, atomically."""
        write_atomically(Path(path), self._to_text(), PRIVATE)

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


def only_algorithm_for(entry: object, algorithms: Sequence[str]) -> str | None:
    """Give the one algorithm that an ``alg``-less JWK can be for; None when it says or none is."""
    if not isinstance(entry, Mapping) or entry.get("alg") is not None:
        return None
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    if entry.get("kty") == "EC":
        fits = [alg for alg in algorithms if alg == curves.get(str(entry.get("crv")))]
    else:
        fits = [alg for alg in algorithms if _jws.algorithm(alg).kty == entry.get("kty")]
    return fits[0] if len(fits) == 1 else None
