"""The faults of a published key set that its publisher should fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linqi.errors import InvalidKey
from linqi.jwks.certificates import UnusableCertificate
from linqi.jwks.published import SIGNATURES, KeysFormat, SkippedKey, read_entries, sort_entries

__all__ = ["KeyLine", "KeySetFinding", "LintedKeySet", "lint"]

_LONGEST_SHOWN: Final = 64
_MANY_KEYS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLine:
    """One key of the set as it is published; a missing member is empty."""

    position: int
    """The index in the set, from 0."""
    kid: str
    kty: str
    alg: str
    use: str
    size: str
    """Bits of an RSA modulus, or the curve."""
    verdict: str
    """``used``, or the reason of a `SkippedKey`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetFinding:
    """One finding about a key set."""

    level: str
    """``fault``, which the publisher should fix, or ``note``."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LintedKeySet:
    """The keys of a set and the findings about it."""

    keys: tuple[KeyLine, ...]
    findings: tuple[KeySetFinding, ...]

    @property
    def has_faults(self) -> bool:
        """Whether the publisher should fix anything."""
        return any(finding.level == "fault" for finding in self.findings)


def lint(
    body: bytes,
    headers: Mapping[str, str] | None,
    *,
    algorithms: Sequence[str] | None = None,
    most_keys: int = 64,
    keys_format: KeysFormat = "jwks",
    now: float = 0,
) -> LintedKeySet:
    """Return the keys of a key set, as `RemoteKeys` would use them, and the findings about it.

    Args:
        body: The document.
        headers: The headers of its response, with lower-case names; None for a file.
        algorithms: The algorithms whose keys are used. None for all asymmetric ones; an RSA key
            without ``alg`` then counts as RS256, one on an Edwards curve as EdDSA.
        most_keys: The number of keys from which on the set is not read.
        keys_format: The form of the document.
        now: Unix seconds, with which the end of a certificate is compared.

    """
    findings = [] if headers is None else _about_headers(headers)
    try:
        entries = read_entries(body, most_keys, keys_format, now)
    except InvalidKey as error:
        return LintedKeySet(
            keys=(), findings=(KeySetFinding(level="fault", text=str(error)), *findings)
        )
    if algorithms is None:
        published = sort_entries([_with_usual_alg(entry) for entry in entries], SIGNATURES)
    else:
        published = sort_entries(entries, algorithms)
    skipped = {key.position: key for key in published.skipped}
    for key in published.skipped:
        name = f" ({_escaped(key.kid)})" if key.kid else ""
        level = "fault" if key.is_fault else "note"
        findings.append(KeySetFinding(level=level, text=f"key {key.position}{name}: {key.detail}"))
    if not published.keys:
        findings.append(KeySetFinding(level="fault", text="no key of the set can be used"))
    if keys_format == "jwks":  # a map has a key id for each certificate, and never an alg
        findings += _about_names(entries, skipped)
    if len(entries) > _MANY_KEYS:
        text = (
            f"the set has {len(entries)} keys; more than {_MANY_KEYS} are unusual: are old keys"
            " still published?"
        )
        findings.append(KeySetFinding(level="note", text=text))
    lines = tuple(_line(n, entry, skipped.get(n)) for n, entry in enumerate(entries))
    return LintedKeySet(keys=lines, findings=tuple(findings))


def _about_names(entries: list[object], skipped: Mapping[int, SkippedKey]) -> list[KeySetFinding]:
    used = [(n, e) for n, e in enumerate(entries) if n not in skipped and isinstance(e, Mapping)]
    findings = []
    for position, entry in used:
        if "kid" not in entry:
            is_alone = len(used) == 1
            text = (
                f"key {position} has no kid: some verifiers use it only for tokens without kid"
                if is_alone
                else f"key {position} has no kid: verifiers cannot choose it among several keys"
            )
            findings.append(KeySetFinding(level="note" if is_alone else "fault", text=text))
        if "alg" not in entry:
            text = f"key {position} has no alg: each verifier's configuration decides its use"
            findings.append(KeySetFinding(level="note", text=text))
    return findings


def _about_headers(headers: Mapping[str, str]) -> list[KeySetFinding]:
    findings = []
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        text = (
            f"the content type is {_escaped(media) or 'absent'}, expected application/jwk-set+json"
        )
        findings.append(KeySetFinding(level="note", text=text))
    if not headers.get("cache-control"):
        text = "there is no Cache-Control: each verifier chooses how long it caches the set"
        findings.append(KeySetFinding(level="note", text=text))
    return findings


def _line(position: int, entry: object, skipped: SkippedKey | None) -> KeyLine:
    said = entry if isinstance(entry, Mapping) else {}
    if isinstance(entry, UnusableCertificate):
        said = {"kid": entry.kid}
    return KeyLine(
        position=position,
        kid=_text(said.get("kid")),
        kty=_text(said.get("kty")),
        alg=_text(said.get("alg")),
        use=_text(said.get("use")),
        size=_modulus_bits(said.get("n")) or _text(said.get("crv")),
        verdict="used" if skipped is None else skipped.reason,
    )


def _with_usual_alg(entry: object) -> object:
    if isinstance(entry, Mapping) and entry.get("alg") is None:
        usual = {"RSA": "RS256", "OKP": "EdDSA"}.get(str(entry.get("kty")))
        return entry if usual is None else {**entry, "alg": usual}
    return entry


def _modulus_bits(modulus: object) -> str:
    """Return the approximate length of an RSA modulus, from the length of its base64url text."""
    return f"{len(modulus) * 6 // 8 * 8} bit" if isinstance(modulus, str) and modulus else ""


def _text(value: object) -> str:
    return _escaped(value[:_LONGEST_SHOWN]) if isinstance(value, str) else ""


def _escaped(text: str) -> str:
    """Return `text` without control characters, which could change a terminal's state."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")
