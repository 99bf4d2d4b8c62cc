"""Mutants of revocation: what was signed out or stolen is still accepted."""

from __future__ import annotations

import asyncio

import msgspec

from linqi.errors import Unavailable
from linqi.jose.age import check_age
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import PARTITION, REVOKE, TABS

_FOLLOW = "linqi.stores.sqlite:SQLiteStore.follow"


class _Through:
    """A reader of the feed to which `add` passes the revocations on in its own way.

    What the worker itself revokes does not come through it.
    """

    def __init__(self, reader, add):
        self._reader, self._add = reader, add
        self.begin_read, self.caught_up = reader.begin_read, reader.caught_up

    @property
    def position(self):
        return self._reader.position

    @position.setter
    def position(self, position):
        self._reader.position = position

    def add(self, revocations):
        self._add(self._reader, revocations)


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def logout_revokes_nothing(patch: Patch) -> None:
    """A sign-out is answered 204, and neither token is revoked."""

    @patch("linqi.sessions.dual:Sessions.revoke_refresh_token")
    async def revoke_refresh_token(original, self, refresh_token):
        return True


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def logout_leaves_access_tokens(patch: Patch) -> None:
    """A sign-out revokes the refresh token, but not the access tokens of the session."""

    @patch("linqi.sessions.revocation_publisher:RevocationPublisher.revoke_sessions")
    async def revoke_sessions(original, self, session_ids, at):
        return


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def refresh_after_logout(patch: Patch) -> None:
    """The refresh token of a signed-out session is still redeemed."""

    @patch("linqi.stores.sqlite:decide_rotation", is_counted=False)
    def decide_rotation(original, record, counter, now, settings, deadline):
        if record is not None and record.cause == "logout":
            patch.reach()
            record = msgspec.structs.replace(record, revoked_at=0.0, cause="")
        return original(record, counter, now, settings, deadline)


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def cached_tokens_are_never_revoked(patch: Patch) -> None:
    """Revocation is asked for when a token is verified, and not for a cache hit."""

    @patch("linqi.jose.verifier:Verifier.recheck", is_counted=False)
    def recheck(original, self, verified):
        if self.cache is None or verified.digest not in self.cache._entries:
            original(self, verified)
            return
        if self._is_revoked is not None and self._is_revoked(verified):
            patch.reach()
        check_age(verified, self._clock(), self.leeway, self.bridge, self._schedule)


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def feed_of_revocations_is_dead(patch: Patch) -> None:
    """What other workers revoke does not arrive."""

    def lose(reader, revocations):
        if any(revocation.kind == "session" for revocation in revocations):
            patch.reach()

    @patch(_FOLLOW, is_counted=False)
    async def follow(original, self, since, reader):
        await original(self, since, _Through(reader, lose))


@mutant(PARTITION, killed_by="revoked tokens accepted past the bound")
def worker_without_store_trusts_what_it_knows(patch: Patch) -> None:
    """A worker that lost the store goes on with the revocations that it knew, for ever."""

    @patch("linqi.sessions.revocation:Revocations.is_revoked")
    def is_revoked(original, self, verified):
        try:
            return original(self, verified)
        except Unavailable:
            return False


@mutant(REVOKE, killed_by="revoked tokens accepted past the bound")
def feed_of_revocations_is_3_seconds_late(patch: Patch) -> None:
    """What other workers revoke arrives 3 s later."""

    def add_later(reader, revocations):
        if revocations:
            patch.reach()
            asyncio.get_running_loop().call_later(3, reader.add, revocations)

    @patch(_FOLLOW, is_counted=False)
    async def follow(original, self, since, reader):
        await original(self, since, _Through(reader, add_later))


@mutant(TABS, killed_by="sessions that survived a detected theft")
def access_tokens_survive_reuse(patch: Patch) -> None:
    """Reuse revokes the refresh tokens, but not the access token that the thief holds."""

    @patch("linqi.sessions.revocation_publisher:RevocationPublisher.repeat")
    async def repeat(original, self, record, now, *, is_new):
        return
