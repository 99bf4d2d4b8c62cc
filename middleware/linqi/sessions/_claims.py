"""Which claims belong to the session and which to the application."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from linqi.errors import (
    ConfigurationError,
    InvalidSubject,
    MalformedToken,
    RefreshRefused,
    SigningError,
)
from linqi.jose._compact import parse_object
from linqi.jose.claims import LONGEST_STRING, is_scope, split_scope

__all__ = [
    "application_claims",
    "check_start",
    "check_subject",
    "claims_text",
    "is_unicode",
    "narrowed",
    "read_claims",
    "replaceable",
    "subject_fault",
]

_IDENTITY_CLAIMS: Final = frozenset({"iss", "aud", "sub", "sid", "auth_time", "session_end"})
_LIFE_CLAIMS: Final = frozenset({"iat", "exp", "nbf", "jti", "claims_at"})
_PROOF_CLAIMS: Final = frozenset({"acr", "amr", "cnf"})
"""Set by the application at sign-in, and never changed after it."""
_FIXED_CLAIMS: Final = _IDENTITY_CLAIMS | _LIFE_CLAIMS | _PROOF_CLAIMS
_LONGEST_CLAIMS: Final = 4_096

read_claims: Final = msgspec.json.Decoder(dict[str, Any]).decode
"""Returns the claims of a session from the text that `claims_text` made."""


def replaceable(answer: Mapping[str, Any], scopes: Sequence[str] | None) -> dict[str, Any]:
    """Return the claims that an answer replaces: never the identity, and only fewer scopes (R3).

    `scopes` are those that a session was granted; None if it begins now.

    Raises:
        SigningError: Every verifier would refuse them, so the client would lose a good token.

    """
    replaced = {name: answer[name] for name in answer if name not in _FIXED_CLAIMS}
    if "scope" in replaced:
        kept = split_scope(replaced["scope"])
        granted = kept if scopes is None else scopes
        replaced["scope"] = " ".join(scope for scope in granted if scope in {*kept})
    _check_readable(replaced)
    return replaced


def application_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims that the session does not set itself; ``scope`` is among them."""
    return {name: claims[name] for name in claims if name not in _IDENTITY_CLAIMS | _LIFE_CLAIMS}


def _check_readable(claims: Mapping[str, Any]) -> None:
    try:
        parse_object(msgspec.json.encode(claims), "answer of authorize")
    except MalformedToken as error:
        raise SigningError(f"no verifier accepts these claims: {error}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise SigningError(f"the claims are not JSON: {error}") from None


def narrowed(granted: tuple[str, ...], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the scopes of one access token: fewer than granted, never more (D7)."""
    if wanted is None:
        return granted
    if not set(wanted) <= set(granted):
        raise RefreshRefused("scope", "scopes were requested that the session does not have")
    return tuple(scope for scope in granted if scope in set(wanted))


def subject_fault(subject: object) -> str:
    """Return why `subject` cannot be in a token (V13), without repeating it; empty if it can."""
    expected = f"expected a string of 1 to {LONGEST_STRING} characters without NUL"
    if not isinstance(subject, str):
        return f"of type {type(subject).__name__}, {expected}"
    if not 0 < len(subject) <= LONGEST_STRING:
        return f"{len(subject)} characters long, {expected}"
    if "\0" in subject or not is_unicode(subject):
        return f"text with NUL or a lone surrogate, {expected}"
    return ""


def check_subject(subject: object) -> None:
    """Raise `InvalidSubject` if `subject` cannot be in a token."""
    if fault := subject_fault(subject):
        raise InvalidSubject(f"the subject is {fault}")


def is_unicode(text: str) -> bool:
    """Return whether `text` can be encoded as UTF-8: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_start(subject: str, claims: Mapping[str, Any] | None, scopes: Sequence[str]) -> None:
    """Check the arguments of a sign-in.

    Raises:
        ConfigurationError: The subject, a claim or a scope cannot be in a session's tokens.

    """
    faults = [f"subject is {fault}"] if (fault := subject_fault(subject)) else []
    taken = sorted({*(claims or {})} & (_IDENTITY_CLAIMS | _LIFE_CLAIMS))
    if taken:
        faults.append(f"claims names {', '.join(taken)}, which the session sets itself")
    if isinstance(scopes, str) or not all(is_scope(scope) for scope in scopes):
        faults.append("scopes is not a list of scope names (RFC 6749, section 3.3)")
    if faults:
        raise ConfigurationError(faults)


def claims_text(claims: Mapping[str, Any] | None, scopes: Sequence[str]) -> str:
    """Return the claims and scopes of a session as JSON text.

    Raises:
        SigningError: The claims are not JSON, or not Unicode.
        ConfigurationError: The text is longer than 4,096 bytes.

    """
    all_claims = {**(claims or {}), **({"scope": " ".join(scopes)} if scopes else {})}
    try:
        text = json.dumps(all_claims, separators=(",", ":"), allow_nan=False)
        json.dumps(all_claims, ensure_ascii=False).encode()  # a token is UTF-8
    except (TypeError, ValueError, RecursionError) as error:
        raise SigningError(f"the claims are not JSON: {error}") from None
    if len(text) > _LONGEST_CLAIMS:
        raise ConfigurationError(
            [f"the claims have {len(text)} bytes as JSON, at most {_LONGEST_CLAIMS} are kept"]
        )
    return text
