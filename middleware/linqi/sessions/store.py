"""The contract that every session store fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings

__all__ = [
    "REPEATED_SECONDS",
    "CountsEnded",
    "RevocationReader",
    "SessionStore",
    "WarnsAtStart",
]

REPEATED_SECONDS: Final = 60.0
"""How long after a revocation `SessionStore.revoke_all` returns the session again: a call whose
answer was lost may be repeated, and what it revoked is then published."""


class RevocationReader(Protocol):
    """Receives what a store's `follow` reads."""

    position: object
    """Where the next `follow` goes on: set by the store, None to begin anew. What came before it
    was passed to `add`, and the store can tell whether it still holds the same."""

    def begin_read(self) -> None:
        """Note that a read begins, before the store is asked."""
        ...

    def add(self, revocations: Sequence[Revocation]) -> None:
        """Receive revocations, old and new, in any order, possibly more than once.

        The caller passes no more at once than takes a few milliseconds, and lets the event loop run
        in between.
        """
        ...

    def caught_up(self) -> None:
        """Note that every revocation stored before the last `begin_read` was passed to `add`."""
        ...


@runtime_checkable
class SessionStore(Protocol):
    """Stores one row per session, and the revocations of the last access lifetime.

    Every operation is atomic and idempotent: a driver may send it again when a reply was lost. All
    of them raise `Unavailable` when the store does not answer in time; the operation may then have
    taken place. Instants are Unix seconds of the store's clock, so that workers whose clocks differ
    agree on the age of a session.
    """

    def now(self) -> float:
        """Return the store's clock as known from its last answers, without asking it.

        It is behind rather than ahead: by less than a round trip, unless the clock was set since.
        Raises `NotStarted` before `start`.
        """
        ...

    async def start(self) -> None:
        """Connect, and create the schema where the store does that itself."""
        ...

    async def close(self) -> None:
        """Close connections and threads; called after the last operation."""
        ...

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session, and revoke the subject's oldest sessions beyond the limit.

        Args:
            record: The new session.
            most_sessions: How many sessions of one subject may be live, at least 1. The oldest
                beyond that are revoked with the cause ``limit``.

        Returns:
            The ids of the sessions that were revoked.

        """
        ...

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Apply `linqi.sessions.refresh.decide_rotation` to a session and store the result.

        The store reads its clock in the atomic step. The command carries a deadline on that clock,
        the moment at which this call gives up: however late it is delivered after that, it changes
        nothing.
        """
        ...

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session, live or not; None if the store has none with this id."""
        ...

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        ...

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; return whether it exists, even if it was revoked before."""
        ...

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`, except the one whose id is `kept_session`.

        Many sessions are revoked in several steps, each of them atomic and short. Every session
        that was stored when the call began is revoked when it returns; one that is created
        meanwhile may be or not. If it raises, some may be revoked, and the call can be repeated.

        Returns:
            The ids of those that it revoked, and of those that were revoked in the last
            `REPEATED_SECONDS` before `now`, unless it knows that they were published. Sessions that
            ended earlier are not read.

        """
        ...

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest lifetime that access tokens of this deployment ever had.

        Raises the stored value to `seconds` if it is shorter, in one atomic step, and never lowers
        it: tokens made before a setting was shortened are still valid. 0 only reads it.

        Returns:
            The longest lifetime in seconds, at least `seconds`; 0 if none was ever stored.

        """
        ...

    async def end_devices(self, owner: str, now: float) -> None:
        """Store that the device tokens of `owner` that were made until now are no longer valid.

        Args:
            owner: `linqi.sessions.device_token.owner_of` the subject.
            now: Unix seconds. The stored instant rises in any case, whatever this clock says. It is
                kept for at least 400 days, the longest that a device token can be valid.

        """
        ...

    async def devices_ended_at(self, owner: str) -> float:
        """Return the instant that `end_devices` stored last for `owner`; 0 if there is none."""
        ...

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Store `revocations` until their end, and send them to every worker."""
        ...

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Pass every revocation whose end is after `since` to `reader`, then later ones.

        Runs until it is cancelled. It calls ``reader.caught_up`` once all of them were passed, and
        then at least every second while the store can be reached; raises `Unavailable` as soon as
        it cannot. A later call with the same `reader` goes on at ``reader.position`` where the
        store can prove that nothing else was missed, and begins anew otherwise.
        """
        ...

    async def purge(self, now: float, most: int) -> int:
        """Delete sessions that are over, and revocations and ends of device tokens past their end.

        At most `most` of each kind, in a step so short that no request notices it. Workers that
        call it at the same time do not wait for each other: one of them deletes, and the others may
        find nothing to do. A session is not deleted before its refresh tokens are expired, so that
        the reuse of one is detected; some stores keep it until the session's end.

        Returns:
            How many rows were deleted. If it is at least `most`, more may be over.

        """
        ...


@runtime_checkable
class CountsEnded(Protocol):
    """A store that keeps what is over until it is purged, and can count it."""

    async def count_ended(self, now: float, most: int) -> int:
        """Return how many rows `SessionStore.purge` would delete at `now`; at most `most`."""
        ...


@runtime_checkable
class WarnsAtStart(Protocol):
    """A store whose `start` judges the settings of its servers."""

    warnings: Sequence[str]
    """What the settings may lose, and what could not be found out; set by `start`."""
