"""Mutants of identity: whose token a successor is, and what it says of its user."""

from __future__ import annotations

import secrets

import msgspec

from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import LOST_REPLIES, SHORT, TABS

_REGISTERED = frozenset(
    {"iss", "aud", "sub", "sid", "auth_time", "session_end", "iat", "exp", "jti", "scope"}
)
_ISSUE = "linqi.sessions.sliding:SlidingRenewal._issue"


@mutant(SHORT, killed_by="successors with another identity")
def successors_name_one_user(patch: Patch) -> None:
    """Every successor names user-0."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "sub": "user-0"}, now)


@mutant(SHORT, killed_by="successors with another identity")
def successor_without_subject(patch: Patch) -> None:
    """Successors have no ``sub``."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {name: claims[name] for name in claims if name != "sub"}, now)


@mutant(SHORT, killed_by="successors with another identity")
def successor_without_application_claims(patch: Patch) -> None:
    """Successors lose the claims that the application gave at sign-in."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        kept = {name: claims[name] for name in claims if name in _REGISTERED}
        return original(self, kept, now)


@mutant(SHORT, killed_by="successors with another identity")
def successor_of_another_session(patch: Patch) -> None:
    """Renewals are remembered by their expiry's second, so sessions get each other's successors."""
    begun_in = {}

    @patch("linqi.sessions.sliding:SlidingRenewal.begin", is_counted=False)
    def begin(original, self, verified, due, now):
        second = int(due.span.expires_at)
        if second in begun_in:
            patch.reach()
            return begun_in[second]
        begun = original(self, verified, due, now)
        if begun is not None:
            begun_in[second] = begun
        return begun


@mutant(SHORT, killed_by="successors with another identity")
def successor_in_another_session(patch: Patch) -> None:
    """A successor has a new ``sid``, so that no revocation of the session finds it."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "sid": secrets.token_urlsafe(16)}, now)


@mutant(SHORT, killed_by="successors with another identity")
def successor_with_fresh_auth_time(patch: Patch) -> None:
    """A renewal counts as a sign-in: ``auth_time`` is now, so that step-up is never asked for."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "auth_time": now}, now)


@mutant(SHORT, killed_by="successors with another identity")
def session_without_end(patch: Patch) -> None:
    """A renewal moves the absolute end of the session, which then never ends."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "session_end": claims["session_end"] + 86_400}, now)


@mutant(SHORT, killed_by="successors with another identity")
def successor_with_more_scopes(patch: Patch) -> None:
    """A renewal adds the scope ``admin``."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        scope = f"{claims.get('scope', '')} admin".strip()
        return original(self, {**claims, "scope": scope}, now)


@mutant(SHORT, killed_by="new tokens with the id of an earlier one")
def successor_with_the_same_id(patch: Patch) -> None:
    """A successor keeps the ``jti``, so that revoking one token revokes the other."""

    @patch("linqi.sessions.sliding:SlidingRenewal._make")
    def _make(original, self, key, verified, changes):
        return original(self, key, verified, {**changes, "jti": verified.token_id})


@mutant(SHORT, killed_by="answers for another user")
def cache_knows_tokens_by_their_beginning(patch: Patch) -> None:
    """The cache's key is the first 20 characters: all users are the first one (CVE-2026-35030)."""

    @patch("linqi.jose.verifier:_sha256")
    def _sha256(original, data):
        return original(data[:20])


@mutant(TABS, killed_by="successors with another identity")
def refreshed_tokens_name_one_user(patch: Patch) -> None:
    """Every refreshed access token names user-0."""

    @patch("linqi.sessions.pair:PairMaker.make")
    async def make(original, self, record, outcome, claims, scopes, claims_at):
        named = msgspec.structs.replace(record, subject="user-0")
        return await original(self, named, outcome, claims, scopes, claims_at)


@mutant(LOST_REPLIES, killed_by="successors with another identity")
def refreshed_tokens_without_application_claims(patch: Patch) -> None:
    """Refreshed access tokens lose the claims that the application gave at sign-in."""

    @patch("linqi.sessions.refreshing:authorized")
    async def authorized(original, authorize, record):
        _, scopes = await original(authorize, record)
        return {}, scopes
