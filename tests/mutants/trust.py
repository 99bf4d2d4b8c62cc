"""Mutants of verification: tokens that must be refused are accepted."""

from __future__ import annotations

import hashlib

import msgspec

from linqi.asgi._http import Access
from linqi.jose._compact import decode_segment, parse_object
from linqi.jose.claims import read_registered
from linqi.jose.verified import verified_from
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import DUAL, SHORT

_VERIFY = "linqi.jose.verifier:Verifier.verify"


@mutant(SHORT, killed_by="forged tokens accepted")
def signatures_are_not_checked(patch: Patch) -> None:
    """Every signature is right."""

    @patch("linqi.jose.key:Key.verify")
    def verify(original, self, data, signature):
        return True


@mutant(SHORT, killed_by="forged tokens accepted")
def unsigned_tokens_are_accepted(patch: Patch) -> None:
    """``alg: none`` is accepted (RFC 8725, section 3.2)."""

    @patch(_VERIFY, is_counted=False)
    def verify(original, self, token):
        parts = token.split(b".")
        if len(parts) != 3 or parts[2]:
            return original(self, token)
        payload = decode_segment(parts[1])
        claims = read_registered(parse_object(payload, "payload"), payload)
        profile = next(iter(next(iter(self._trust._profiles.values())).values()))
        origin = profile.origin_of(profile.keys.keys[0])
        patch.reach()
        return verified_from(claims, payload, hashlib.sha256(token).digest(), origin)


@mutant(SHORT, killed_by="forged tokens accepted")
def other_audiences_are_accepted(patch: Patch) -> None:
    """Tokens for another API are accepted."""

    @patch("linqi.jose.trust:prepare")
    def prepare(original, trusted):
        return msgspec.structs.replace(original(trusted), audience=None)


@mutant(SHORT, killed_by="forged tokens accepted")
def other_issuers_are_accepted(patch: Patch) -> None:
    """``iss`` is not compared: what the key signed is accepted under any issuer."""

    @patch("linqi.jose.trust:Trust.profile_for")
    def profile_for(original, self, claims, header):
        return original(self, {**claims, "iss": next(iter(self._profiles))}, header)


@mutant(SHORT, killed_by="forged tokens accepted")
def cache_ignores_the_signature(patch: Patch) -> None:
    """The cache's key leaves the signature out, so that a forged copy of a used token is a hit."""

    @patch("linqi.jose.verifier:_sha256")
    def _sha256(original, data):
        return original(data.rpartition(b".")[0])


@mutant(SHORT, killed_by="requests without a token accepted")
def requests_without_token_are_served(patch: Patch) -> None:
    """A request without a token reaches the application."""

    @patch("linqi.asgi.middleware:JWTMiddleware._respond_otherwise")
    async def _respond_otherwise(original, self, access, scope, receive, send, verified, transport):
        await original(self, Access.OPTIONAL, scope, receive, send, verified, transport)


@mutant(SHORT, killed_by="requests without a token accepted")
def head_is_not_guarded(patch: Patch) -> None:
    """HEAD needs no token."""

    @patch("linqi.asgi.middleware:JWTMiddleware._admit", is_counted=False)
    def _admit(original, self, scope, kind):
        scope, access = original(self, scope, kind)
        if kind == "http" and scope["method"] == "HEAD":
            patch.reach()
            return scope, Access.PUBLIC
        return scope, access


@mutant(DUAL, killed_by="refresh tokens accepted as access tokens")
def refresh_tokens_are_access_tokens(patch: Patch) -> None:
    """A refresh token is accepted as a bearer token (D1)."""
    last = []

    @patch(_VERIFY, is_counted=False)
    def verify(original, self, token):
        if token.startswith(b"lqr_") and last:
            patch.reach()
            return last[0]
        verified = original(self, token)
        last[:] = [verified]
        return verified
