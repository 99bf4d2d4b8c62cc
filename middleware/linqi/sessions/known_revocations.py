"""Revocations as compact tables, from which those that are over are deleted in small parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from linqi.sessions.record import Revocation
from linqi.sessions.revoked_names import RevokedNames

__all__ = ["ClaimsMark", "KnownRevocations", "SubjectMarks"]

_GRAIN_BITS: Final = 3
_GRAIN: Final = 1 << _GRAIN_BITS
"""Ends are rounded up to so many seconds, so that revocations of one time share one object."""
_FAR: Final = 1e12
_MOMENT_BITS: Final = 40
_MOMENTS: Final = (1 << _MOMENT_BITS) - 1
_MOST_SHARED: Final = 10_000
_Mark: TypeAlias = tuple[float, str, int]
"""When a subject was revoked, the session that was kept, and the end."""


class SubjectMarks(msgspec.Struct, frozen=True, eq=False, gc=False):
    """When a subject was revoked, perhaps several times; compared by identity.

    It is not tracked by the garbage collector, because it can be in no cycle.
    """

    marks: tuple[_Mark, ...]

    def concern(self, began: float, session_id: str | None) -> bool:
        """Return whether the session that began at `began` (Unix seconds) is revoked."""
        return any(
            began < at and session_id != (kept_session or None)
            for at, kept_session, _ in self.marks
        )

    def joined(self, new: SubjectMarks) -> SubjectMarks:
        """Return both, without the marks that another makes superfluous.

        Otherwise a subject that is revoked every second would have thousands.
        """
        marks = self.marks
        for mark in new.marks:
            if not any(_covers(known, mark) for known in marks):
                marks = (*(known for known in marks if not _covers(mark, known)), mark)
        return SubjectMarks(marks)

    def remaining(self, now: float, moment: float) -> SubjectMarks | None:
        """Return those that are not over, None if all are."""
        left = tuple(mark for mark in self.marks if not _is_over(mark[2], now, moment))
        if len(left) == len(self.marks):
            return self
        return SubjectMarks(left) if left else None


class ClaimsMark(msgspec.Struct, frozen=True, gc=False):
    """When the claims of a subject changed last, in Unix seconds, and until when that matters."""

    at: float
    end: int

    def joined(self, new: ClaimsMark) -> ClaimsMark:
        """Return the later of both."""
        return ClaimsMark(max(self.at, new.at), _later(self.end, new.end))


class KnownRevocations:
    """The revocations of sessions, single tokens and subjects, and changed claims, in tables.

    A million sessions take 73 MB, and are added, searched and deleted in pauses of a few
    milliseconds at most.
    """

    def __init__(self) -> None:
        # Each value is one end by both clocks: see `_end`.
        self.sessions: RevokedNames[int] = RevokedNames()
        self.tokens: RevokedNames[int] = RevokedNames()
        self.subjects: RevokedNames[SubjectMarks] = RevokedNames()
        self.claims: RevokedNames[ClaimsMark] = RevokedNames()
        self.latest_mark = 0.0
        """The latest mark of any subject, in Unix seconds; it only rises."""
        self._shared: dict[Any, Any] = {}

    def add(
        self, revocations: Sequence[Revocation], *, now: float, moment: float, longest: float
    ) -> None:
        """Add revocations of sessions, tokens and subjects; one may be added more than once.

        Args:
            revocations: The revocations.
            now: Unix seconds.
            moment: Seconds of the monotonic clock, now.
            longest: The longest in seconds that one is kept, so that a clock that was wrong here
                keeps none for ever.

        """
        ends: dict[int, int] = {}
        for revocation in revocations:
            grain = int(min(revocation.until, _FAR)) >> _GRAIN_BITS
            end = ends.get(grain)
            if end is None:
                end = ends[grain] = self._end(grain, now, moment, longest)
            if revocation.kind == "session":
                self.sessions.keep(revocation.value, end, _later)
            elif revocation.kind == "token" and not revocation.value:
                mark = ClaimsMark(revocation.at, end)
                self.claims.keep(revocation.kept_session, mark, ClaimsMark.joined)
                self.latest_mark = max(self.latest_mark, revocation.at)
            elif revocation.kind == "token":
                self.tokens.keep(revocation.value, end, _later)
            elif revocation.kind == "subject":
                marks = self._marks((revocation.at, revocation.kept_session, end))
                self.subjects.keep(revocation.value, marks, SubjectMarks.joined)

    def sweep(self, now: float, moment: float) -> None:
        """Delete some of those that are over by both clocks; 128 calls sweep all."""
        remaining: Callable[[int], int | None] = lambda end: (  # noqa: E731
            None if _is_over(end, now, moment) else end
        )
        self.sessions.sweep(remaining)
        self.tokens.sweep(remaining)
        self.subjects.sweep(lambda marks: marks.remaining(now, moment))
        self.claims.sweep(lambda mark: None if _is_over(mark.end, now, moment) else mark)

    def _end(self, grain: int, now: float, moment: float, longest: float) -> int:
        """Return an end in Unix seconds and by the monotonic clock as one integer, rounded up.

        An integer, unlike a tuple, keeps the dicts that hold a million of them out of the garbage
        collector, which would need milliseconds for them.
        """
        until = max(grain, 0) + 1
        left = min(max(0.0, until * _GRAIN - now), longest)
        moments = int(min(moment + left, _FAR)) + _GRAIN >> _GRAIN_BITS
        end = until << _MOMENT_BITS | moments
        shared: int = self._shared_one(end, end)
        return shared

    def _marks(self, mark: _Mark) -> SubjectMarks:
        marks = SubjectMarks((mark,))
        return marks if mark[1] else self._shared_one(mark, marks)

    def _shared_one(self, key: Any, value: Any) -> Any:
        """Return the object that all equal values share."""
        if len(self._shared) > _MOST_SHARED:
            self._shared.clear()
        return self._shared.setdefault(key, value)


def _covers(one: _Mark, other: _Mark) -> bool:
    """Return whether `one` revokes all that `other` does, for as long."""
    at, kept_session, end = one
    return at >= other[0] and kept_session in ("", other[1]) and _later(end, other[2]) == end


def _later(one: int, other: int) -> int:
    """Return an end that neither of two is after, by either clock."""
    until = max(one >> _MOMENT_BITS, other >> _MOMENT_BITS)
    return until << _MOMENT_BITS | max(one & _MOMENTS, other & _MOMENTS)


def _is_over(end: int, now: float, moment: float) -> bool:
    return (end >> _MOMENT_BITS) * _GRAIN <= now and (end & _MOMENTS) * _GRAIN <= moment
