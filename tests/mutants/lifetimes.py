"""Mutants of time: how long tokens live, and when they are due."""

from __future__ import annotations

import msgspec

from linqi.sessions.decision import NOT_DUE
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import DUAL, GRID, SLIDING

_ISSUE = "linqi.sessions.sliding:SlidingRenewal._issue"


@mutant(SLIDING, killed_by="tokens that outlive the lifetime")
def successor_outlives_the_setting(patch: Patch) -> None:
    """Successors live 5 s longer than the lifetime that is set."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "exp": claims["exp"] + 5}, now)


@mutant(SLIDING, killed_by="tokens that live shorter than the buffer")
def successor_lives_half_as_long(patch: Patch) -> None:
    """Successors have half of their life, so that users who pause are signed out."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "exp": now + (claims["exp"] - now) / 2}, now)


@mutant(SLIDING, killed_by="forced logouts of honest users")
def successor_is_valid_later(patch: Patch) -> None:
    """Successors are issued 2 s ahead of the clock, and refused until then."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        return original(self, {**claims, "iat": now + 2}, now)


@mutant(GRID, killed_by="storm factor above chance")
def grid_with_one_phase(patch: Patch) -> None:
    """All sessions have the same phase of the grid, so that all are renewed together."""

    @patch("linqi.sessions.renewal:share_of")
    def share_of(original, text):
        return 0.5


@mutant(GRID, killed_by="storm factor above chance")
def near_expiry_by_the_buffer_alone(patch: Patch) -> None:
    """Tokens are due a buffer before their end and not at their grid point: all at once."""

    @patch("linqi.sessions.renewal:RenewalSettings.due_at")
    def due_at(original, self, session, issued_at, expires_at):
        return expires_at - self.buffer


@mutant(SLIDING, killed_by="expired tokens accepted")
def expired_tokens_good_for_2_seconds(patch: Patch) -> None:
    """Expired tokens are accepted for 2 s more, although no leeway is set."""
    _accept_expired(patch, 2.0)


@mutant(SLIDING, killed_by="expired tokens accepted")
def expired_tokens_good_for_a_third_of_a_second(patch: Patch) -> None:
    """Expired tokens are accepted for 0.3 s more, although no leeway is set."""
    _accept_expired(patch, 0.3)


def _accept_expired(patch: Patch, seconds: float) -> None:
    @patch("linqi.jose.verifier:check_age", is_counted=False)
    def check_age(original, verified, now, leeway, bridge, schedule):
        if verified.expires_at <= now < verified.expires_at + seconds:
            patch.reach()
            return
        original(verified, now, leeway, bridge, schedule)


@mutant(SLIDING, killed_by="expired tokens accepted")
def cached_tokens_never_expire(patch: Patch) -> None:
    """A cache hit does not compare ``exp``, so that a used token outlives it by up to a minute."""

    @patch("linqi.jose.verifier:Verifier.recheck", is_counted=False)
    def recheck(original, self, verified):
        is_hit = self.cache is not None and verified.digest in self.cache._entries
        if is_hit and verified.expires_at <= self._clock():
            patch.reach()
            return
        original(self, verified)


@mutant(SLIDING, killed_by="expired tokens accepted")
def expired_tokens_are_renewed(patch: Patch) -> None:
    """A token that expired less than 2 s ago still gets a successor: the idle limit is gone."""
    _accept_expired(patch, 2.0)

    @patch("linqi.sessions.sliding:decide")
    def decide(original, verified, now, settings):
        return original(verified, min(now, verified.expires_at - 0.001), settings)


@mutant(SLIDING, killed_by="tokens accepted before their time")
def tokens_not_valid_yet_are_accepted(patch: Patch) -> None:
    """``nbf`` and an ``iat`` in the future are ignored."""

    @patch("linqi.jose.verifier:verified_from")
    def verified_from(original, claims, payload, digest, origin, schedule):
        made = original(claims, payload, digest, origin, schedule)
        return msgspec.structs.replace(made, valid_from=0.0)


@mutant(SLIDING, killed_by="forced logouts of honest users")
def no_renewal(patch: Patch) -> None:
    """No token is ever renewed."""

    @patch("linqi.sessions.sliding:SlidingRenewal.decide")
    def decide(original, self, verified, now):
        return NOT_DUE


@mutant(SLIDING, killed_by="forced logouts of honest users")
def renewal_in_the_last_half_of_the_buffer(patch: Patch) -> None:
    """Tokens are renewed in the last half of the buffer only."""

    @patch("linqi.sessions.sliding:SlidingRenewal.decide", is_counted=False)
    def decide(original, self, verified, now):
        if verified.expires_at - now > self.settings.buffer / 2:
            patch.reach()
            return NOT_DUE
        return original(self, verified, now)


@mutant(DUAL, killed_by="refresh tokens that outlive their settings")
def refresh_tokens_never_expire(patch: Patch) -> None:
    """Refresh tokens and their sessions are valid for ten years, whatever is set."""

    @patch("linqi.sessions.refresh:SessionSettings.expiry")
    def expiry(original, self, now, ends_at):
        return float(int(now) + 10 * 365 * 86_400)
