"""How many rows of a store one purge deletes, and when the next one follows: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["PurgePace"]

_LEAST, _FIRST, _MOST = 10, 100, 500
_AIM_SECONDS: Final = 0.02
"""How long one purge should take: a request that waits for it does not notice."""
_REST: Final = 3.0
"""Pause after a purge, in multiples of its time: three quarters of the time are for requests."""
_SHORTEST, _LONGEST = 0.1, 30.0
"""Bounds of the pause in seconds where nothing more is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgePace:
    """The next purge. While more is over than one purge deletes, they follow each other.

    A purge that takes long, because the store is busy or slow, is followed by smaller ones and by
    longer pauses.
    """

    per_second: float
    """The most rows that are deleted in a second."""
    most: int = _FIRST
    """How many rows the purge deletes at most of each kind."""
    pause: float = _LONGEST
    """Seconds before it."""
    is_behind: bool = False
    """Whether more may be over than the purge before has deleted."""

    def after(self, deleted: int, took: float) -> PurgePace:
        """Return the pace after a purge.

        Args:
            deleted: How many rows it deleted of all kinds.
            took: Its seconds, waiting for the store included.

        """
        most, is_behind = self.most, deleted >= self.most
        if took > 2 * _AIM_SECONDS:
            most = max(_LEAST, most // 2)
        elif is_behind and took < _AIM_SECONDS / 2:
            most = min(_MOST, most * 2)
        if is_behind:
            pause = max(deleted / self.per_second, took * _REST)
        else:
            pause = min(max(self.pause * 2, _SHORTEST), _LONGEST)
        return PurgePace(per_second=self.per_second, most=most, pause=pause, is_behind=is_behind)

    def after_failure(self) -> PurgePace:
        """Return the pace after a purge that the store refused or did not answer."""
        most = max(_LEAST, self.most // 2)
        return PurgePace(per_second=self.per_second, most=most, pause=_LONGEST)
