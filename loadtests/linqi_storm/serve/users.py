"""The demo users, their password hashes and what they may do."""

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
"""What each demo user may do; alice reads the counters as well."""

# OWASP's second Argon2id profile (19 MiB, 2 passes): a few logins at once fit into any machine.
_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_CHECKS_AT_ONCE: Final = 4


class DemoUsers:
    """The demo users by name, each with an Argon2id hash; no password is kept."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        self._limiter = CapacityLimiter(_CHECKS_AT_ONCE)
        # Checked for names that do not exist, so that the time taken does not tell who does.
        self._nobody = _hasher.hash(secrets.token_urlsafe())

    @classmethod
    def make(cls, password: str) -> DemoUsers:
        """Give all demo users with one `password`, hashed anew for each."""
        return cls({name: _hasher.hash(password) for name in SCOPES})

    @classmethod
    def load(cls, path: Path) -> DemoUsers:
        """Read what `save` wrote; `ConfigurationError` when it is something else."""
        try:
            hashes = json.loads(path.read_bytes())
        except ValueError:
            hashes = None
        if not isinstance(hashes, dict) or not all(isinstance(h, str) for h in hashes.values()):
            raise ConfigurationError([f"{path} does not hold users; remove it to make them anew"])
        return cls(hashes)

    def save(self, path: Path) -> None:
        """Write the hashes to the new file `path` with mode 0600."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._hashes, file, indent=2)
            file.write("\n")

    def check(self, username: str, password: str) -> bool:
        """Tell whether `password` is that of `username`; takes about 20 ms, so use a thread."""
        known = self._hashes.get(username)
        try:
            _hasher.verify(known or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return known is not None

    async def authenticate(self, form: Mapping[str, str]) -> Person | None:
        """Give the person whose ``username`` and ``password`` these are, checked in a thread."""
        name, password = form["username"], form["password"]
        if not await to_thread.run_sync(self.check, name, password, limiter=self._limiter):
            return None
        return Person(subject=name, scopes=SCOPES.get(name, ()))

    def share(self, password: str) -> bool:
        """Tell whether `password` is that of all users."""
        return all(self.check(name, password) for name in self._hashes)

    def __repr__(self) -> str:
        return f"<DemoUsers {sorted(self._hashes)}>"
