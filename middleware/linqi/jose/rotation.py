"""The key to sign with next, and how long the one before it stays published: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose.key import Key

__all__ = ["USUAL_LEAD", "SigningKeyRotation", "rotate"]

USUAL_LEAD: Final = 900.0
"""Seconds from publishing a key to signing with it, unless the operator says otherwise."""

_CLOCK_SLACK: Final = 60.0
"""Signers whose clocks are behind go on with the old key for so long."""
_LONGEST: Final = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRotation:
    """What a key set becomes. Instants are Unix seconds."""

    keys: tuple[Key, ...]
    signs_from: float
    """When the new key begins to sign: by then every verifier has it."""
    published_until: float
    """When the last token of the keys before it has expired."""
    dropped: tuple[str, ...]
    """Key ids that were past their own ``published_until`` and are gone."""


def rotate(
    keys: Sequence[Key], new: Key, now: float, *, lead: float, token_lifetime: float
) -> SigningKeyRotation:
    """Put `new` behind `keys`: published and verified with from `now` on, signing `lead` later.

    `lead`: seconds that verifiers may keep a set without `new`, at least the ``max-age`` it is
    published with. `token_lifetime`: seconds that the longest token lives. Both up to 30 days.
    `InvalidKey` while an earlier rotation has not come to its signing yet.
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
