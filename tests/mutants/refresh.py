"""Mutants of rotation: spent refresh tokens, races and lost writes."""

from __future__ import annotations

import asyncio
import dataclasses

from linqi.sessions.record import OutcomeKind, RotationOutcome
from linqi.sessions.refresh import _advanced
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import DUAL, LONG_DUAL, LOST_REPLIES, TABS

_DECIDE = "linqi.stores.sqlite:decide_rotation"


@mutant(TABS, killed_by="stolen refresh tokens accepted")
def spent_refresh_tokens_are_accepted(patch: Patch) -> None:
    """A spent refresh token gets the current successor, however old it is."""
    _answer(patch, "reused", "replayed")


@mutant(TABS, killed_by="sessions that survived a detected theft")
def reuse_is_not_detected(patch: Patch) -> None:
    """A spent refresh token is refused, and nothing is revoked: the thief keeps the session."""
    _answer(patch, "reused", "expired")


@mutant(TABS, killed_by="sessions that survived a detected theft")
def reuse_is_reported_but_not_revoked(patch: Patch) -> None:
    """Reuse is refused and reported, but the family goes on."""
    _answer(patch, "reused", "reused")


@mutant(LONG_DUAL, killed_by="spent refresh tokens replayed after the grace")
def grace_without_end(patch: Patch) -> None:
    """The previous refresh token gets the current successor for ever: a thief shares it."""

    @patch(_DECIDE, is_counted=False)
    def decide_rotation(original, record, counter, now, settings, deadline):
        outcome = original(record, counter, now, settings, deadline)
        if outcome.kind not in ("recovered", "reused") or counter != record.parent:
            return outcome
        patch.reach()
        return RotationOutcome("replayed", record, now)


@mutant(TABS, killed_by="refresh families killed without theft")
def race_kills_the_family(patch: Patch) -> None:
    """There is no grace: of two tabs that refresh at once, the second ends the session."""
    _without_grace(patch)


@mutant(LOST_REPLIES, killed_by="refresh families killed without theft")
def lost_reply_ends_the_session(patch: Patch) -> None:
    """A client that lost the reply of a refresh and tries again is taken for a thief."""
    _without_grace(patch)


@mutant(TABS, killed_by="replays within the grace with another successor")
def replay_makes_another_child(patch: Patch) -> None:
    """Each of several parallel refreshes gets a refresh token of its own."""
    _answer(patch, "replayed", "recovered", _advanced)


@mutant(TABS, killed_by="stolen refresh tokens accepted")
def rotation_is_not_written(patch: Patch) -> None:
    """Rotations are answered and not stored: a spent token counts as the current one."""

    @patch("linqi.stores.sqlite:_put", is_counted=False)
    def _put(original, connection, record):
        if record.revoked_at:
            original(connection, record)
        else:
            patch.reach()


@mutant(DUAL, killed_by="delay of renewals beside other requests, milliseconds")
def refresh_half_a_second_slower(patch: Patch) -> None:
    """Each refresh takes 0.5 s longer."""

    @patch("linqi.sessions.refreshing:Refreshing._refresh")
    async def _refresh(original, self, refresh_token, scopes):
        await asyncio.sleep(0.5)
        return await original(self, refresh_token, scopes)


def _as_it_was(record, counter, now, settings):
    return record


def _answer(patch: Patch, right: OutcomeKind, wrong: OutcomeKind, stored=_as_it_was) -> None:
    """Answer with an outcome of kind `wrong` in place of `right`, and with the row of `stored`."""

    @patch(_DECIDE, is_counted=False)
    def decide_rotation(original, record, counter, now, settings, deadline):
        outcome = original(record, counter, now, settings, deadline)
        if outcome.kind != right:
            return outcome
        patch.reach()
        return RotationOutcome(wrong, stored(record, counter, now, settings), now)


def _without_grace(patch: Patch) -> None:
    @patch(_DECIDE)
    def decide_rotation(original, record, counter, now, settings, deadline):
        strict = dataclasses.replace(settings, grace=0, recover_seconds=0)
        return original(record, counter, now, strict, deadline)
