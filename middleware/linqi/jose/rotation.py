"""Key rotation: when a new key signs, and how long the old ones stay published; without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose.key import Key

__all__ = ["USUAL_LEAD", "SigningKeyRotation", "rotate"]

USUAL_LEAD: Final = 900.0
"""The default of the seconds from publishing a key to signing with it."""

_CLOCK_SLACK: Final = 60.0
"""Seconds for which signers whose clocks are behind use the old key longer."""
_LONGEST: Final = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRotation:
    """The key set after a rotation. Instants are Unix seconds."""

    keys: tuple[Key, ...]
    signs_from: float
    """When the new key begins to sign; every verifier has it by then."""
    published_until: float
    """When the last token of the old keys has expired."""
    dropped: tuple[str, ...]
    """Key ids that were past their ``published_until`` and are removed."""


def rotate(
    keys: Sequence[Key], new: Key, now: float, *, lead: float, token_lifetime: float
) -> SigningKeyRotation:
    """Return `keys` with `new` added: it verifies from `now` on, and signs `lead` seconds later.

    Args:
        keys: The current keys, oldest first.
        new: The key that signs next.
        now: Unix seconds.
        lead: Seconds for which verifiers may use a set without `new`: at least the ``max-age`` that
            the set is published with, at most 30 days.
        token_lifetime: The longest lifetime of a token in seconds, 1 to 30 days.

    Raises:
        ConfigurationError: `lead` or `token_lifetime` is out of range.
        InvalidKey: The key of an earlier rotation does not sign yet.

    """
    faults = [
        f"{name} is {value:g} s, expected {least} to {_LONGEST}"
        for name, value, least in (("lead", lead, 0), ("token_lifetime", token_lifetime, 1))
        if not least <= value <= _LONGEST
    ]
    if faults:
        raise ConfigurationError(faults)
    for key in keys:
        if key.signs_from > now:
            raise InvalidKey(
                f"key {key.kid!r} was rotated in and signs in {key.signs_from - now:.0f} s;"
                " rotate again after that"
            )
    signs_from = now + lead
    until = signs_from + token_lifetime + _CLOCK_SLACK
    kept = [key for key in keys if key.published_until is None or now < key.published_until]
    retired = [
        key.with_tenure(signs_from=key.signs_from, published_until=until)
        if key.can_sign and key.published_until is None
        else key
        for key in kept
    ]
    return SigningKeyRotation(
        keys=(*retired, new.with_tenure(signs_from=signs_from, published_until=None)),
        signs_from=signs_from,
        published_until=until,
        dropped=tuple(key.kid for key in keys if key not in kept),
    )
