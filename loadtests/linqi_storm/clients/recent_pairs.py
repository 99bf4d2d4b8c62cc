"""The last few keys of a session with their values, by hash."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from typing import Final

__all__ = ["RecentPairs"]

_PAIR: Final = struct.Struct("<qq")
_KEY: Final = struct.Struct("<q")


class RecentPairs:
    """A mapping that forgets its oldest keys, and holds hashes of 64 bits.

    A pair takes 16 bytes; a dictionary of tokens would hold 500 for each of them, in each of
    100,000 sessions. Two of a session's last values share a hash once in 2 to the power of 59
    times, and Python draws the hash of strings anew in each process.

    Args:
        most: The number of keys that are kept.

    """

    __slots__ = ("_most", "_packed")

    def __init__(self, most: int) -> None:
        self._most = most * _PAIR.size
        self._packed = b""

    def get(self, key: Hashable) -> int | None:
        """Return the hash of the value of `key`, or None if it is not known."""
        place = self._place(key)
        return None if place is None else int(_PAIR.unpack_from(self._packed, place)[1])

    def put(self, key: Hashable, value: Hashable) -> None:
        """Set the value of `key`; a new key may push the oldest one out."""
        pair, place = _PAIR.pack(hash(key), hash(value)), self._place(key)
        if place is None:
            self._packed = (self._packed + pair)[-self._most :]
        else:
            self._packed = self._packed[:place] + pair + self._packed[place + _PAIR.size :]

    def clear(self) -> None:
        """Forget all keys."""
        self._packed = b""

    def _place(self, key: Hashable) -> int | None:
        wanted = _KEY.pack(hash(key))
        for place in range(0, len(self._packed), _PAIR.size):
            if self._packed.startswith(wanted, place):
                return place
        return None
