"""What keeps sessions: the contract that every store fulfils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from linqi.sessions.record import Outcome, Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings

__all__ = ["SessionStore", "Take"]

Take: TypeAlias = Callable[[Sequence[Revocation]], None]
"""Receives revocations, old and new, in any order and more than once; an empty sequence says that
there is nothing new up to now."""


@runtime_checkable
class SessionStore(Protocol):
    """Keeps one row a session, and the revocations of the last access lifetime.

    Every operation is atomic, and doing it twice does no more than doing it once: a driver may
    send it again when a reply was lost. All of them raise `Unavailable` when the store cannot be
    reached in time; what they were asked may then have happened. Instants are Unix seconds of the
    caller's clock.
    """

    async def start(self) -> None:
        """Connect, and make the schema where that is the store's own to make."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads; called after the last operation."""
        ...

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Keep a new session and give the ids of those that are over for its sake.

        Of one subject at most `most_sessions` live: the oldest are revoked (``limit``).
        """
        ...

    async def present(
        self, session_id: str, counter: int, now: float, settings: SessionSettings
    ) -> Outcome:
        """Apply `linqi.sessions.refresh.judge` to a session and keep what came of it."""
        ...

    async def get(self, session_id: str) -> SessionRecord | None:
        """Give a session, whether live or not."""
        ...

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Give the live sessions of `subject`, oldest first."""
        ...

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; tell whether there is one, revoked just now or before."""
        ...

    async def revoke_all(
        self, subject: str, now: float, cause: str, spared: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject` but `spared`; give the ids of all that are revoked."""
        ...

    async def raise_lifetime(self, seconds: float) -> float:
        """Keep the longest life that an access token of this deployment ever had.

        Raises the kept one to `seconds` where it is shorter, in one atomic step, and never lowers
        it: tokens made before a setting was shortened live on. 0 only reads it.

        Returns:
            The longest life in seconds, at least `seconds`; 0 where none was ever kept.

        """
        ...

    async def end_devices(self, owner: str, now: float) -> None:
        """Keep that the device tokens of `owner` that were made until now are over.

        Args:
            owner: `linqi.sessions.device_token.owner_of` the subject.
            now: Unix seconds. The kept instant rises in any case, whatever this clock says. It is
                kept for 400 days at least, the longest that a device token can be good.

        """
        ...

    async def devices_ended_at(self, owner: str) -> float:
        """Return the instant that `end_devices` kept last for `owner`; 0 if there is none."""
        ...

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Keep `revocations` until their end, and have every worker hear of them."""
        ...

    async def follow(self, since: float, take: Take) -> None:
        """Give `take` every revocation that is alive at `since` and later ones as they come.

        Runs until it is cancelled. `take` is called at least every second while the store can be
        reached; raises `Unavailable` as soon as it cannot.
        """
        ...

    async def purge(self, now: float, most: int) -> int:
        """Forget at most `most` sessions that are over, and revocations past their end.

        Gives how many sessions it forgot. None goes before its refresh tokens are expired, so
        that the reuse of one is known; some stores keep it until the session's end.
        """
        ...
