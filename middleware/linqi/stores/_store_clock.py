"""The clock of a server, as known from the instants in its answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from linqi.errors import NotStarted

__all__ = ["StoreClock"]


class StoreClock:
    """The lowest instant that a server's clock can show now, without a round trip.

    It adds an offset to the monotonic clock of this process: the wall clock here does not matter.
    An answer that came at `received` with the server's instant `at` says that the offset is at
    least ``at - received``; the greatest of these is kept, so the error is the quickest way back
    from the server, and a deadline made of it ends too early rather than too late. An answer whose
    command was sent at `sent` cannot have an offset above ``at - sent``: if that is less than what
    is kept, the server's clock was set back or another server answers, and the offset begins anew.
    A clock that was set forward raises the offset with its first answer.

    Args:
        what: The service, for the error of one that was not started.
        monotonic: Returns seconds that only rise.

    """

    __slots__ = ("_monotonic", "_offset", "_what")

    def __init__(self, what: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._monotonic = monotonic
        self._offset: float | None = None

    def now(self) -> float:
        """Return the lowest instant, in Unix seconds; raise `NotStarted` before any answer."""
        if self._offset is None:
            raise NotStarted(self._what)
        return self._monotonic() + self._offset

    def sent(self) -> float:
        """Return the monotonic instant at which a command is sent, for `learn`."""
        return self._monotonic()

    def learn(self, at: float, sent: float) -> None:
        """Take over the server's instant `at` from the answer to a command of `sent`."""
        least = at - self._monotonic()
        if self._offset is None or least > self._offset or at - sent < self._offset:
            self._offset = least
