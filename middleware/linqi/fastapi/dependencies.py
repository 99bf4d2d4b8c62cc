"""The verified caller as dependencies of FastAPI.

They read what the middleware verified, and verify nothing themselves: without the middleware they
raise.
"""

# Without postponed annotations: FastAPI finds no module for those of a `RequiredScopes`'s call.
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import SecurityScopes
from starlette.requests import HTTPConnection

from linqi.asgi.caller import caller_of
from linqi.asgi.guards import check_scopes
from linqi.fastapi.refused import refused
from linqi.jose.verified import Verified

__all__ = [
    "CurrentUser",
    "OptionalUser",
    "RequiredScopes",
    "current",
    "current_or_none",
    "requires",
]


async def current(connection: HTTPConnection, wanted: SecurityScopes) -> Verified:
    """Return the verified caller; 401 with a challenge where there is none.

    ``Security(current, scopes=[...])`` requires scopes, as `requires` does.

    Raises:
        RefusedRequest: 401 without a token, 403 without a scope.
        ConfigurationError: No middleware is around the application.

    """
    verified = caller_of(connection.scope)
    if verified is None:
        raise refused(connection)
    _check_scopes(connection, verified, tuple(wanted.scopes))
    return verified


async def current_or_none(connection: HTTPConnection) -> Verified | None:
    """Return the verified caller, or None on a route marked `optional` without a token.

    Raises:
        ConfigurationError: No middleware is around the application.

    """
    return caller_of(connection.scope)


CurrentUser = Annotated[Verified, Depends(current)]
"""The verified caller of a route."""

OptionalUser = Annotated[Verified | None, Depends(current_or_none)]
"""The verified caller of a route that is marked `optional`, or None."""


@dataclass(frozen=True, slots=True)
class RequiredScopes:
    """A dependency that returns the caller, who must have all `scopes`; made by `requires`.

    Two with the same scopes are equal, so ``dependency_overrides[requires("orders:read")]`` works.
    """

    scopes: tuple[str, ...]

    async def __call__(self, connection: HTTPConnection, verified: CurrentUser) -> Verified:
        """Return the caller; refuse one that lacks a scope."""
        _check_scopes(connection, verified, self.scopes)
        return verified


def requires(*scopes: str) -> RequiredScopes:
    """Return a dependency: the caller must have all `scopes`, otherwise 403.

    The challenge names the scopes (RFC 6750, section 3.1); a request without a token gets 401.

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    check_scopes("requires(...)", scopes)
    return RequiredScopes(scopes)


def _check_scopes(connection: HTTPConnection, verified: Verified, needed: tuple[str, ...]) -> None:
    if not set(needed) <= set(verified.scopes):
        raise refused(connection, needed=needed)
