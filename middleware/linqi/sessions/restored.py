"""The sessions of a store that was restored from a backup: ended, or trusted."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from linqi.sessions.record import EVERY_SUBJECT, Revocation
from linqi.sessions.store import SessionStore

__all__ = [
    "EVERY_SUBJECT",
    "EndedPart",
    "Restorable",
    "RestoredSessions",
    "end_restored",
    "ended_part",
]

_SLACK_SECONDS: Final = 300.0
"""By how much a worker's clock, which dates sign-ins, may be ahead of that of the backup; and how
long a revocation outlives the tokens that it concerns, as of others."""
_DAY: Final = 86_400.0


class EndedPart(NamedTuple):
    """What was done with one part of the rows."""

    ended: int
    kept_since: float
    """When the oldest unrevoked session that is kept began; infinite if none is kept."""


class RestoredSessions(Protocol):
    """What can be done with the sessions of a restored store; its operations can be repeated."""

    def end(self, before: float, now: float) -> AsyncIterator[EndedPart]:
        """Revoke the sessions that began before `before`, part by part, with the cause ``lost``.

        Args:
            before: Unix seconds, compared with `SessionRecord.started_at`.
            now: When they are revoked, by the store's clock.

        """
        ...

    async def allow_forgotten(self, rotations: int, seconds: float) -> None:
        """Raise `SessionSettings.most_forgotten` of all workers to `rotations` for `seconds`.

        It is stored, and read in the step that decides, so workers need no restart. A later call
        takes the place of this one.
        """
        ...


@runtime_checkable
class Restorable(Protocol):
    """A session store whose backups can be restored."""

    def restored(self) -> RestoredSessions:
        """Return its sessions, after `SessionStore.start`."""
        ...


def ended_part(began: Sequence[float], before: float) -> EndedPart:
    """Return what ending those before `before` did with unrevoked sessions that began so."""
    kept = [instant for instant in began if instant >= before]
    return EndedPart(len(began) - len(kept), min(kept, default=math.inf))


async def end_restored(
    store: SessionStore, sessions: RestoredSessions, taken_at: float, *, now: float
) -> AsyncIterator[EndedPart]:
    """End all sessions that the backup contained, and refuse the access tokens of that time.

    A session that existed then may have been revoked since, and nothing in the store can show the
    contrary. Sessions that began later began after the restore: the backup has none of them. Their
    tokens stay valid, and tokens of all sessions that began before the first of them are refused,
    those included that the store does not know any more.

    Args:
        store: A started store.
        sessions: Its sessions.
        taken_at: The end of the backup, in Unix seconds.
        now: Unix seconds.

    Yields:
        What was done, part by part. If it is not read to its end, or raises, some sessions are not
        ended yet: it is to be called again.

    Raises:
        Unavailable: The store did not answer.

    """
    before = taken_at + _SLACK_SECONDS
    longest = await store.raise_lifetime(0.0) or _DAY

    async def refuse_before(instant: float) -> None:
        until = now + longest + _SLACK_SECONDS
        whole = float(math.floor(min(instant, now)))
        await store.publish(
            [Revocation(kind="subject", value=EVERY_SUBJECT, at=whole, until=until)]
        )

    await refuse_before(before)
    kept_since = math.inf
    async for part in sessions.end(before, store.now()):
        kept_since = min(kept_since, part.kept_since)
        yield part
    await refuse_before(kept_since)
