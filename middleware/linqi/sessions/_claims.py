"""Which claims are the session's and which the application's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.jose.claims import is_scope, split_scope

__all__ = ["check_start", "replaceable"]

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


def check_start(subject: str, claims: Mapping[str, Any] | None, scopes: Sequence[str]) -> None:
    """Raise `ConfigurationError` for what cannot begin a session."""
    faults = []
    if not isinstance(subject, str) or not 0 < len(subject) <= 1024 or "\0" in subject:
        faults.append("subject is not a string of 1 to 1024 characters without NUL")
    taken = sorted({*(claims or {})} & (_FIXED_CLAIMS - {"acr", "amr", "cnf"}))
    if taken:
        faults.append(f"claims names {', '.join(taken)}, which the session sets itself")
    if isinstance(scopes, str) or not all(is_scope(scope) for scope in scopes):
        faults.append("scopes is not a list of scope names (RFC 6749, section 3.3)")
    if faults:
        raise ConfigurationError(faults)
