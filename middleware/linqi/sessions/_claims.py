"""Which claims are the session's and which the application's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.jose.claims import LONGEST_STRING, is_scope, split_scope

__all__ = ["check_start", "is_unicode", "replaceable", "subject_fault"]

_FIXED_CLAIMS: Final = frozenset(
    {"iss", "aud", "sub", "sid", "auth_time", "session_end", "acr", "amr", "iat", "exp", "nbf",
     "jti", "cnf"}
)  # fmt: skip


def replaceable(answer: Mapping[str, Any], scopes: Sequence[str]) -> dict[str, Any]:
    """Give what an answer may change: not who the session is, and scopes only fewer (R3)."""
    replaced = {name: answer[name] for name in answer if name not in _FIXED_CLAIMS}
    if "scope" in replaced:
        kept = set(split_scope(replaced["scope"]))
        replaced["scope"] = " ".join(scope for scope in scopes if scope in kept)
    return replaced


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


def is_unicode(text: str) -> bool:
    """Tell whether `text` can be written as UTF-8: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_start(subject: str, claims: Mapping[str, Any] | None, scopes: Sequence[str]) -> None:
    """Raise `ConfigurationError` for what cannot begin a session."""
    faults = [f"subject is {fault}"] if (fault := subject_fault(subject)) else []
    taken = sorted({*(claims or {})} & (_FIXED_CLAIMS - {"acr", "amr", "cnf"}))
    if taken:
        faults.append(f"claims names {', '.join(taken)}, which the session sets itself")
    if isinstance(scopes, str) or not all(is_scope(scope) for scope in scopes):
        faults.append("scopes is not a list of scope names (RFC 6749, section 3.3)")
    if faults:
        raise ConfigurationError(faults)
