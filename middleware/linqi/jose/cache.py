"""The cache of verified tokens: a repeated token costs a hash and a look-up."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError
from linqi.jose.keys import KeySource
from linqi.jose.verified import Verified

__all__ = ["CacheInfo", "VerifiedCache"]

_ENTRY_BYTES: Final = 650
"""An entry without its payload: objects, digest, table, and the three names once they are read.
Measured as the growth of a process over 100,000 entries (``linqi bench``), rounded up."""
_GRANT_SECONDS: Final = 0.25
"""Entries made within this time share the deadline of the earliest."""


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


class _Grant(msgspec.Struct, frozen=True, gc=False):
    """Until when, and for which generation of which keys, an entry is valid."""

    made_at: float
    deadline: float
    keys: KeySource
    generation: int
    trusted_until: float


class _Entry(msgspec.Struct, frozen=True, gc=False):
    verified: Verified
    grant: _Grant


class VerifiedCache:
    """The most recently used verified tokens, by the SHA-256 of the whole token.

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
        self._monotonic = monotonic
        # An OrderedDict and not cachetools' LRUCache: a hit takes 0.06 us against 0.14, a put into
        # a full cache 0.4 against 6, an entry 60 bytes less, and bytes bound it as well.
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._grants: dict[int, _Grant] = {}
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
        entry = self._entries.get(digest)
        if entry is None:
            self._misses += 1
            return None
        grant = entry.grant
        if self._monotonic() < grant.deadline and grant.keys.generation == grant.generation:
            self._entries.move_to_end(digest)
            self._hits += 1
            return entry.verified
        self.discard(digest)
        self._misses += 1
        return None

    def put(self, verified: Verified, keys: KeySource) -> None:
        """Cache `verified`, signed by a key of `keys`; evicts the least recently used entries."""
        size = _bytes_of(verified)
        if size > self.max_bytes:
            return
        self.discard(verified.digest)
        entries = self._entries
        while len(entries) >= self.max_entries or self._bytes + size > self.max_bytes:
            _, evicted = entries.popitem(last=False)
            self._bytes -= _bytes_of(evicted.verified)
            self._evictions += 1
        entries[verified.digest] = _Entry(verified, self._grant(keys))
        self._bytes += size

    def _grant(self, keys: KeySource) -> _Grant:
        """Return the last grant if nothing changed: sharing it saves 100 bytes an entry."""
        now, generation, trusted_until = self._monotonic(), keys.generation, keys.trusted_until
        last = self._grants.get(id(keys))
        if (
            last is not None
            and last.keys is keys
            and last.made_at <= now < last.made_at + _GRANT_SECONDS
            and last.generation == generation
            and last.trusted_until == trusted_until
        ):
            return last
        deadline = min(now + self.lifetime, trusted_until)
        grant = _Grant(now, deadline, keys, generation, trusted_until)
        self._grants[id(keys)] = grant
        return grant

    def discard(self, digest: bytes) -> None:
        """Remove `digest`, if it is cached."""
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._bytes -= _bytes_of(entry.verified)

    def clear(self) -> None:
        """Remove all entries; the counters stay."""
        self._entries.clear()
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


def _bytes_of(verified: Verified) -> int:
    """Return about the bytes of an entry alone; scopes and origin are shared."""
    return _ENTRY_BYTES + len(verified.payload)
