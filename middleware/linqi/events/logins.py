"""Events of the limits on sign-in attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "LoginThrottleFailed",
    "LoginThrottled",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginThrottled:
    """A sign-in was refused before its password was checked, because limits were reached."""

    limits: tuple[str, ...]
    """Any of ``pair``, ``address``, ``name`` and ``device``."""
    wait: float
    """Seconds until another attempt is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginThrottleFailed:
    """The counters of sign-in attempts are not available.

    ``reserve``: the sign-in was refused with 503; ``release``: it succeeded and still counts as a
    failure; ``device``: the client got no device token.
    """

    step: Literal["reserve", "release", "device"]
    detail: str
