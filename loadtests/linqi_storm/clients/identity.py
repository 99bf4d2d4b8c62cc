"""What the tokens of one session must say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from linqi_storm.clients.recent_pairs import RecentPairs
from linqi_storm.schema.identity import MARK, echo_of

__all__ = ["Identity"]

_LIFE: Final = frozenset({"iat", "exp", "nbf", "jti", "claims_at"})
"""Claims that differ from token to token."""
_FIXED: Final = (
    *("iss", "sub", "aud", "sid", "auth_time", "session_end"),
    *("acr", "amr", "cnf", MARK),
)
"""Claims that no application may change during a session."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode

_REMEMBERED: Final = 8
"""Token ids of a session that are compared with a new one."""


class Identity:
    """The claims of a session's first token, which all its tokens carry.

    Args:
        claims: Of the first token.
        is_exact: Whether the application changes no claim; otherwise it may replace claims of its
            own and narrow the scopes, as `authorize` can, but drop none.

    Attributes:
        subject: The session's ``sub``.

    """

    __slots__ = ("_claims", "_echo", "_ids", "_is_exact", "subject")

    def __init__(self, claims: Mapping[str, Any], *, is_exact: bool) -> None:
        # As JSON a quarter of the size of a dictionary; only a new token is compared with it.
        self._claims = msgspec.json.encode(
            {name: value for name, value in claims.items() if name not in _LIFE}
        )
        self._ids = RecentPairs(_REMEMBERED)
        self.repeats_id(claims)
        self._is_exact = is_exact
        self.subject = str(claims.get("sub", ""))
        scopes = str(claims.get("scope", "")).split()
        echo = echo_of(claims.get("sub"), claims.get("sid"), claims.get(MARK), scopes)
        self._echo = hash(echo)

    def is_echo(self, body: bytes) -> bool:
        """Return whether `body` is what an embedded application answers to the client."""
        return hash(body) == self._echo

    def repeats_id(self, claims: Mapping[str, Any]) -> bool:
        """Return whether a token with another ``exp`` had the same ``jti``.

        Workers that sign one successor twice give both the same ``jti`` and ``exp``.
        """
        name = claims.get("jti")
        if name is None:
            return False
        name, ends = str(name), str(float(claims.get("exp", 0.0)))
        known = self._ids.get(name)
        if known is None:
            self._ids.put(name, ends)
        return known is not None and known != hash(ends)

    def fault(self, claims: Mapping[str, Any]) -> str:
        """Return what a token with `claims` says wrongly of the session; empty if nothing."""
        own = _decode(self._claims)
        if missing := own.keys() - claims.keys():
            return f"without {', '.join(sorted(missing))}"
        names = own.keys() if self._is_exact else _FIXED
        for name in names:
            if claims.get(name) != own.get(name) and name != "scope":
                return f"with another {name}"
        if self._is_exact and (added := claims.keys() - own.keys() - _LIFE):
            return f"with {', '.join(sorted(added))} added"
        scopes, own_scopes = _scopes_in(claims), _scopes_in(own)
        if scopes - own_scopes:
            return "with more scopes"
        if (own_scopes and not scopes) or (self._is_exact and scopes != own_scopes):
            return "with fewer scopes"
        return ""


def _scopes_in(claims: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(claims.get("scope", "")).split())
