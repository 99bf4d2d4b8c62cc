"""The demo users with their password hashes and scopes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from linqi import ConfigurationError, Person

__all__ = ["SCOPES", "STATS_SCOPE", "DemoUsers"]

STATS_SCOPE: Final = "linqi:stats"
SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "alice": ("profile", STATS_SCOPE),
    "bob": ("profile",),
}
"""The scopes of each demo user; only alice may read the counters."""

# OWASP's second Argon2id profile (19 MiB, 2 passes): several logins at once need little memory.
_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_CHECKS_AT_ONCE: Final = 4


class DemoUsers:
    """The demo users by name, each with an Argon2id hash of the password."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        self._limiter = CapacityLimiter(_CHECKS_AT_ONCE)
        # Verified for unknown names, so that the response time does not reveal which names exist.
        self._dummy_hash = _hasher.hash(secrets.token_urlsafe())

    @classmethod
    def make(cls, password: str) -> DemoUsers:
        """Return all demo users with the same `password`, each with a hash of its own."""
        return cls({name: _hasher.hash(password) for name in SCOPES})

    @classmethod
    def load(cls, path: Path) -> DemoUsers:
        """Return the users that `save` wrote to `path`.

        Raises:
            ConfigurationError: If the file has other content.

        """
        try:
            hashes = json.loads(path.read_bytes())
        except ValueError:
            hashes = None
        if not isinstance(hashes, dict) or not all(isinstance(h, str) for h in hashes.values()):
            raise ConfigurationError([f"{path} does not hold users; remove it to create new ones"])
        return cls(hashes)

    def save(self, path: Path) -> None:
        """Write the hashes to the new file `path` with mode 0600."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._hashes, file, indent=2)
            file.write("\n")

    def check(self, username: str, password: str) -> bool:
        """Return whether `password` is that of `username`; takes about 20 ms, so use a thread."""
        known = self._hashes.get(username)
        try:
            _hasher.verify(known or self._dummy_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return known is not None

    async def authenticate(self, form: Mapping[str, str]) -> Person | None:
        """Return the person with this ``username`` and ``password``, or None; uses a thread."""
        name, password = form["username"], form["password"]
        if not await to_thread.run_sync(self.check, name, password, limiter=self._limiter):
            return None
        return Person(subject=name, scopes=SCOPES.get(name, ()))

    def share(self, password: str) -> bool:
        """Return whether `password` is that of all users."""
        return all(self.check(name, password) for name in self._hashes)

    def __repr__(self) -> str:
        return f"<DemoUsers {sorted(self._hashes)}>"
