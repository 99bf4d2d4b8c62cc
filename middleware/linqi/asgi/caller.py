"""The caller of a request, as framework integrations read it from the ASGI scope."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from linqi.asgi._http import Scope
from linqi.asgi.guards import missing_scopes
from linqi.asgi.refusals import Refusal, refusal_for
from linqi.errors import ConfigurationError
from linqi.jose.verified import Anonymous, Verified

__all__ = ["LoadUser", "caller_of", "loaded_user", "refusal_of"]

LoadUser: TypeAlias = Callable[[Verified], Awaitable[Any] | Any]
"""Returns the application's own user of a verified token, or None if there is none any more."""

_USER: Final = "linqi.user"
"""The key in the scope of the user that was loaded for this request."""


def caller_of(scope: Scope) -> Verified | None:
    """Return the verified caller; None for a public or optional path without a token.

    Raises:
        ConfigurationError: No `JWTMiddleware` is around the application, so that the caller is not
            known: such a request is never served as an anonymous one.

    """
    who = scope.get("linqi")
    if isinstance(who, Verified):
        return who
    if isinstance(who, Anonymous):
        return None
    raise ConfigurationError(
        ["JWTMiddleware is not around this application; wrap the application in it, outermost"]
    )


def refusal_of(scope: Scope, *needed: str) -> Refusal | None:
    """Return the response to a caller without a token or without all `needed` scopes, else None.

    Raises:
        ConfigurationError: No `JWTMiddleware` is around the application.

    """
    if caller_of(scope) is None:
        return refusal_for(scope, None)
    return missing_scopes(scope, *needed) if needed else None


async def loaded_user(scope: Scope, load_user: LoadUser) -> Any:
    """Return what `load_user` returns for the caller, None where there is no caller.

    `load_user` is called once per request; its exceptions are the application's.

    Raises:
        ConfigurationError: No `JWTMiddleware` is around the application.

    """
    verified = caller_of(scope)
    if verified is None:
        return None
    known: tuple[Verified, Any] | None = scope.get(_USER)
    if known is None or known[0] is not verified:
        user = load_user(verified)
        known = (verified, await user if inspect.isawaitable(user) else user)
        scope[_USER] = known
    return known[1]
