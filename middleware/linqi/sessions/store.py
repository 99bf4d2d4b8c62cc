"""The contract that every session store fulfils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings

__all__ = ["OnRevocations", "SessionStore"]

OnRevocations: TypeAlias = Callable[[Sequence[Revocation]], None]
"""Receives revocations, old and new, in any order, possibly more than once. An empty sequence says
that the store was read and has nothing new."""


@runtime_checkable
class SessionStore(Protocol):
    """Stores one row per session, and the revocations of the last access lifetime.

    Every operation is atomic and idempotent: a driver may send it again when a reply was lost. All
    of them raise `Unavailable` when the store does not answer in time; the operation may then have
    taken place. Instants are Unix seconds of the caller's clock.
    """

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
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> RotationOutcome:
        """Apply `linqi.sessions.refresh.decide_rotation` to a session and store the result."""
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

        Returns:
            The ids of all that are revoked now, those revoked before included.

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

    async def follow(self, since: float, on_revocations: OnRevocations) -> None:
        """Pass every revocation whose end is after `since` to `on_revocations`, then later ones.

        Runs until it is cancelled. `on_revocations` is called at least every second while the store
        can be reached; raises `Unavailable` as soon as it cannot.
        """
        ...

    async def purge(self, now: float, most: int) -> int:
        """Delete at most `most` sessions that are over, and revocations past their end.

        A session is not deleted before its refresh tokens are expired, so that the reuse of one is
        detected; some stores keep it until the session's end.

        Returns:
            How many sessions were deleted.

        """
        ...
