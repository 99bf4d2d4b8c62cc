"""What a published key set says: the keys to use, and why each other one is left out."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from linqi.errors import InvalidKey, MalformedToken
from linqi.jose._compact import parse_object
from linqi.jose._members import without_nulls
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import only_algorithm_for

__all__ = [
    "SIGNATURES",
    "PublishedKeys",
    "SkippedKey",
    "read_entries",
    "read_published",
    "sort_entries",
]

Reason: TypeAlias = Literal[
    "not_for_signatures", "other_algorithm", "secret", "private", "duplicate", "broken"
]

SIGNATURES: Final = tuple(name for name in ALGORITHMS if not name.startswith("HS"))
"""What a published key can be for: everything but secrets."""
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LONGEST_SHOWN: Final = 64
_DUPLICATE: Final[tuple[Reason, str]] = (
    "duplicate",
    "an earlier key of the set has the same kid and alg",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedKey:
    """A key of the set that is not used."""

    position: int
    """Its place in the set, from 0."""
    kid: str
    """Its ``kid`` as far as it can be shown, or an empty string."""
    reason: Reason
    """``not_for_signatures`` and ``other_algorithm`` are everyday; the rest are the issuer's
    faults. ``secret`` and ``private``: the key is public knowledge now, whoever published it."""
    detail: str

    @property
    def is_fault(self) -> bool:
        """Whether the issuer should mend it."""
        return self.reason not in ("not_for_signatures", "other_algorithm")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeys:
    """The keys of a set that may be used, in its order, and the others."""

    keys: tuple[Key, ...]
    skipped: tuple[SkippedKey, ...]


def read_published(body: bytes, algorithms: Sequence[str], most_keys: int) -> PublishedKeys:
    """Read a JWKS (RFC 7517, section 5) of somebody else's; one bad key spoils only itself.

    `InvalidKey` when it is no strict JSON object with a ``keys`` array, has more than `most_keys`,
    or none of them can be used for one of `algorithms`: such an answer says nothing, so whoever
    has an older set keeps it.
    """
    entries = read_entries(body, most_keys)
    published = sort_entries(entries, algorithms)
    if not published.keys:
        raise InvalidKey(_nothing(entries, published.skipped))
    return published


def read_entries(body: bytes, most_keys: int) -> list[object]:
    """Return the members of the ``keys`` array, whatever they are; `InvalidKey` without one.

    A byte order mark before the text is skipped (RFC 8259, section 8.1), and members of a key that
    are null count as absent: several issuers publish either.
    """
    text = body.removeprefix(BOM_UTF8)
    try:
        entries = parse_object(text, "JWKS", most_members=64 * most_keys).get("keys")
    except MalformedToken as error:
        raise InvalidKey(str(error)) from None
    if not isinstance(entries, list):
        raise InvalidKey('a JWKS is an object with a "keys" array')
    if len(entries) > most_keys:
        raise InvalidKey(f"the JWKS has {len(entries)} keys, at most {most_keys} are read")
    return [without_nulls(e) if isinstance(e, Mapping) else e for e in entries]


def sort_entries(entries: Sequence[object], algorithms: Sequence[str]) -> PublishedKeys:
    """Part the keys to use for `algorithms` from the others."""
    keys: dict[tuple[str, str], Key] = {}
    skipped = []
    for position, entry in enumerate(entries):
        found = _read(entry, algorithms)
        if isinstance(found, Key):
            if keys.setdefault((found.kid, found.alg), found) is found:
                continue
            reason, detail = _DUPLICATE
        else:
            reason, detail = found
        skipped.append(
            SkippedKey(position=position, kid=_shown_kid(entry), reason=reason, detail=detail)
        )
    return PublishedKeys(keys=tuple(keys.values()), skipped=tuple(skipped))


def _read(entry: object, algorithms: Sequence[str]) -> Key | tuple[Reason, str]:
    """Give the key of a JWK, or why it is not one to use."""
    if not isinstance(entry, Mapping):
        return "broken", "the key is not a JSON object"
    if entry.get("kty") == "oct":
        return "secret", "a published secret can be used by anybody to sign"
    if found := _SECRET_MEMBERS & entry.keys():
        return "private", f"the private half is published ({', '.join(sorted(found))})"
    if (why := _other_use(entry)) is not None:
        return "not_for_signatures", why
    alg = entry.get("alg")
    if isinstance(alg, str) and alg not in algorithms:
        return "other_algorithm", f"the key is for alg {alg[:_LONGEST_SHOWN]!r}"
    fit = only_algorithm_for(entry, algorithms)
    if alg is None and fit is None:
        return "other_algorithm", (
            "the key names no alg, and not exactly one of the allowed ones fits its type"
        )
    try:
        return Key.from_jwk(_without_tenure(entry), fit)
    except InvalidKey as error:
        return "broken", str(error)


def _without_tenure(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only a key file of our own says."""
    return {
        name: value for name, value in jwk.items() if name not in ("signs_from", "published_until")
    }


def _other_use(jwk: Mapping[str, Any]) -> str | None:
    """Tell what else a key is for (RFC 7517, sections 4.2 and 4.3)."""
    use = jwk.get("use")
    if isinstance(use, str) and use != "sig":
        return f"the key is for use {use[:_LONGEST_SHOWN]!r}"
    operations = jwk.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations and "sign" not in operations:
        return "the key_ops allow no signatures"
    return None


def _shown_kid(entry: object) -> str:
    kid = entry.get("kid") if isinstance(entry, Mapping) else None
    return kid[:_LONGEST_SHOWN] if isinstance(kid, str) else ""


def _nothing(entries: Sequence[object], skipped: Sequence[SkippedKey]) -> str:
    if not entries:
        return "the JWKS is empty"
    first = skipped[0]
    return (
        f"none of the {len(entries)} keys of the JWKS can be used;"
        f" key {first.position}: {first.detail}"
    )
