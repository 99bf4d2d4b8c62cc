"""The value that a verified token becomes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec.structs import force_setattr, replace

from linqi.jose._compact import parse_object
from linqi.jose.claims import Registered, read_registered

__all__ = ["ANONYMOUS", "Anonymous", "Origin", "Verified"]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What all tokens of one issuer and one key have in common: one object for all of them."""

    issuer: str
    algorithm: str
    key_id: str
    own: bool


class _Names(msgspec.Struct, frozen=True, gc=False):
    sub: str | None = None
    jti: str | None = None
    sid: str | None = None


_read_names = msgspec.json.Decoder(_Names).decode
_UNREAD: Final = ""
"""Stands for a claim that nobody has asked for: a verified one has at least one character."""


# A msgspec struct instead of a dataclass: 0.1 us to make against 2 us (0.7 with keywords, so it is
# made by position), half the memory, and invisible to the garbage collector: it holds only
# strings, numbers and bytes, so no cycles. What also stands in the payload is read from there when
# somebody asks: three strings are 220 bytes in each of 100,000 remembered tokens.
class Verified(msgspec.Struct, frozen=True, gc=False):
    """A token whose signature and claims were checked.

    The same value stands in ``scope["linqi"]``, ``scope["user"]`` and ``scope["auth"]``: it has
    the attributes that Starlette's ``request.user``, ``request.auth`` and ``@requires`` read.
    """

    origin: Origin
    """Whose token it is, and by which key that is known."""
    expires_at: float
    """``exp`` in Unix seconds: at this instant the token is expired."""
    issued_at: float | None
    """``iat`` in Unix seconds."""
    valid_from: float
    """The later of ``nbf`` and ``iat`` in Unix seconds, 0 without either."""
    scopes: tuple[str, ...]
    """``scope``, split at spaces (RFC 8693, section 4.2)."""
    payload: bytes
    """The verified bytes that hold the claims."""
    digest: bytes
    """SHA-256 of the encoded token."""
    _subject: str | None = _UNREAD
    _token_id: str | None = _UNREAD
    _session_id: str | None = _UNREAD

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
        """The key that fitted, whether or not the header named it."""
        return self.origin.key_id

    @property
    def own(self) -> bool:
        """Whether this deployment issued it: only such a token is ever renewed."""
        return self.origin.own

    @property
    def subject(self) -> str | None:
        """``sub``; a person is known by issuer and subject together (RFC 7519, section 4.1.2)."""
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
        """``sid``: the session that all successors of a token share."""
        name = self._session_id
        if name == _UNREAD:
            name = _read_names(self.payload).sid
            force_setattr(self, "_session_id", name)
        return name

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims, decoded afresh from the verified bytes: keep it in a local.

        What a caller does to lists and objects inside it reaches nobody else.
        """
        return MappingProxyType(parse_object(self.payload, "payload"))

    @property
    def registered(self) -> Registered:
        """The claims that sessions read, with their types, decoded afresh."""
        return read_registered(parse_object(self.payload, "payload"), self.payload)

    @property
    def auth_time(self) -> float | None:
        """When the person signed in, in Unix seconds (OpenID Connect Core, section 2)."""
        return self.registered.auth_time

    def until(self, expires_at: float) -> Verified:
        """Return the same token with another end, for what may go on longer than it."""
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
        """Tell whether `other` is of the same token, by the same issuer and key."""
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
    """Nobody: what stands in the scope when a request needs no token and has none."""

    scopes: tuple[str, ...] = ()
    is_authenticated: bool = False
    display_name: str = ""
    identity: str = ""


ANONYMOUS: Final = Anonymous()
