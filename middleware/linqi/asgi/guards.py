"""Requirements on a verified caller besides the token: scopes, or a recent login."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.asgi.refusals import Refusal, refuse, refuse_login, refuse_scopes
from linqi.errors import ConfigurationError
from linqi.jose.claims import is_scope
from linqi.jose.verified import Verified

__all__ = ["RequireLogin", "RequireScopes", "check_scopes", "has_scopes", "missing_scopes"]


def has_scopes(scope: Scope, *needed: str) -> bool:
    """Return whether the caller in an ASGI `scope` was verified with all `needed` scopes."""
    verified = scope.get("linqi")
    return isinstance(verified, Verified) and set(needed) <= set(verified.scopes)


def missing_scopes(scope: Scope, *needed: str, realm: str = "api") -> Refusal | None:
    """Return the response to a caller that lacks a scope; None if it has all `needed` ones.

    For hooks of frameworks, which send its `status`, `headers` and `body` in their own way. The
    body is in the format that the middleware was given.

    Args:
        scope: The ASGI scope of the request.
        needed: Scope names (RFC 6749, section 3.3), at least one.
        realm: The realm of the challenge (RFC 6750, section 3).

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    check_scopes("missing_scopes", needed)
    if has_scopes(scope, *needed):
        return None
    is_known = isinstance(scope.get("linqi"), Verified)
    refusal = refuse_scopes(realm, needed) if is_known else refuse(None, realm)
    return refusal.in_format(scope)


class RequireScopes:
    """Refuses with 403 ``insufficient_scope`` unless the token has all `needed` scopes.

    Args:
        app: The ASGI application behind the guard.
        needed: Scope names (RFC 6749, section 3.3), at least one.
        realm: The realm of the challenge (RFC 6750, section 3).

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """

    def __init__(self, app: ASGIApp, *needed: str, realm: str = "api") -> None:
        check_scopes("RequireScopes", needed)
        self._app = app
        self._needed = needed
        self._drain = Drain()
        self._unauthorized = refuse(None, realm)
        self._refusal = refuse_scopes(realm, needed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the application, or refuse it."""
        if scope["type"] == "lifespan" or has_scopes(scope, *self._needed):
            await self._app(scope, receive, send)
        elif isinstance(scope.get("linqi"), Verified):
            await self._refusal.send(scope, receive, send, self._drain)
        else:
            await self._unauthorized.send(scope, receive, send, self._drain)


class RequireLogin:
    """Refuses with 401 where the token's login is too old or too weak (RFC 9470).

    Renewal keeps ``auth_time`` and ``acr``, so only a new login satisfies the guard.

    Args:
        app: The ASGI application behind the guard.
        max_age: The longest time since ``auth_time``, in seconds; None for no limit.
        acr_values: The accepted values of the ``acr`` claim; empty for any.
        realm: The realm of the challenge (RFC 6750, section 3).
        clock: Returns Unix seconds.

    Raises:
        ConfigurationError: Neither limit is given, or one is malformed.

    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_age: float | None = None,
        acr_values: Sequence[str] = (),
        realm: str = "api",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_age is None and not acr_values:
            raise ConfigurationError(["RequireLogin needs max_age, acr_values or both"])
        if isinstance(acr_values, str) or not all(is_scope(value) for value in acr_values):
            raise ConfigurationError(["acr_values is not a list of names without spaces"])
        self._app = app
        self._max_age = max_age
        self._acr_values = tuple(acr_values)
        self._clock = clock
        self._drain = Drain()
        self._refusal = refuse_login(realm, acr_values, max_age)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the application, or refuse it."""
        if scope["type"] == "lifespan" or self._is_enough(scope.get("linqi")):
            await self._app(scope, receive, send)
        else:
            await self._refusal.send(scope, receive, send, self._drain)

    def _is_enough(self, verified: object) -> bool:
        if not isinstance(verified, Verified):
            return False
        if self._acr_values and verified.claims.get("acr") not in self._acr_values:
            return False
        if self._max_age is None:
            return True
        return (
            verified.auth_time is not None and self._clock() - verified.auth_time <= self._max_age
        )


def check_scopes(name: str, needed: tuple[str, ...]) -> None:
    """Check that the guard `name` is given scope names, at least one (RFC 6749, section 3.3).

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    if not needed or not all(is_scope(scope) for scope in needed):
        raise ConfigurationError([f"{name} needs scope names (RFC 6749, section 3.3)"])
