"""A table of revoked names that grows, forgets and is searched without a long pause."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["RevokedNames"]

_V = TypeVar("_V")

_SHARDS: Final = 256
_KEY: Final = (1 << 60) - 1
_SWEPT_AT_ONCE: Final = 2
_MOST_NOT_FOUND: Final = 39_000
"""A set of so many names takes 1 MB, and grows in pauses below 2 ms; the next would take 4 MB."""


class RevokedNames(Generic[_V]):
    """Names, each with a value that says until when it is revoked, and from which instant.

    A million names in one dict take 20 to 60 ms whenever it grows, in which no request is answered:
    here 256 small ones grow one after the other. A name is kept as 60 bits of its hash, keyed by a
    secret of this object: a name that is not revoked is taken for one of a million with a
    probability of 1e-12. An integer of more bits takes 48 bytes instead of 32. Values that are
    integers keep the dicts out of the garbage collector.

    `keep` and `find` may be called by several threads.
    """

    def __init__(self) -> None:
        # Not the bare hash: with PYTHONHASHSEED set, users could choose names that collide.
        self._salt = secrets.token_hex(8)
        self._shards: list[dict[int, _V]] = [{} for _ in range(_SHARDS)]
        self._swept = 0
        self._lock = threading.Lock()
        self.count = 0
        """How many names the table has."""
        self.not_found: set[str | None] = set()
        """Names that `find` did not find, and that were not kept since: a look-up in this set costs
        40 ns less than the hash of a name and its shard take (0.2 us)."""

    def keep(self, name: str, value: _V, joined: Callable[[_V, _V], _V]) -> None:
        """Add `name`; where it is known already, with what `joined` makes of both values."""
        key = hash(self._salt + name) & _KEY
        with self._lock:
            shard = self._shards[key & _SHARDS - 1]
            known = shard.get(key)
            if known is None:
                self.count += 1
                shard[key] = value
            elif known != value:
                shard[key] = joined(known, value)
            self.not_found.discard(name)

    def find(self, name: str | None) -> _V | None:
        """Return the value of `name`; None if it is not revoked, which is then remembered."""
        key = hash(f"{self._salt}{name}") & _KEY
        with self._lock:
            found = None if name is None else self._shards[key & _SHARDS - 1].get(key)
            if found is None:
                if len(self.not_found) >= _MOST_NOT_FOUND:
                    self.not_found.clear()
                self.not_found.add(name)
            return found

    def has(self, name: str) -> bool:
        """Return whether `name` is revoked, without remembering it."""
        key = hash(self._salt + name) & _KEY
        return key in self._shards[key & _SHARDS - 1]

    def sweep(self, remaining: Callable[[_V], _V | None]) -> None:
        """Forget what is over in the next few shards; 128 calls sweep the table.

        Args:
            remaining: Returns what is left of a value, None if nothing is.

        """
        for _ in range(_SWEPT_AT_ONCE):
            self._sweep_shard(self._swept, remaining)
            self._swept = (self._swept + 1) % _SHARDS

    def _sweep_shard(self, number: int, remaining: Callable[[_V], _V | None]) -> None:
        with self._lock:
            shard = self._shards[number]
            left = {value: remaining(value) for value in {*shard.values()}}
            if all(value is after for value, after in left.items()):
                return
            kept = {key: after for key, v in shard.items() if (after := left[v]) is not None}
            self.count += len(kept) - len(shard)
            self._shards[number] = kept
