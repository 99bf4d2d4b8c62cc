"""The checks of claims, without I/O (RFC 7519, section 4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from linqi.errors import InvalidClaim, MissingClaim, TokenExpired, TokenNotYetValid
from linqi.jose.claim_paths import ABSENT, ClaimPath, display_path, value_at

__all__ = [
    "CLAIM_TYPES",
    "LONGEST_LEEWAY",
    "LONGEST_STRING",
    "DecodedClaims",
    "Registered",
    "check_audience",
    "check_times",
    "is_scope",
    "read_registered",
    "scopes_at",
    "split_scope",
]

LONGEST_STRING: Final = 1024
"""Characters in ``sub``, ``jti`` or ``sid``; OpenID Connect allows 255 for ``sub``."""
LATEST_TIME: Final = 253_402_300_800
"""The first second of the year 10000: a later ``exp`` is a mistake or an attack on timers."""

LONGEST_LEEWAY: Final = 300.0
"""Seconds, the most that a verifier allows clocks to differ. What must outlast every token, such as
a revocation, is kept for so much longer."""

_Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_STRING)]
_Time: TypeAlias = (
    Annotated[int, Meta(ge=0, lt=LATEST_TIME)] | Annotated[float, Meta(ge=0, lt=LATEST_TIME)]
)
_convert = msgspec.convert
_BACKSLASH: Final = ord("\\")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3
_NAMED: Final = re.compile(r"\$\.(\w+)|field `(\w+)`")


# Decoding into a declared type takes 0.4 us; a check per claim in Python takes 1.5. Optional
# claims are None if absent, but an explicit null is refused: it is neither text nor time.
class Registered(msgspec.Struct, frozen=True, gc=False):
    """The claims that verification and sessions read, with the types they must have (V12, V13)."""

    iss: _Text
    exp: _Time
    sub: _Text = None  # type: ignore[assignment]
    nbf: _Time = None  # type: ignore[assignment]
    iat: _Time = None  # type: ignore[assignment]
    jti: _Text = None  # type: ignore[assignment]
    sid: _Text = None  # type: ignore[assignment]
    auth_time: _Time = None  # type: ignore[assignment]
    session_end: _Time = None  # type: ignore[assignment]
    scope: str | list[str] = ""


class DecodedClaims(Protocol):
    """The claims that verification reads, as attributes; `aud` is any scalar."""

    iss: str
    exp: float
    aud: object
    sub: str | None
    sid: str | None
    nbf: float | None
    iat: float | None
    scope: str


CLAIM_TYPES: Final[Mapping[str, Any]] = {
    "aud": str | int | float | bool | None,
    **dict.fromkeys(("iss", "sub", "jti", "sid"), _Text),
    **dict.fromkeys(("exp", "nbf", "iat", "auth_time", "session_end"), _Time),
    "scope": str,
}
"""The same types, and that of an audience of one, for claims of which none is a list."""


def read_registered(claims: Mapping[str, Any], payload: bytes) -> Registered:
    """Return the registered claims of `claims`, which `payload` holds as JSON.

    Raises:
        MissingClaim: ``iss`` or ``exp`` is absent.
        InvalidClaim: A claim has a wrong type. Times are numbers within the years 1970 to 9999,
            texts have 1 to 1,024 characters and no NUL.

    """
    try:
        registered = _convert(claims, Registered)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    if _BACKSLASH in payload and b"\\u0000" in payload:  # NUL has no other spelling in strict JSON
        for name in ("sub", "jti", "sid"):
            if "\0" in (claims.get(name) or ""):
                raise InvalidClaim(f"the claim {name} holds NUL", name)
    return registered


def scopes_at(claims: Mapping[str, Any], paths: Iterable[ClaimPath]) -> list[str]:
    """Return what the claims at `paths` list: texts are split at spaces, absent ones add nothing.

    Raises:
        InvalidClaim: One is neither a text nor a list of texts.

    """
    found: list[str] = []
    for path in paths:
        value = value_at(claims, path)
        if type(value) is str:
            found += value.split(" ")
        elif type(value) is list and all(type(item) is str for item in value):
            found += value
        elif value is not ABSENT:
            name = display_path(path)
            raise InvalidClaim(f"the claim {name} is neither a text nor a list of texts", name)
    return found


def split_scope(scope: str | Sequence[str]) -> tuple[str, ...]:
    """Return the scopes of a text, which spaces separate, or of a list, each of them once.

    What is no scope is left out (RFC 6749, section 3.3). A name with a space, such as a role that
    users may name themselves, would be two scopes as soon as a program joins them to a text.
    """
    return _scopes_in(scope if isinstance(scope, str) else tuple(scope))


@lru_cache(1024)
def _scopes_in(listed: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes: cached, so that tokens with the same scopes share one tuple."""
    names = listed.split(" ") if isinstance(listed, str) else listed
    return tuple(dict.fromkeys(filter(is_scope, names)))


def is_scope(name: object) -> bool:
    """Return whether `name` can be a scope: printable ASCII without space, quote or backslash."""
    return isinstance(name, str) and _SCOPE.fullmatch(name) is not None


def check_times(expires_at: float, valid_from: float, now: float, leeway: float) -> None:
    """Check that a token is valid at `now`; at the exact second ``exp`` it is expired.

    Args:
        expires_at: ``exp``.
        valid_from: The later of ``nbf`` and ``iat``.
        now: Unix seconds.
        leeway: Seconds by which clocks may differ, at either end.

    Raises:
        TokenExpired: ``now >= exp + leeway``.
        TokenNotYetValid: ``now < valid_from - leeway``.

    """
    if now >= expires_at + leeway:
        ago = now - expires_at
        raise TokenExpired(f"expired {ago:.3f} s ago (leeway {leeway:g} s)", seconds=ago)
    if now < valid_from - leeway:
        raise TokenNotYetValid(
            f"nbf or iat lies {valid_from - now:.3f} s ahead (leeway {leeway:g} s)"
        )


def check_audience(claims: Mapping[str, Any], accepted: frozenset[str]) -> None:
    """Check that ``aud`` names one of `accepted` (RFC 7519, section 4.1.3)."""
    value = claims.get("aud")
    if type(value) is str:
        if value in accepted:
            return
    elif type(value) is list and value and all(type(item) is str for item in value):
        if not accepted.isdisjoint(value):
            return
    elif value is None and "aud" not in claims:
        raise MissingClaim("the claim aud is missing", "aud")
    else:
        raise InvalidClaim("the claim aud is neither a string nor a list of strings", "aud")
    raise InvalidClaim("the claim aud names none of the accepted audiences", "aud")


def _fault(message: str) -> InvalidClaim:
    """Return the error for the decoder's message, which names the claim but not its value."""
    found = _NAMED.search(message)
    name = (found[1] or found[2]) if found else "payload"
    if "missing required" in message:
        return MissingClaim(f"the claim {name} is missing", name)
    return InvalidClaim(f"the claim {name} is wrong: {message.split(' - at ')[0]}", name)
