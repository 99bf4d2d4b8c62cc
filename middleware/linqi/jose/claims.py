"""What the claims of a token must say, as checks without I/O (RFC 7519, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from linqi.errors import InvalidClaim, MissingClaim, TokenExpired, TokenNotYetValid

__all__ = [
    "check_audience",
    "check_times",
    "optional_time",
    "read_scopes",
    "read_string",
    "require_claims",
    "required_time",
]

LONGEST_STRING: Final = 1024
"""Characters in ``sub``, ``jti`` or ``sid``; OpenID Connect allows 255 for ``sub``."""
LATEST_TIME: Final = 253_402_300_800
"""The first second of the year 10000: a later ``exp`` is a mistake or an attack on timers."""


def required_time(claims: Mapping[str, Any], name: str) -> float:
    """Give the NumericDate `name`; `MissingClaim` or `InvalidClaim` when it is none."""
    value = optional_time(claims, name)
    if value is None:
        raise MissingClaim(f"the claim {name} is missing", name)
    return value


def optional_time(claims: Mapping[str, Any], name: str) -> float | None:
    """Give the NumericDate `name` or None; a string or a boolean is no number (V12)."""
    value = claims.get(name)
    if value is None:
        if name in claims:
            raise InvalidClaim(f"the claim {name} is null, expected a number of seconds", name)
        return None
    kind = type(value)
    if kind is not int and kind is not float:
        raise InvalidClaim(
            f"the claim {name} is of type {kind.__name__}, expected a number of seconds", name
        )
    if not 0 <= value < LATEST_TIME or not math.isfinite(value):
        raise InvalidClaim(f"the claim {name} lies outside the years 1970 to 9999", name)
    return value  # type: ignore[no-any-return]


def read_string(claims: Mapping[str, Any], name: str) -> str | None:
    """Give the string `name` or None; it must be short and free of NUL (V13)."""
    value = claims.get(name)
    if value is None:
        if name in claims:
            raise InvalidClaim(f"the claim {name} is null, expected a string", name)
        return None
    if type(value) is not str or not 0 < len(value) <= LONGEST_STRING or "\0" in value:
        raise InvalidClaim(
            f"the claim {name} is not a string of 1 to {LONGEST_STRING} characters without NUL",
            name,
        )
    return value


def read_scopes(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Give ``scope`` split at spaces (RFC 8693, section 4.2); a list of strings is taken too."""
    value = claims.get("scope", "")
    if type(value) is str:
        return tuple(value.split()) if value else ()
    if type(value) is list and all(type(item) is str for item in value):
        return tuple(value)
    raise InvalidClaim("the claim scope is neither a string nor a list of strings", "scope")


def check_times(
    expires_at: float, not_before: float | None, issued_at: float | None, now: float, leeway: float
) -> None:
    """Refuse a token that is expired or not valid yet; at the exact second ``exp`` it is expired.

    `leeway` seconds are granted at either end for clocks that differ.
    """
    if now >= expires_at + leeway:
        raise TokenExpired(f"expired {now - expires_at:.3f} s ago (leeway {leeway:g} s)")
    if not_before is not None and now < not_before - leeway:
        raise TokenNotYetValid(f"nbf lies {not_before - now:.3f} s ahead (leeway {leeway:g} s)")
    if issued_at is not None and now < issued_at - leeway:
        raise TokenNotYetValid(f"iat lies {issued_at - now:.3f} s ahead (leeway {leeway:g} s)")


def check_audience(claims: Mapping[str, Any], accepted: frozenset[str]) -> None:
    """Refuse a token that names none of `accepted` in ``aud`` (RFC 7519, section 4.1.3)."""
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


def require_claims(claims: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a token that lacks one of `names` or has it as null."""
    for name in names:
        if claims.get(name) is None:
            raise MissingClaim(f"the claim {name} is missing", name)
