"""The value of a verified token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec.structs import force_setattr, replace

from linqi.jose._compact import parse_object
from linqi.jose.claims import DecodedClaims, Registered, read_registered, split_scope

__all__ = [
    "ANONYMOUS",
    "OPAQUE",
    "Anonymous",
    "Origin",
    "RenewalSchedule",
    "Verified",
    "verified_from",
]


_T = TypeVar("_T")
OPAQUE: Final = "opaque"
"""The `Verified.algorithm` of a token that its issuer was asked about; no JWS algorithm."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What all tokens of one issuer and one key share: one object for all of them."""

    issuer: str
    algorithm: str
    key_id: str
    own: bool
    source: str = ""
    """Names the `TrustedIssuer` by whose keys the tokens are verified: there may be two with the
    same ``iss``."""
    bridged: bool = False
    """Whether they are tokens of an earlier system (`Bridge`), whose claims were translated."""


class RenewalSchedule(Protocol):
    """Knows when a token is near expiry."""

    @property
    def buffer(self) -> float:
        """Return the least seconds before ``exp`` from which a token is near expiry."""
        ...

    def due_at(self, session: str | None, issued_at: float | None, expires_at: float) -> float:
        """Return the instant after which a token is near expiry, in Unix seconds.

        A pure function of the token's ``sid``, ``iat`` and ``exp``. A token that this deployment
        did not issue has no `session` here.
        """
        ...


class _Names(msgspec.Struct, frozen=True, gc=False):
    sub: str | None = None
    jti: str | None = None
    sid: str | None = None


_read_names = msgspec.json.Decoder(_Names).decode
_UNREAD: Final = ""
"""Marks a claim that was not decoded yet; a verified one has at least one character."""


# A msgspec struct instead of a dataclass: 0.1 us to make against 2 us (0.7 with keywords, so it is
# made by position), half the memory, and not tracked by the garbage collector: it holds only
# strings, numbers and bytes, so no cycles. Names are decoded from the payload on first use: three
# strings are 220 bytes in each of 100,000 cached tokens.
class Verified(msgspec.Struct, frozen=True, gc=False):
    """A token whose signature and claims were checked.

    ``scope["linqi"]``, ``scope["user"]`` and ``scope["auth"]`` hold the same value: it has the
    attributes that Starlette's ``request.user``, ``request.auth`` and ``@requires`` read.
    """

    origin: Origin
    """The issuer, and the key that verified the token."""
    expires_at: float
    """``exp`` in Unix seconds: at this instant the token is expired."""
    issued_at: float | None
    """``iat`` in Unix seconds."""
    valid_from: float
    """The later of ``nbf`` and ``iat`` in Unix seconds, 0 without either."""
    scopes: tuple[str, ...]
    """The scopes in ``scope`` (RFC 8693, section 4.2), or in the claims that the issuer's
    `TrustedIssuer.scope_claims` name: each once, and only what can be a scope."""
    payload: bytes
    """The claims as the verified JSON bytes."""
    digest: bytes
    """SHA-256 of the encoded token."""
    due_at: float = math.inf
    """After this instant, in Unix seconds, the token is near expiry: the next request renews it.
    Infinite where no middleware renews tokens of the verifier (`Verifier.schedule`)."""
    _subject: str | None = _UNREAD
    _token_id: str | None = _UNREAD
    _session_id: str | None = _UNREAD
    # What `VerifiedCache` knows of its entry, here because a hit pays for each object it reads.
    # Plain values alone: encoders and pickles show them.
    _cached_until: float = 0.0
    _generation: int = 0
    _is_used: bool = False

    @property
    def issuer(self) -> str:
        """``iss``."""
        return self.origin.issuer

    @property
    def algorithm(self) -> str:
        """The header's ``alg``."""
        return self.origin.algorithm

    @property
    def key_id(self) -> str:
        """The key that verified the signature, whether or not the header named it."""
        return self.origin.key_id

    @property
    def own(self) -> bool:
        """Whether this deployment issued it; only own tokens are renewed."""
        return self.origin.own

    @property
    def bridged(self) -> bool:
        """Whether an earlier system issued it, and `claims` are translated (`Bridge`)."""
        return self.origin.bridged

    @property
    def subject(self) -> str | None:
        """``sub``; issuer and subject together identify a user (RFC 7519, section 4.1.2)."""
        name = self._subject
        if name == _UNREAD:
            name = _read_names(self.payload).sub
            force_setattr(self, "_subject", name)
        return name

    @property
    def token_id(self) -> str | None:
        """``jti``."""
        name = self._token_id
        if name == _UNREAD:
            name = _read_names(self.payload).jti
            force_setattr(self, "_token_id", name)
        return name

    @property
    def session_id(self) -> str | None:
        """``sid``: the session, which all successors of a token share."""
        name = self._session_id
        if name == _UNREAD:
            name = _read_names(self.payload).sid
            force_setattr(self, "_session_id", name)
        return name

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims, decoded from the verified bytes on each access: keep the result.

        Each access returns new lists and objects, so a change to them affects no other reader.
        """
        return MappingProxyType(parse_object(self.payload, "payload"))

    def read(self, kind: type[_T]) -> _T:
        """Return the claims as a value of `kind`, a type of the application.

        Args:
            kind: A msgspec ``Struct``, a dataclass, a ``TypedDict``, or a pydantic model or
                dataclass. Claims that it does not name are ignored unless it forbids them.

        Raises:
            UnfitClaims: A claim is missing or has another type. It is a `TokenError`: the answer
                is 401 ``invalid_token``.
            ConfigurationError: `kind` is none of these types.

        """
        from linqi.jose.typed_claims import read_as

        return read_as(self.payload, kind)

    @property
    def registered(self) -> Registered:
        """The claims that sessions read, typed, decoded on each access."""
        return read_registered(parse_object(self.payload, "payload"), self.payload)

    @property
    def auth_time(self) -> float | None:
        """When the user signed in, in Unix seconds (OpenID Connect Core, section 2)."""
        return self.registered.auth_time

    def until(self, expires_at: float) -> Verified:
        """Return the same token with another end, for a stream that may outlive it."""
        return replace(self, expires_at=expires_at)

    @property
    def is_authenticated(self) -> bool:
        """True."""
        return True

    @property
    def display_name(self) -> str:
        """The ``name`` claim, else the subject."""
        name = self.claims.get("name")
        return name if isinstance(name, str) else self.identity

    @property
    def identity(self) -> str:
        """The subject, or an empty string."""
        return self.subject or ""

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is the same token, by the same issuer and key."""
        if not isinstance(other, Verified):
            return NotImplemented
        return (self.digest, self.payload, self.origin) == (
            other.digest,
            other.payload,
            other.origin,
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Verified digest={self.digest.hex()[:8]} expires_at={self.expires_at}>"


class Anonymous(msgspec.Struct, frozen=True, gc=False):
    """The caller of a request that needs no token and has none."""

    scopes: tuple[str, ...] = ()
    is_authenticated: bool = False
    display_name: str = ""
    identity: str = ""


ANONYMOUS: Final = Anonymous()


def verified_from(
    claims: DecodedClaims | Registered,
    payload: bytes,
    digest: bytes,
    origin: Origin,
    schedule: RenewalSchedule | None = None,
) -> Verified:
    """Return the value of a token whose signature and `claims` were checked."""
    issued_at = valid_from = claims.iat
    if claims.nbf is not None:
        valid_from = max(claims.nbf, issued_at or 0)
    due_at = math.inf
    if schedule is not None:
        if origin.bridged:  # it is replaced by one of ours as soon as a response may carry that
            due_at = 0.0
        else:
            due_at = schedule.due_at(claims.sid if origin.own else None, issued_at, claims.exp)
    return Verified(  # by position, in the order of its fields
        origin,
        claims.exp,
        issued_at,
        valid_from or 0,
        split_scope(claims.scope),
        payload,
        digest,
        due_at,
    )
