"""Secrets of one purpose, derived from those that a deployment has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from linqi.errors import ConfigurationError
from linqi.jose.key import Key

__all__ = ["DerivedSecrets"]


class DerivedSecrets:
    """What `purpose` makes of `secrets`, the newest last: it signs, all check.

    A secret is a `Key` for an HMAC, or 32 or more random bytes. What is derived for one purpose
    tells nothing of what is derived for another, and a MAC of one is no MAC of the other.
    """

    def __init__(self, secrets: Sequence[Key | bytes] | Key | bytes, purpose: bytes) -> None:
        listed = [secrets] if isinstance(secrets, Key | bytes) else [*secrets]
        if not listed:
            raise ConfigurationError(["secrets is empty; give at least one, such as a Key"])
        self._keys: dict[int, tuple[bytes, ...]] = {}
        for secret in listed:
            self._add(secret if isinstance(secret, Key) else Key.from_secret(secret), purpose)

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    @property
    def newest(self) -> tuple[int, bytes]:
        """The id, 0 to 255, and the bytes of the secret that signs."""
        return self._newest

    def of(self, key_id: int) -> tuple[bytes, ...]:
        """Return the secrets with this id: two may well share one of the 256."""
        return self._keys.get(key_id, ())

    def _add(self, key: Key, purpose: bytes) -> None:
        if key.kty != "oct":
            raise ConfigurationError(
                [f"key {key.kid!r} is no HMAC secret; refresh tokens need one"]
            )
        derived = key.sign(purpose)
        key_id = hashlib.sha256(derived).digest()[0]
        if derived in self.of(key_id):
            raise ConfigurationError(["two of the secrets are the same; remove one"])
        self._keys[key_id] = (*self.of(key_id), derived)
        self._newest = key_id, derived
