"""An issuer of opaque tokens: which tokens are its own, and what their claims must hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import msgspec

from linqi.errors import ConfigurationError
from linqi.jose.claim_paths import ClaimName
from linqi.jose.issuers import AnyAudience, TrustedIssuer
from linqi.jose.keys import FetchedKeys
from linqi.jose.required_claims import RequiredClaims

__all__ = ["Answer", "AnswerSource", "OpaqueIssuer"]

_PREFIX: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,64}")
_JSON: Final = re.compile(r"e(?:[w-z0-9_-].*)?")
"""The beginnings that a JWT may have: base64url of an opening brace."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the issuer said about a token that is active."""

    payload: bytes
    """Its claims as strict JSON, with ``iss`` and ``exp``."""
    ends_at: float
    """The Unix second from which the answer no longer counts: the earlier of the token's ``exp``
    and the bound on its age."""
    until: float
    """The same instant of the monotonic clock, or an earlier one at which to look again."""


@runtime_checkable
class AnswerSource(FetchedKeys, Protocol):
    """The answers of one issuer about its tokens, by the SHA-256 of the token.

    It is a source of no key: `find` raises `UnknownKey` for every header.
    """

    issuer: str

    def answer(self, digest: bytes) -> Answer:
        """Return the answer about a token, without waiting.

        Raises:
            InactiveToken: The issuer said that the token is not active.
            Unavailable: There is no answer now; `ask` may bring one.

        """
        ...

    async def ask(self, token: bytes, digest: bytes) -> bool:
        """Wait for an answer about `token`, if the issuer may be asked now.

        Returns:
            Whether one was waited for, so that another `answer` may succeed.

        """
        ...

    async def ask_ahead(self, digest: bytes) -> None:
        """Ask again about an active token whose answer is soon too old."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueIssuer:
    """An issuer that is asked about its tokens, because they cannot be verified here (RFC 7662).

    A token is sent to no other party than its issuer: it belongs to the issuer one of whose
    `prefixes` it has, else to the one issuer without any. A token in the form of a JWT, or that
    begins like one, belongs to neither unless `prefixes` or `jwts` says so.
    """

    issuer: str
    """The issuer of the verified tokens; an ``iss`` in an answer must equal it."""
    audience: str | Sequence[str] | AnyAudience
    """Accepted ``aud`` values, which the answer must have; `ANY_AUDIENCE` turns the check off."""
    source: AnswerSource
    """Asks the issuer, such as an `Introspection`."""
    prefixes: str | Sequence[str] = ()
    """The beginnings of its tokens, such as ``gho_``; empty for tokens of any other form."""
    jwts: bool = False
    """Whether it is asked about JWTs too whose ``iss``, which is not verified then, names it."""
    required_claims: RequiredClaims = ()
    """As of `TrustedIssuer`."""
    scope_claims: Sequence[ClaimName] = ("scope",)
    """As of `TrustedIssuer`."""

    def __post_init__(self) -> None:
        faults = []
        if not isinstance(self.source, AnswerSource):
            faults.append("source asks no issuer; give an Introspection")
        elif self.source.issuer != self.issuer:
            faults.append(f"source asks {self.source.issuer!r}, which is another issuer")
        for prefix in self.listed_prefixes:
            if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
                faults.append("prefixes holds something else than 1 to 64 characters of a token")
            elif _JSON.fullmatch(prefix):
                faults.append(
                    f"the prefix {prefix!r} may begin JWTs of other issuers, which must not be sent"
                    " to this one; set jwts for its own JWTs"
                )
        try:
            self.as_trusted()
        except ConfigurationError as error:
            faults += error.faults
        if faults:
            raise ConfigurationError(faults)

    @property
    def listed_prefixes(self) -> tuple[str, ...]:
        """`prefixes` as a tuple."""
        return (self.prefixes,) if isinstance(self.prefixes, str) else tuple(self.prefixes)

    def as_trusted(self) -> TrustedIssuer:
        """Return the issuer as one whose claims are checked as those of a JWT."""
        return TrustedIssuer(
            issuer=self.issuer,
            audience=self.audience,
            keys=self.source,
            algorithms=("ES256",),  # of no effect: there is no key
            required_claims=self.required_claims,
            scope_claims=self.scope_claims,
        )
