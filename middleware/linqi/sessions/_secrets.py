"""Secrets of one purpose, derived from those that a deployment has."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from linqi.errors import ConfigurationError
from linqi.jose.key import Key
from linqi.jose.keys import KeySet, Secrets, secrets_in

__all__ = ["DerivedSecrets"]


class DerivedSecrets:
    """What `purpose` makes of `secrets`, the newest last: it signs, all check.

    A secret is a `Key` for an HMAC, or 32 or more random bytes. What is derived for one purpose
    tells nothing of what is derived for another, and a MAC of one is no MAC of the other. A
    `KeySet` may change: its newest secret that may sign at the time signs.
    """

    def __init__(
        self,
        secrets: Secrets,
        purpose: bytes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._set = secrets if isinstance(secrets, KeySet) else None
        self._purpose = purpose
        self._clock = clock
        keys = secrets_in(secrets)
        if not keys:
            raise ConfigurationError(["secrets is empty; give at least one, such as a Key"])
        self._derive(tuple(keys))
        if len({secret for _, secret in self._derived.values()}) < len(keys):
            raise ConfigurationError(["two of the secrets are the same; remove one"])

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    @property
    def newest(self) -> tuple[int, bytes]:
        """The id, 0 to 255, and the bytes of the secret that signs."""
        if self._set is None:
            return self._derived[self._source[-1]]
        self._follow(self._set)
        return self._derived[self._set.signing_key(self._clock())]

    @property
    def is_awaited(self) -> bool:
        """Whether other workers have a secret that this one lacks."""
        return self._set is not None and bool(self._set.awaited)

    def of(self, key_id: int) -> tuple[bytes, ...]:
        """Return the secrets with this id: two may well share one of the 256."""
        if self._set is not None:
            self._follow(self._set)
        return self._by_id.get(key_id, ())

    def _follow(self, keys: KeySet) -> None:
        if keys.keys is not self._source:
            self._derive(keys.keys)

    def _derive(self, keys: tuple[Key, ...]) -> None:
        derived: dict[Key, tuple[int, bytes]] = {}
        by_id: dict[int, tuple[bytes, ...]] = {}
        for key in keys:
            if key.kty != "oct":
                raise ConfigurationError(
                    [f"key {key.kid!r} is no HMAC secret; refresh tokens need one"]
                )
            secret = key.sign(self._purpose)
            key_id = hashlib.sha256(secret).digest()[0]
            derived[key] = key_id, secret
            by_id[key_id] = (*by_id.get(key_id, ()), secret)
        self._source, self._derived, self._by_id = keys, derived, by_id
