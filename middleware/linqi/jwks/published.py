"""The usable keys of a published key set, and why each other key is skipped."""

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
from linqi.jwks.certificates import UnusableCertificate, read_certificates

__all__ = [
    "SIGNATURES",
    "KeysFormat",
    "PublishedKeys",
    "SkippedKey",
    "algorithm_faults",
    "read_entries",
    "read_published",
    "sort_entries",
]

KeysFormat: TypeAlias = Literal["jwks", "certificates"]
"""A JWKS (RFC 7517, section 5), or a JSON object of key ids and certificates."""
Reason: TypeAlias = Literal[
    "not_for_signatures", "other_algorithm", "secret", "private", "duplicate", "broken", "expired"
]

SIGNATURES: Final = tuple(name for name in ALGORITHMS if not name.startswith("HS"))
"""The algorithms of published keys: all but HMAC, whose keys are secrets."""
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
    """The index in the set, from 0."""
    kid: str
    """The first 64 characters of its ``kid``, or an empty string."""
    reason: Reason
    """``not_for_signatures`` and ``other_algorithm`` are normal; the others are faults of the
    issuer. ``secret`` and ``private``: the secret part is published, so the key is compromised;
    ``expired``: its certificate has ended."""
    detail: str
    """The reason as a sentence."""

    @property
    def is_fault(self) -> bool:
        """Whether the issuer should fix it."""
        return self.reason not in ("not_for_signatures", "other_algorithm")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeys:
    """The usable keys of a set, in its order, and the skipped ones."""

    keys: tuple[Key, ...]
    skipped: tuple[SkippedKey, ...]


def algorithm_faults(algorithms: object) -> list[str]:
    """Return what is wrong with the algorithms that an issuer's keys are accepted for."""
    if isinstance(algorithms, str) or not isinstance(algorithms, Sequence) or not algorithms:
        return ["algorithms is not a non-empty list of names, such as ['RS256']"]
    return [
        f"algorithm {name!r} is not one of {', '.join(SIGNATURES)}; HMAC keys are secrets and"
        " never published"
        for name in algorithms
        if name not in SIGNATURES
    ]


def read_published(
    body: bytes,
    algorithms: Sequence[str],
    most_keys: int,
    keys_format: KeysFormat = "jwks",
    now: float = 0,
) -> PublishedKeys:
    """Return the usable keys of another party's key set.

    A bad key is skipped; it does not affect the others.

    Args:
        body: The JSON text.
        algorithms: The algorithms whose keys are used.
        most_keys: The largest number of keys.
        keys_format: The form of the body.
        now: Unix seconds, with which the end of a certificate is compared.

    Raises:
        InvalidKey: The body is not of that form (a strict JSON object, for a JWKS with a ``keys``
            array), has too many keys, or has no usable key. The caller then keeps an older set.

    """
    entries = read_entries(body, most_keys, keys_format, now)
    published = sort_entries(entries, algorithms)
    if not published.keys:
        raise InvalidKey(_nothing(entries, published.skipped))
    return published


def read_entries(
    body: bytes, most_keys: int, keys_format: KeysFormat = "jwks", now: float = 0
) -> list[object]:
    """Return the elements of the ``keys`` array, unchecked, or what stands for certificates.

    A byte order mark is skipped (RFC 8259, section 8.1), and members of a key that are null are
    removed: several issuers publish either.

    Raises:
        InvalidKey: There is no such array or map, or it has more than `most_keys` elements.

    """
    if keys_format == "certificates":
        return [*read_certificates(body, most_keys, now)]
    text = body.removeprefix(BOM_UTF8)
    try:
        entries = parse_object(text, "JWKS", most_members=64 * most_keys).get("keys")
    except MalformedToken as error:
        raise InvalidKey(str(error)) from None
    if not isinstance(entries, list):
        hint = "; for a map of certificates set keys_format" if b"-----BEGIN " in text else ""
        raise InvalidKey(f'the JWKS has no "keys" array{hint}')
    if len(entries) > most_keys:
        raise InvalidKey(f"the JWKS has {len(entries)} keys, at most {most_keys} are read")
    return [without_nulls(e) if isinstance(e, Mapping) else e for e in entries]


def sort_entries(entries: Sequence[object], algorithms: Sequence[str]) -> PublishedKeys:
    """Return the usable and the skipped keys of `entries`."""
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
    """Return the key of a JWK, or the reason and detail for which it is skipped."""
    if isinstance(entry, UnusableCertificate):
        return entry.reason, entry.detail
    if not isinstance(entry, Mapping):
        return "broken", "the key is not a JSON object"
    if entry.get("kty") == "oct":
        return "secret", "the key is a published secret: anyone can sign with it"
    if found := _SECRET_MEMBERS & entry.keys():
        return "private", f"the private key is published (members {', '.join(sorted(found))})"
    if (why := _other_use(entry)) is not None:
        return "not_for_signatures", why
    alg = entry.get("alg")
    if isinstance(alg, str) and alg not in algorithms:
        return "other_algorithm", f"the key is for alg {alg[:_LONGEST_SHOWN]!r}"
    fit = only_algorithm_for(entry, algorithms)
    if alg is None and fit is None:
        return "other_algorithm", (
            "the key has no alg, and not exactly one of the allowed algorithms fits its type"
        )
    try:
        return Key.from_jwk(_without_tenure(entry), fit)
    except InvalidKey as error:
        return "broken", str(error)


def _without_tenure(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the members that only linqi's own key files have."""
    return {
        name: value for name, value in jwk.items() if name not in ("signs_from", "published_until")
    }


def _other_use(jwk: Mapping[str, Any]) -> str | None:
    """Return why a key is not for signatures (RFC 7517, sections 4.2 and 4.3), or None."""
    use = jwk.get("use")
    if isinstance(use, str) and use != "sig":
        return f"the key is for use {use[:_LONGEST_SHOWN]!r}"
    operations = jwk.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations and "sign" not in operations:
        return "the key_ops of the key do not include verify"
    return None


def _shown_kid(entry: object) -> str:
    if isinstance(entry, UnusableCertificate):
        return entry.kid[:_LONGEST_SHOWN]
    kid = entry.get("kid") if isinstance(entry, Mapping) else None
    return kid[:_LONGEST_SHOWN] if isinstance(kid, str) else ""


def _nothing(entries: Sequence[object], skipped: Sequence[SkippedKey]) -> str:
    if not entries:
        return "the key set is empty"
    first = skipped[0]
    return (
        f"none of the {len(entries)} keys of the set can be used;"
        f" key {first.position}: {first.detail}"
    )
