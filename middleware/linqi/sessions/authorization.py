"""The application's `authorize`, which is asked before a refreshed token is signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from linqi._callbacks import invoke, unexpected_answer
from linqi.jose.claims import split_scope
from linqi.sessions._claims import claims_text, read_claims, replaceable
from linqi.sessions.record import SessionRecord

__all__ = ["AuthorizeRefresh", "authorized"]

AuthorizeRefresh: TypeAlias = Callable[
    [SessionRecord], bool | Mapping[str, Any] | Awaitable[bool | Mapping[str, Any]]
]
"""Called before a refreshed access token is signed. False revokes the session; true keeps the
claims; a mapping replaces application claims of this token. It may be a coroutine function."""

_AUTHORIZE_SECONDS: Final = 5.0


async def authorized(
    authorize: AuthorizeRefresh | None, record: SessionRecord
) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Return the claims and scopes of the next token of a session; None if it must end.

    Raises:
        ApplicationFault: `authorize` raised, or returned a wrong type.
        Unavailable: It raised that, or took more than 5 s.

    """
    claims = read_claims(record.claims)
    scopes = split_scope(claims.get("scope", ""))
    if authorize is None:
        return claims, scopes
    answer = await invoke("authorize", authorize, record, seconds=_AUTHORIZE_SECONDS)
    if isinstance(answer, Mapping):
        claims |= replaceable(answer, scopes)
        claims_text(claims, ())  # the same limits as at the sign-in
        return claims, split_scope(claims.get("scope", ""))
    if answer is False:
        return None
    if answer is not True:
        raise unexpected_answer("authorize", answer, "True, False or a mapping of claims")
    return claims, scopes
