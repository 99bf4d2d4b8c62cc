"""Limits of sign-in attempts, and the contract of the stores that count them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, runtime_checkable

import msgspec

from linqi.errors import ConfigurationError

__all__ = ["AttemptLimit", "AttemptStore", "Counter", "CountsAttempts", "Full", "full_counter"]

_FORM: Final = re.compile(
    r"\s*([1-9][0-9]{0,3})\s*(?:per|/)\s*(?:([1-9][0-9]{0,4})\s+)?(second|minute|hour|day)s?\s*",
    re.I,
)
_UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MOST, _LONGEST = 1_000, 86_400


class AttemptLimit(msgspec.Struct, frozen=True):
    """How many attempts a moving window may contain.

    Attributes:
        most: Attempts, 1 to 1,000: a counter keeps one entry for each.
        seconds: The length of the window, at most a day.

    """

    most: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> AttemptLimit:
        """Return the limit that `text` describes, such as ``5 per 5 minutes`` or ``10 per hour``.

        Raises:
            ConfigurationError: The text has another form, or is out of range.

        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        most = int(found[1]) if found else 0
        seconds = int(found[2] or 1) * _UNITS[found[3].lower()] if found else 0
        if not (0 < most <= _MOST and 0 < seconds <= _LONGEST):
            raise ConfigurationError(
                [
                    f"the limit is {text!r}, expected 1 to {_MOST} attempts per time of at most a"
                    " day, such as '5 per 5 minutes' or '100 per hour'"
                ]
            )
        return cls(most, seconds)


class Counter(msgspec.Struct, frozen=True):
    """One thing whose attempts are counted, such as a name, and its limit."""

    key: str
    """At most 80 ASCII characters that do not reveal what is counted."""
    limit: AttemptLimit


class Full(msgspec.Struct, frozen=True):
    """A counter at its limit, and after how many seconds it accepts an attempt again."""

    key: str
    wait: float


@runtime_checkable
class AttemptStore(Protocol):
    """Counts attempts for all workers that share it.

    It connects when it is first used. Every operation is atomic and idempotent. All of them raise
    `Unavailable` when the counters cannot be reached in time; the operation may then have taken
    place. Entries expire by themselves, and the number of counters is bounded: those used longest
    ago are deleted.
    """

    async def reserve(
        self, attempt: str, counters: Sequence[Counter], now: float
    ) -> Sequence[Full]:
        """Count the attempt in all `counters`, or in none if one of them is full.

        Args:
            attempt: An id that no other attempt has.
            counters: At least one, with different keys.
            now: Unix seconds of a clock that all workers share, such as that of the sessions'
                store: the entries of a worker whose clock is ahead would free the counters of the
                others. An entry counts while it is less than the window away from `now`, before or
                after: a clock that is set back neither frees a counter at once nor keeps it full
                for longer than two windows.

        Returns:
            The counters that are full; empty if the attempt was counted.

        """
        ...

    async def release(self, attempt: str, counters: Sequence[Counter]) -> None:
        """Remove the entries of `attempt` from `counters`, and nothing else."""
        ...

    async def close(self) -> None:
        """Close connections and threads; the next operation connects again."""
        ...


@runtime_checkable
class CountsAttempts(Protocol):
    """A session store that has counters on its own engine, as all stores of linqi have."""

    def attempts(self) -> AttemptStore:
        """Return the counters, always the same; closed with the session store.

        They have connections of their own, so that failed sign-ins do not delay refreshes.
        """
        ...


def full_counter(counter: Counter, entries: Iterable[float], now: float) -> Full | None:
    """Return `counter` as a full one, or None if it accepts another attempt at `now`.

    Every store applies this rule, in Lua or SQL where it needs that to be atomic.

    Args:
        counter: The counter.
        entries: The instants of the other attempts that it holds.
        now: Unix seconds.

    """
    seconds = counter.limit.seconds
    counted = sorted(at for at in entries if abs(now - at) < seconds)
    surplus = len(counted) - counter.limit.most
    if surplus < 0:
        return None
    return Full(counter.key, min(seconds, counted[surplus] + seconds - now))
