"""The cache of verified tokens: a repeated token costs a hash and a look-up."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, runtime_checkable

from msgspec.structs import force_setattr

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError
from linqi.jose.keys import KeySource
from linqi.jose.verified import Verified

__all__ = ["CacheInfo", "CacheWatcher", "VerifiedCache"]

_ENTRY_BYTES: Final = 650
"""An entry without its payload: objects, digest, table, and the three names once they are read.
Measured as the growth of a process over 100,000 entries (``linqi bench``), rounded up."""
_FREE_SCOPES: Final = 16
_SCOPE_BYTES: Final = 64
"""A scope beyond `_FREE_SCOPES`: its text and its place. Tokens with equal scopes share them, but a
token of 12 KB can have 4,000 of its own: 250 KB."""
_SHARED_SECONDS: Final = 0.25
"""Entries made within this time share the deadline of the earliest, which saves 24 bytes each."""
_MOST_CHANCES: Final = 32
"""Used entries that one `put` may spare. Without a bound it would visit all entries after a time
without evictions: 100,000 of them hold up the event loop for 20 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """The content of a cache, and its counters since it was made."""

    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int
    max_entries: int
    max_bytes: int


@runtime_checkable
class CacheWatcher(Protocol):
    """A hook that counts what a cache does, such as those of metrics."""

    def watch_cache(self, cache: VerifiedCache) -> None:
        """Count `cache` too from now on; the same cache once."""
        ...


class VerifiedCache:
    """The recently used verified tokens, by the SHA-256 of the whole token.

    A hit marks its entry as used and moves nothing. Where room is needed, the oldest entry that was
    not used since the last visit is evicted (CLOCK, or second chance).

    An entry is dropped earlier if a key of its issuer is withdrawn, or when its issuer's keys are
    too old to be trusted. The caller must compare ``exp``, which the wall clock decides. A cache
    belongs to one verifier, in one thread.

    Args:
        max_entries: Tokens, at least 1.
        max_bytes: About the bytes of all entries, at least 4,096.
        lifetime: Seconds of an entry on the `monotonic` clock, above 0 to 86,400.

    """

    RANGES: ClassVar[Ranges] = {
        "max_entries": Range(1, 100_000_000, is_whole=True),
        "max_bytes": Range(4096, 2**40, "bytes", is_whole=True),
        "lifetime": Range(0, DAY, "seconds", is_above=True),
    }

    def __init__(
        self,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        lifetime: float = 60.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        values = {"max_entries": max_entries, "max_bytes": max_bytes, "lifetime": lifetime}
        if faults := range_faults(self.RANGES, values):
            raise ConfigurationError(faults)
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.lifetime = lifetime
        self._shared_seconds = min(_SHARED_SECONDS, lifetime / 4)
        self._monotonic = monotonic
        self._entries: dict[bytes, Verified] = {}
        self._ring: deque[bytes] = deque()  # the keys of all entries; the next to be visited first
        self._sources: dict[str, KeySource] = {}
        self._deadline = -math.inf
        self._bytes = self._hits = self._misses = self._evictions = 0
        self._claimed = False

    def __len__(self) -> int:
        return len(self._entries)

    def claim(self) -> None:
        """Bind the cache to one verifier; tokens that another accepted may not be valid for it."""
        if self._claimed:
            raise ConfigurationError(["two verifiers share one cache; give each its own"])
        self._claimed = True

    def get(self, digest: bytes) -> Verified | None:
        """Return the verified value of `digest`, if it is cached and still valid."""
        found = self._entries.get(digest)
        # As `_is_valid`, without the call.
        if (
            found is None
            or self._monotonic() >= found._cached_until
            or self._sources[found.origin.source].generation != found._generation
        ):
            self._misses += 1
            return None
        self._hits += 1
        if not found._is_used:
            force_setattr(found, "_is_used", True)
        return found

    def _is_valid(self, entry: Verified) -> bool:
        return (
            self._monotonic() < entry._cached_until
            and self._sources[entry.origin.source].generation == entry._generation
        )

    def put(self, verified: Verified, keys: KeySource, until: float = math.inf) -> None:
        """Cache `verified`, signed by a key of `keys`; evicts entries that were not used lately.

        A trusted issuer has one source of keys: with another one the cache is emptied first.
        `until` is the monotonic instant at which the entry ends at the latest.
        """
        size = _bytes_of(verified)
        if size > self.max_bytes:
            return
        if self._sources.setdefault(verified.origin.source, keys) is not keys:
            # Else the generation of these keys would decide about tokens of the others.
            self.clear()
            self._sources[verified.origin.source] = keys
        if verified._cached_until:  # an entry already: another cache may hold it
            verified = copy(verified)
        entries, digest = self._entries, verified.digest
        if digest not in entries:
            if len(entries) >= self.max_entries or self._bytes + size > self.max_bytes:
                self._make_room(size)
            self._ring.append(digest)
            self._bytes += size
        else:  # the same token, whose key stays the one object in table and ring
            force_setattr(verified, "digest", entries[digest].digest)
        deadline = min(self._monotonic() + self.lifetime, keys.trusted_until, until)
        if not self._deadline <= deadline < self._deadline + self._shared_seconds:
            self._deadline = deadline
        force_setattr(verified, "_cached_until", self._deadline)
        force_setattr(verified, "_generation", keys.generation)
        entries[digest] = verified

    def _make_room(self, size: int) -> None:
        """Evict until another entry and `size` bytes fit."""
        entries, ring, chances = self._entries, self._ring, _MOST_CHANCES
        while len(entries) >= self.max_entries or self._bytes + size > self.max_bytes:
            oldest = ring.popleft()
            entry = entries[oldest]
            if entry._is_used and chances and self._is_valid(entry):
                force_setattr(entry, "_is_used", False)
                ring.append(oldest)
                chances -= 1
            else:
                del entries[oldest]
                self._bytes -= _bytes_of(entry)
                self._evictions += 1

    def clear(self) -> None:
        """Remove all entries; the counters stay."""
        self._entries.clear()
        self._ring.clear()
        self._bytes = 0

    def info(self) -> CacheInfo:
        """Return the current size and counters."""
        return CacheInfo(
            entries=len(self._entries),
            bytes=self._bytes,
            hits=self._hits,
            misses=self._misses,
            evictions=self._evictions,
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
        )


def _bytes_of(entry: Verified) -> int:
    """Return about the bytes of an entry."""
    scopes = max(0, len(entry.scopes) - _FREE_SCOPES)
    return _ENTRY_BYTES + len(entry.payload) + _SCOPE_BYTES * scopes
