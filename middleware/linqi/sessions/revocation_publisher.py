"""Revocations on their way out: refused here at once, then sent to every other worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore

__all__ = ["RevocationPublisher"]

_SLACK_SECONDS: Final = 300
"""Revocations outlive the last token they concern by the longest leeway of a verifier."""


class RevocationPublisher:
    """Publishes each revocation until the last access token that it concerns is over.

    Every method raises `Unavailable` if the store cannot be reached; this process then refuses the
    tokens, and the others may not.
    """

    def __init__(
        self, store: SessionStore, revocations: Revocations, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._clock = clock

    async def revoke_sessions(self, session_ids: Sequence[str], at: float) -> None:
        """Refuse the tokens of sessions that were revoked at `at` (Unix seconds)."""
        await self._publish([_of_session(name, at) for name in session_ids], at)

    async def revoke_subject(
        self, subject: str, session_ids: Sequence[str], at: float, kept_session: str
    ) -> None:
        """Refuse the tokens of `session_ids`, and those of `subject` that no store knows.

        The latter if their session began in a second before `at`, except those of `kept_session`.
        """
        whole = Revocation(
            kind="subject",
            value=subject,
            at=float(int(at)),
            until=at,
            kept_session=kept_session,
        )
        await self._publish([whole, *(_of_session(name, at) for name in session_ids)], at)

    async def revoke_token(self, token_id: str, expires_at: float | None, at: float) -> None:
        """Refuse the token whose ``jti`` is `token_id` until it expires.

        Where its ``exp`` is not known, for the longest life that a token can have.
        """
        revocation = Revocation(kind="token", value=token_id, at=at, until=at)
        if expires_at is None:
            await self._publish([revocation], at)
        else:
            await self._send([revocation.lasting(expires_at + _SLACK_SECONDS)])

    async def repeat(self, record: SessionRecord, now: float) -> None:
        """Publish the revocation of `record` if this process does not know it.

        The worker that revoked the session may have died before it published that.
        """
        if self._revocations.knows(record.session_id):
            return
        lifetime = await self._revocations.agree_on_lifetime()
        if record.revoked_at + lifetime + _SLACK_SECONDS > now:
            await self.revoke_sessions([record.session_id], record.revoked_at)

    async def announce_lifetime(self) -> None:
        """Send our access lifetime to workers that run with a shorter one, before its first token.

        Otherwise they would refuse the token, or forget its revocation too early.
        """
        longest = await self._revocations.agree_on_lifetime()
        now = self._clock()
        notice = Revocation(
            kind="lifetime", value=repr(longest), at=now, until=now + _SLACK_SECONDS
        )
        await self._store.publish([notice])

    async def _publish(self, revocations: Sequence[Revocation], at: float) -> None:
        """Refuse what was revoked at `at` for as long as a token that it concerns can be valid.

        Here at once by the longest lifetime known here. The store then says the longest of the
        deployment, because another worker may make tokens that live longer.
        """
        self._revocations.add(_until(revocations, at + self._revocations.longest_lifetime))
        longest = await self._revocations.agree_on_lifetime()
        await self._send(_until(revocations, at + longest))

    async def _send(self, revocations: Sequence[Revocation]) -> None:
        self._revocations.add(revocations)
        await self._store.publish(revocations)


def _of_session(session_id: str, at: float) -> Revocation:
    return Revocation(kind="session", value=session_id, at=at, until=at)


def _until(revocations: Sequence[Revocation], last_expiry: float) -> list[Revocation]:
    """Return `revocations` that last until no token that expires by `last_expiry` is accepted."""
    until = last_expiry + _SLACK_SECONDS
    return [revocation.lasting(until) for revocation in revocations]
