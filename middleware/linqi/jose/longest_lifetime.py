"""The longest lifetime of own tokens, so that none outlives the revocation of its session."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from linqi.errors import LifetimeExceeded, MissingClaim, TokenError
from linqi.jose.verified import Verified

__all__ = [
    "KnowsLifetime",
    "LifetimeBound",
    "RaisesLifetime",
    "check_lifetime",
    "raise_lifetime",
    "source_faults",
]

_ROUNDING: Final = 0.001
"""Seconds by which rounding may lengthen a lifetime that was added to an instant."""


@runtime_checkable
class KnowsLifetime(Protocol):
    """An object that knows how long revocations are kept."""

    @property
    def longest_lifetime(self) -> float:
        """The longest lifetime of an own token in seconds; infinite while it is not known."""
        ...


@runtime_checkable
class RaisesLifetime(Protocol):
    """An object that can keep revocations for longer."""

    def raise_lifetime(self, seconds: float) -> None:
        """Raise the longest lifetime of own tokens to `seconds`; a longer one stays."""
        ...


def raise_lifetime(is_revoked: object, seconds: float) -> None:
    """Keep revocations for `seconds`, if `is_revoked` is the method of an object that can."""
    keeper = getattr(is_revoked, "__self__", None)
    if isinstance(keeper, RaisesLifetime):
        keeper.raise_lifetime(seconds)


def source_faults(longest: float | Callable[[], float] | None, is_revoked: object) -> list[str]:
    """Return what is wrong with the arguments of `LifetimeBound`."""
    faults = []
    if isinstance(longest, float | int) and not longest > 0:
        faults.append(f"longest_lifetime is {longest!r}, expected above 0 s")
    call = getattr(type(is_revoked), "__call__", None)  # noqa: B004 - the method itself is wanted
    if inspect.iscoroutinefunction(is_revoked) or inspect.iscoroutinefunction(call):
        # A coroutine is true: every token would be revoked, and none renewed.
        faults.append("is_revoked is a coroutine function; nothing would await it")
    return faults


class LifetimeBound:
    """The bound on the lifetime of own tokens that is in force, if there is one.

    Args:
        longest: Seconds, or a function that returns the current number. Without it the bound is
            that of the object whose method `is_revoked` is, if it is a `KnowsLifetime`: a
            deployment with revocations cannot forget their bound.
        is_revoked: The check of revocations, or None.
        on_shrink: Called when the bound became shorter: tokens accepted earlier may exceed it.

    """

    __slots__ = ("_last", "_on_shrink", "_source")

    def __init__(
        self,
        longest: float | Callable[[], float] | None,
        is_revoked: object,
        on_shrink: Callable[[], object],
    ) -> None:
        self._source = _source(longest, is_revoked)
        self._last = math.inf
        self._on_shrink = on_shrink

    @property
    def current(self) -> float:
        """The longest lifetime of an own token in seconds; infinite without a bound."""
        return math.inf if self._source is None else self._source()

    def is_exceeded(self, verified: Verified, *, is_signed: bool) -> bool:
        """Return whether an own token lives too long; raise if so, unless it was just signed."""
        if self._source is None:
            return False
        longest = self._source()
        if longest < self._last:
            self._on_shrink()
        self._last = longest
        try:
            check_lifetime(verified, longest)
        except TokenError:
            if not is_signed:
                raise
            return True
        return False


def _source(
    longest: float | Callable[[], float] | None, is_revoked: object
) -> Callable[[], float] | None:
    """Return a function that returns the current bound in seconds; None if there is no bound."""
    if longest is None:
        knows = getattr(is_revoked, "__self__", None)
        return (lambda: knows.longest_lifetime) if isinstance(knows, KnowsLifetime) else None
    if callable(longest):
        return longest
    fixed = float(longest)
    return lambda: fixed


def check_lifetime(verified: Verified, longest: float) -> None:
    """Check that an own token lives for at most `longest` seconds.

    Without ``iat`` the lifetime is unknown. RFC 9068, section 2.2, requires the claim, and every
    token of linqi has it.

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
