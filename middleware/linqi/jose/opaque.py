"""Opaque tokens, as a verifier looks them up: by the answers of their issuers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from linqi.errors import BoundToken, InvalidClaim, MalformedToken
from linqi.jose._compact import decode_segment, parse_object
from linqi.jose.issuers import Profile, TrustedIssuer, prepare
from linqi.jose.opaque_issuer import AnswerSource, OpaqueIssuer
from linqi.jose.required_claims import without_values
from linqi.jose.verified import OPAQUE, Origin, Verified, verified_from

__all__ = ["KINDS", "OpaqueEntry", "OpaqueTokens", "opaque_faults"]

# What a header and a cookie can carry without quotes (RFC 6750, section 2.1; RFC 6265, section
# 4.1.1): a token with anything else is refused before it is sent to anyone.
_TOKEN: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")


_OWN_REFRESH_TOKEN: Final = b"lqr_"
"""A refresh token of linqi, which a client sent in the wrong place: good for days, it is shown to
no other party (D1)."""

KINDS: Final[Mapping[str, frozenset[str]]] = {
    "token_type": frozenset({"bearer", "dpop", "access_token"}),
    "token_use": frozenset({"access", "access_token"}),
    "typ": frozenset({"bearer", "dpop", "jwt", "at+jwt"}),
}
"""The members by which an answer says what kind of token it is about, and what access tokens have
there, in lower case: that of RFC 7662, that of Cognito and Hydra, and that of Keycloak."""


class OpaqueEntry(msgspec.Struct, frozen=True):
    """An `OpaqueIssuer`, prepared for look-ups."""

    source: AnswerSource
    profile: Profile
    origin: Origin
    refuses_bound: bool
    kinds: tuple[str, ...]
    """The members of `KINDS` for which the settings name no values."""

    def verified(self, digest: bytes) -> tuple[Verified, float]:
        """Return the verified value of a token, and the monotonic instant at which it ends.

        Raises:
            InactiveToken: The issuer said that the token is not active.
            InvalidClaim: The answer is for another audience, or about a refresh or ID token, or a
                required claim is wrong.
            BoundToken: The token is bound to a key.
            Unavailable: There is no answer now.

        """
        answer = self.source.answer(digest)
        claims = parse_object(answer.payload, "answer")
        for kind in self.kinds:
            if kind in claims and str(claims[kind]).lower() not in KINDS[kind]:
                raise InvalidClaim(f"the member {kind} says that this is no access token", kind)
        read = self.profile.read(claims, answer.payload)
        if self.refuses_bound and "cnf" in claims:
            raise BoundToken("the token has the claim cnf, and no proof of possession is checked")
        verified = verified_from(read, answer.payload, digest, self.origin)
        return verified.until(answer.ends_at), answer.until


class OpaqueTokens:
    """The issuers of opaque tokens that a verifier trusts.

    Args:
        issuers: Checked by `opaque_faults`.
        most_bytes: The longest token that is sent to an issuer.
        bound_tokens: As of `Verifier`.

    """

    def __init__(self, issuers: Sequence[OpaqueIssuer], most_bytes: int, bound_tokens: str) -> None:
        refuses_bound = bound_tokens == "refuse"
        entries = [(one, _prepared(one, refuses_bound=refuses_bound)) for one in issuers]
        self._prefixed = tuple(
            (prefix.encode(), entry) for one, entry in entries for prefix in one.listed_prefixes
        )
        self._other = next((entry for one, entry in entries if not one.prefixes), None)
        self._by_iss = {one.issuer: entry for one, entry in entries if one.jwts}
        self._by_name = {entry.origin.source: entry for _, entry in entries}
        self._most_bytes = most_bytes
        self.issuers = tuple(issuers)
        self.sources = [one.source for one in issuers]

    def entry_for(self, token: bytes) -> OpaqueEntry | None:
        """Return the issuer that may be asked about `token`; None if it is verified by keys.

        A JWT that another party issued is never sent to this issuer: it could use it there.

        Raises:
            MalformedToken: The token belongs to an issuer and has characters that no token has.

        """
        if len(token) > self._most_bytes:
            return None
        entry = self._entry_for(token)
        if entry is not None and _TOKEN.fullmatch(token) is None:
            raise MalformedToken("the token has characters that no bearer token has")
        return entry

    def _entry_for(self, token: bytes) -> OpaqueEntry | None:
        for prefix, entry in self._prefixed:
            if token.startswith(prefix):
                return entry
        if token.startswith(_OWN_REFRESH_TOKEN):
            return None
        dots = token.count(b".")
        if dots == 2 and self._by_iss:
            return self._by_iss.get(_claimed_issuer(token))
        # Also a JWT with a segment too few or too many: with one more, a whole one is in it.
        is_jwt = dots in (2, 4) or (dots > 0 and token.startswith(b"eyJ"))
        return None if is_jwt else self._other

    async def ask_ahead(self, verified: Verified) -> Verified:
        """Return the value of `verified` by the latest answer about its token.

        Raises:
            TokenError: It is no longer accepted.
            Unavailable: There is no answer that still counts.

        """
        entry = self._by_name[verified.origin.source]
        await entry.source.ask_ahead(verified.digest)
        latest, _ = entry.verified(verified.digest)
        if latest.subject != verified.subject:
            raise InvalidClaim("the issuer names another subject than before", "sub")
        return latest


def opaque_faults(given: Sequence[object], trusted: Sequence[TrustedIssuer]) -> list[str]:
    """Return which of a verifier's issuers could be asked about a token of another one."""
    issuers = [one for one in given if isinstance(one, OpaqueIssuer)]
    if len(issuers) < len(given):
        return ["issuers holds something else than TrustedIssuer and OpaqueIssuer values"]
    faults = []
    prefixes = sorted(prefix for one in issuers for prefix in one.listed_prefixes)
    if sum(not one.listed_prefixes for one in issuers) > 1:
        faults.append("two opaque issuers have no prefix; a token could belong to either")
    faults += [
        f"the prefix {after!r} begins with {before!r}, another prefix of an opaque issuer"
        for before, after in pairwise(prefixes)
        if after.startswith(before)
    ]
    names = [one.issuer for one in issuers]
    faults += [
        f"two opaque issuers are {name!r}; merge them" for name in {*names} if names.count(name) > 1
    ]
    by_keys = {one.issuer for one in trusted}
    faults += [
        f"jwts is set for {one.issuer!r}, whose JWTs are verified by keys; remove one of the two"
        for one in issuers
        if one.jwts and one.issuer in by_keys
    ]
    return faults


def _prepared(issuer: OpaqueIssuer, *, refuses_bound: bool) -> OpaqueEntry:
    return OpaqueEntry(
        source=issuer.source,
        profile=prepare(issuer.as_trusted()),
        origin=Origin(issuer.issuer, OPAQUE, "", own=False, source=f"{OPAQUE} {issuer.issuer}"),
        refuses_bound=refuses_bound,
        kinds=without_values(KINDS, issuer.required_claims),
    )


def _claimed_issuer(token: bytes) -> str:
    """Return the ``iss`` in a JWT, of which nothing is verified; empty if there is none."""
    try:
        name = parse_object(decode_segment(token.split(b".")[1]), "payload").get("iss")
    except MalformedToken:
        return ""
    return name if isinstance(name, str) else ""
