"""Key rotation: when a new key signs, and how long the old ones stay published; without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose.key import Key

__all__ = ["NOT_YET", "USUAL_LEAD", "SigningKeyRotation", "activate", "publish", "rotate"]

USUAL_LEAD: Final = 900.0
"""The default of the seconds from publishing a key to signing with it."""

NOT_YET: Final = 253_402_300_799.0
"""The ``signs_from`` of a key that is published and waits for `activate`: the last second of the
year 9999, a plain number, so that earlier releases read such a file as well."""
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


def publish(keys: Sequence[Key], new: Key, now: float) -> tuple[Key, ...]:
    """Return `keys` with `new` added: it verifies, and does not sign before `activate`.

    Keys past their ``published_until`` are left out.

    Raises:
        InvalidKey: The key of an earlier rotation does not sign yet.

    """
    for key in keys:
        if key.signs_from == NOT_YET:
            raise InvalidKey(
                f"key {key.kid!r} is published and does not sign yet; activate it first, or remove"
                " it"
            )
        if key.signs_from > now:
            raise InvalidKey(
                f"key {key.kid!r} was rotated in and signs in {key.signs_from - now:.0f} s;"
                " rotate again after that"
            )
    kept = [key for key in keys if key.published_until is None or now < key.published_until]
    return *kept, new.with_tenure(signs_from=NOT_YET, published_until=None)


def activate(
    keys: Sequence[Key], now: float, *, lead: float, token_lifetime: float
) -> SigningKeyRotation:
    """Return `keys` with the one that `publish` added signing `lead` seconds from `now` on.

    Call it when every worker has the key: the lead counts from then, because until then some of
    them published a set without it.

    Args:
        keys: The current keys, oldest first.
        now: Unix seconds.
        lead: Seconds for which verifiers may use a set without the new key: at least the
            ``max-age`` that the set is published with, at most 30 days.
        token_lifetime: The longest lifetime of a token in seconds, 1 to 30 days.

    Raises:
        ConfigurationError: `lead` or `token_lifetime` is out of range.
        InvalidKey: No key waits.

    """
    faults = [
        f"{name} is {value:g} s, expected {least} to {_LONGEST}"
        for name, value, least in (("lead", lead, 0), ("token_lifetime", token_lifetime, 1))
        if not least <= value <= _LONGEST
    ]
    if faults:
        raise ConfigurationError(faults)
    if not any(key.signs_from == NOT_YET for key in keys):
        raise InvalidKey("no key waits to sign; add one with linqi keygen --rotate")
    signs_from = now + lead
    until = signs_from + token_lifetime + _CLOCK_SLACK
    return SigningKeyRotation(
        keys=tuple(_with_tenure(key, signs_from, until) for key in keys),
        signs_from=signs_from,
        published_until=until,
        dropped=(),
    )


def rotate(
    keys: Sequence[Key], new: Key, now: float, *, lead: float, token_lifetime: float
) -> SigningKeyRotation:
    """Return `keys` with `new` added: it verifies from `now` on, and signs `lead` seconds later.

    `publish` and `activate` at once, where every worker reads the same file within the lead.

    Args:
        keys: The current keys, oldest first.
        new: The key that signs next.
        now: Unix seconds.
        lead: As of `activate`.
        token_lifetime: As of `activate`.

    Raises:
        ConfigurationError: `lead` or `token_lifetime` is out of range.
        InvalidKey: The key of an earlier rotation does not sign yet.

    """
    published = publish(keys, new, now)
    rotation = activate(published, now, lead=lead, token_lifetime=token_lifetime)
    kept = {id(key) for key in published}
    return replace(rotation, dropped=tuple(key.kid for key in keys if id(key) not in kept))


def _with_tenure(key: Key, signs_from: float, until: float) -> Key:
    if key.signs_from == NOT_YET:
        return key.with_tenure(signs_from=signs_from, published_until=None)
    if key.can_sign and key.published_until is None:
        return key.with_tenure(signs_from=key.signs_from, published_until=until)
    return key
