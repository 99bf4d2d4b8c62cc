"""Tokens that were verified a moment ago, so that a repeated one costs a hash and a look-up."""

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
"""An entry without its payload: objects, digest, table, and the three names once they were read.
Measured as the growth of a process over 100,000 entries (``linqi bench``), rounded up."""
_GRANT_SECONDS: Final = 0.25
"""Entries made within this time share one deadline, the earliest one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a cache holds and what it did since it was made."""

    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int
    max_entries: int
    max_bytes: int


class _Grant(msgspec.Struct, frozen=True, gc=False):
    """Until when, and under which generation of which keys, an entry counts."""

    made_at: float
    deadline: float
    keys: KeySource
    generation: int
    trusted_until: float


class _Entry(msgspec.Struct, frozen=True, gc=False):
    verified: Verified
    grant: _Grant


class VerifiedCache:
    """The least recently used verified tokens, by the SHA-256 of the whole token.

    Holds at most `max_entries` tokens and about `max_bytes` bytes; an entry lives for `lifetime`
    seconds of the `monotonic` clock, less if a key of its issuer is withdrawn or its issuer's keys
    get too old to be believed. Whoever asks must
    compare ``exp``, which is a matter of the wall clock. One verifier owns it, in one thread.
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
        """Take the cache for one verifier: what another policy let through is not valid here."""
        if self._claimed:
            raise ConfigurationError(["two verifiers share one cache; give each its own"])
        self._claimed = True

    def get(self, digest: bytes) -> Verified | None:
        """Give what `digest` was verified as, if that still counts."""
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
        """Remember `verified` by a key of `keys`, evicting the least recently used for it."""
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
        """Give the grant of a moment ago if nothing changed: a shared one saves 100 bytes."""
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
        """Forget `digest`, if it is here."""
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._bytes -= _bytes_of(entry.verified)

    def clear(self) -> None:
        """Forget everything; the counters go on."""
        self._entries.clear()
        self._bytes = 0

    def info(self) -> CacheInfo:
        """Give the counters as they stand."""
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
    """Give about the bytes that an entry holds for itself alone; scopes and origin are shared."""
    return _ENTRY_BYTES + len(verified.payload)
