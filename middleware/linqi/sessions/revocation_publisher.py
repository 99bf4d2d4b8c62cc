"""Revocations on their way out: refused here at once, then sent to every other worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from linqi.errors import Unavailable
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.sessions.device_token import owner_of
from linqi.sessions.record import Revocation, RevocationCause, SessionRecord
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore

__all__ = ["RevocationPublisher"]

_SENT_AT_ONCE: Final = 500
_MOST_UNSENT: Final = 100_000
"""In an outage; the oldest are then repeated only by the workers that do not know them."""


class RevocationPublisher:
    """Publishes each revocation until the last access token that it concerns is over.

    Every coroutine raises `Unavailable` if the store cannot be reached, or has too few replicas;
    this process then refuses the tokens, and the others may not. It may be called again.
    """

    def __init__(
        self, store: SessionStore, revocations: Revocations, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._clock = clock
        self._unsent: dict[str, None] = {}
        """Ids of sessions that this process refuses and whose revocation it has not published."""

    def refuse_session(self, session_id: str, at: float) -> None:
        """Refuse the tokens of a session in this process, before the store is asked."""
        self._refuse([_of_session(session_id, at)], at)

    async def revoke_sessions(self, session_ids: Sequence[str], at: float) -> None:
        """Refuse the tokens of sessions that were revoked at `at` (Unix seconds)."""
        await self._publish([_of_session(name, at) for name in session_ids], at)

    async def revoke_surplus(self, session_ids: Sequence[str], newest: str, at: float) -> None:
        """Refuse the tokens of sessions that gave way to the session `newest`.

        If that fails, `newest` ends, as its sign-in does: it would push out another one when the
        sign-in is repeated.
        """
        try:
            await self.revoke_sessions(session_ids, at)
        except Unavailable:
            with contextlib.suppress(Unavailable):
                await self._store.revoke(newest, at, "limit")
            raise

    async def revoke_subject(
        self, subject: str, session_ids: Sequence[str], at: float, kept_session: str
    ) -> None:
        """Refuse the tokens of `session_ids`, and those of `subject` that no store knows.

        The latter if their session began in a second before `at`, except those of `kept_session`.
        """
        whole = _of_subject(subject, at, kept_session)
        await self._publish([whole, *(_of_session(name, at) for name in session_ids)], at)

    async def end_subject(
        self, subject: str, *, kept_session: str, cause: RevocationCause
    ) -> Sequence[str]:
        """End all sessions of `subject` but `kept_session`, and return their ids.

        All device tokens of the subject end, too. The tokens are refused in this process before
        the store is asked.
        """
        now = self._clock()
        self._refuse([_of_subject(subject, now, kept_session)], now)
        await self._store.end_devices(owner_of(subject), now)
        ids = await self._store.revoke_all(subject, self._store.now(), cause, kept_session)
        await self.revoke_subject(subject, ids, now, kept_session)
        return ids

    async def revoke_token(self, token_id: str, expires_at: float | None, at: float) -> None:
        """Refuse the token whose ``jti`` is `token_id` until it expires.

        Where its ``exp`` is not known, for the longest life that a token can have.
        """
        revocation = Revocation(kind="token", value=token_id, at=at, until=at)
        if expires_at is None:
            await self._publish([revocation], at)
        else:
            await self._send([revocation.lasting(expires_at + LONGEST_LEEWAY)])

    async def repeat(self, record: SessionRecord, now: float, *, is_new: bool) -> None:
        """Publish the revocation of `record` if it `is_new` or was perhaps not published.

        The worker that revoked the session may have died before it published that, or its store may
        have failed. It also counts as new while a failover may undo its publication.
        """
        name = record.session_id
        if not is_new and name not in self._unsent and self._revocations.knows(name):
            return
        lifetime = await self._revocations.agree_on_lifetime()
        if record.revoked_at + lifetime + LONGEST_LEEWAY > now:
            # With the time of this publication: a follower begins where no later one was.
            await self._publish([_of_session(record.session_id, now)], record.revoked_at)

    async def announce_lifetime(self) -> None:
        """Send our access lifetime to workers that run with a shorter one, before its first token.

        Otherwise they would refuse the token, or forget its revocation too early.
        """
        longest = await self._revocations.agree_on_lifetime()
        now = self._clock()
        notice = Revocation(
            kind="lifetime", value=repr(longest), at=now, until=now + LONGEST_LEEWAY
        )
        await self._store.publish([notice])

    async def _publish(self, revocations: Sequence[Revocation], at: float) -> None:
        """Refuse what was revoked at `at` for as long as a token that it concerns can be valid.

        Here at once by the longest lifetime known here. The store then says the longest of the
        deployment, because another worker may make tokens that live longer. From the store's clock
        where that is later: by the clock of a worker that is behind it would end too early.
        """
        slices = [
            revocations[begin : begin + _SENT_AT_ONCE]
            for begin in range(0, len(revocations), _SENT_AT_ONCE)
        ]
        for some in slices:
            self._refuse(some, at)
            await asyncio.sleep(0)  # other requests run between the slices of thousands
        longest = await self._revocations.agree_on_lifetime()
        for some in slices:
            await self._send(_until(some, max(at, self._store.now()) + longest))

    def _refuse(self, revocations: Sequence[Revocation], at: float) -> None:
        self._revocations.add(_until(revocations, at + self._revocations.longest_lifetime))
        self._unsent |= dict.fromkeys(_sessions_of(revocations))
        while len(self._unsent) > _MOST_UNSENT:
            del self._unsent[next(iter(self._unsent))]

    async def _send(self, revocations: Sequence[Revocation]) -> None:
        self._revocations.add(revocations)
        await self._store.publish(revocations)
        for name in _sessions_of(revocations):
            self._unsent.pop(name, None)


def _of_session(session_id: str, at: float) -> Revocation:
    return Revocation(kind="session", value=session_id, at=at, until=at)


def _of_subject(subject: str, at: float, kept_session: str) -> Revocation:
    return Revocation(
        kind="subject", value=subject, at=float(int(at)), until=at, kept_session=kept_session
    )


def _sessions_of(revocations: Sequence[Revocation]) -> list[str]:
    return [revocation.value for revocation in revocations if revocation.kind == "session"]


def _until(revocations: Sequence[Revocation], last_expiry: float) -> list[Revocation]:
    """Return `revocations` that last until no token that expires by `last_expiry` is accepted."""
    until = last_expiry + LONGEST_LEEWAY
    return [revocation.lasting(until) for revocation in revocations]
