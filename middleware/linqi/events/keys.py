"""Events of key sets and key files."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "KeyFileNotRead",
    "KeyFileRead",
    "KeySkipped",
    "KeysExpired",
    "KeysMissing",
    "KeysNotAnnounced",
    "KeysNotFetched",
    "KeysRefreshed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRefreshed:
    """The key set of an issuer was fetched."""

    issuer: str
    keys: int
    """How many keys the set has."""
    added: tuple[str, ...]
    """Key ids."""
    removed: tuple[str, ...]
    """Key ids; their tokens are refused from now on, cached ones included."""
    lifetime: float
    """Seconds until the set is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysNotFetched:
    """A fetch failed, or its response holds no key set; the current set stays."""

    issuer: str
    detail: str
    failures: int
    """Consecutive failures, this one included."""
    retry_in: float
    """Seconds until the next attempt."""
    trusted_for: float
    """Seconds for which the current set is still trusted; 0 without one."""
    fresh_for: float = 0.0
    """Seconds until the current set is stale; 0 if it is, or without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySkipped:
    """A published key is not used, because of a fault that the issuer should fix."""

    issuer: str
    position: int
    """In the array ``keys``, from 0."""
    kid: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysExpired:
    """The set of an issuer is too old to be trusted: its tokens get 503 until the next fetch."""

    issuer: str
    age: float
    """Seconds since the last fetch that succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFileRead:
    """A key file that has changed was read."""

    path: str
    keys: int
    """How many keys the file has."""
    added: tuple[str, ...]
    """Key ids."""
    removed: tuple[str, ...]
    """Key ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFileNotRead:
    """A key file has changed and cannot be used; the current keys stay."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysMissing:
    """Other workers have keys that this one never had: tokens with them get 503 here.

    The key file of this worker is behind, or that of the others is not meant for them.
    """

    keys: tuple[str, ...]
    """Key ids."""
    workers: tuple[str, ...]
    """A worker that has each of them, as host, process id and a suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysNotAnnounced:
    """The store did not take the key ids of this worker; a rotation may not wait for it."""

    detail: str
