"""How long an own token may live, so that none outlives the revocation of its session."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from linqi.errors import LifetimeExceeded, MissingClaim
from linqi.jose.verified import Verified

__all__ = ["KnowsLifetime", "check_lifetime", "lifetime_source"]

_ROUNDING: Final = 0.001
"""Seconds by which a lifetime that was added to an instant may come out longer."""


@runtime_checkable
class KnowsLifetime(Protocol):
    """What knows how long revocations are kept."""

    @property
    def longest_lifetime(self) -> float:
        """The longest life of an own token, in seconds; infinite while it is not known."""
        ...


def lifetime_source(
    longest: float | Callable[[], float] | None, is_revoked: object
) -> Callable[[], float] | None:
    """Return what gives the bound that holds now; None where there is none.

    Without `longest` it is asked of the object whose method `is_revoked` is, if that is a
    `KnowsLifetime`: revocations and their bound then cannot be wired apart by mistake.
    """
    if longest is None:
        knows = getattr(is_revoked, "__self__", None)
        return (lambda: knows.longest_lifetime) if isinstance(knows, KnowsLifetime) else None
    if callable(longest):
        return longest
    fixed = float(longest)
    return lambda: fixed


def check_lifetime(verified: Verified, longest: float) -> None:
    """Check that an own token lives for at most `longest` seconds.

    A token without ``iat`` could live for any time. RFC 9068, section 2.2, demands the claim, and
    no token that linqi makes is without it.

    Raises:
        LifetimeExceeded: ``exp - iat`` is more than `longest`.
        MissingClaim: There is no ``iat``.

    """
    if longest == math.inf:
        return
    if verified.issued_at is None:
        raise MissingClaim("the claim iat of an own token is missing", "iat")
    life = verified.expires_at - verified.issued_at
    if life > longest + _ROUNDING:
        raise LifetimeExceeded(
            f"the token lives {life:.0f} s, and revocations are kept for {longest:.0f}; see"
            " longest_lifetime_seconds"
        )
