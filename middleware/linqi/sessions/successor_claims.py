"""The claims of the token that follows another, as the application decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from linqi._callbacks import invoke, unexpected_answer
from linqi.errors import RefreshRefused, RenewalRefused
from linqi.jose.claims import split_scope
from linqi.jose.verified import Verified
from linqi.sessions._claims import application_claims, replaceable

__all__ = ["Authorize", "claims_at_move", "claims_at_renewal", "granted_at_move"]

Authorize: TypeAlias = Callable[
    [Verified], bool | Mapping[str, Any] | Awaitable[bool | Mapping[str, Any]]
]
"""Called before a successor is signed. False ends the renewal; true keeps the claims; a mapping
replaces application claims, such as roles that changed. It may be a coroutine function."""

_AUTHORIZE_SECONDS: Final = 5.0


async def claims_at_renewal(authorize: Authorize | None, verified: Verified) -> dict[str, Any]:
    """Return the claims that the successor of a sliding token has instead of its own.

    Raises:
        RenewalRefused: `authorize` returned False.
        ApplicationFault: It raised, or returned a wrong type.
        Unavailable: It raised that, or took more than 5 s.

    """
    if authorize is None:
        return {}
    return await _replaced("authorize", authorize, verified, verified.scopes)


async def claims_at_move(authorize_move: Authorize, verified: Verified) -> dict[str, Any]:
    """Return the claims of the first token of ours that a bridged one has not, scopes included.

    Nothing of ours was granted before, so the scopes are not limited. Raises as
    `claims_at_renewal` does.
    """
    return await _replaced("authorize_move", authorize_move, verified, None)


async def granted_at_move(
    authorize_move: Authorize | None, verified: Verified
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the claims and scopes of the stored session that takes over a bridged token.

    Raises:
        RefreshRefused: `authorize_move` returned False.
        ApplicationFault: It raised, or returned a wrong type.
        Unavailable: It raised that, or took more than 5 s.

    """
    granted = application_claims(verified.claims)
    if authorize_move is not None:
        try:
            granted |= await claims_at_move(authorize_move, verified)
        except RenewalRefused:
            detail = "the application's authorize_move returned False"
            raise RefreshRefused("denied", detail) from None
    return granted, split_scope(granted.pop("scope", ""))


async def _replaced(
    name: str, function: Authorize, verified: Verified, scopes: tuple[str, ...] | None
) -> dict[str, Any]:
    answer = await invoke(name, function, verified, seconds=_AUTHORIZE_SECONDS)
    if isinstance(answer, Mapping):
        return replaceable(answer, scopes)
    if answer is False:
        raise RenewalRefused("authorize")
    if answer is not True:
        raise unexpected_answer(name, answer, "True, False or a mapping of claims")
    return {}
