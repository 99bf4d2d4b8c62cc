"""Django REST framework: authentication and permissions by the verified token."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission

from linqi.asgi.caller import refusal_of
from linqi.asgi.refusals import Refusal, refusal_for
from linqi.django.views import current_or_none
from linqi.errors import ConfigurationError
from linqi.jose.claims import is_scope
from linqi.jose.verified import Verified

__all__ = ["LinqiAuthentication", "has_scopes"]


class LinqiAuthentication(BaseAuthentication):  # type: ignore[misc]
    """Reads the caller: ``request.user`` is the Django user, ``request.auth`` the token."""

    def authenticate(self, request: Any) -> tuple[Any, Verified] | None:
        """Return the user and the token; None without a token.

        Raises:
            AuthenticationFailed: The token is valid, but its user is gone or not active.

        """
        verified = current_or_none(request._request)
        if verified is None:
            return None
        user = request._request.user
        if not user.is_authenticated:
            raise AuthenticationFailed("the user of the token does not exist or is not active")
        return user, verified

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of a 401."""
        return _challenge(refusal_for(request._request.scope, None))


def has_scopes(*scopes: str) -> type[BasePermission]:
    """Return a permission class that passes only tokens with all `scopes`.

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    if not scopes or not all(isinstance(one, str) and is_scope(one) for one in scopes):
        raise ConfigurationError(["has_scopes(...) needs scope names (RFC 6749, section 3.3)"])

    class HasScopes(BasePermission):  # type: ignore[misc]
        """Requires scopes of the token."""

        def has_permission(self, request: Any, view: Any) -> bool:
            if not isinstance(request.auth, Verified):
                return False
            refusal = refusal_of(request._request.scope, *scopes)
            if refusal is not None:
                error = PermissionDenied()
                error.auth_header = _challenge(refusal)
                raise error
            return True

    return HasScopes


def _challenge(refusal: Refusal) -> str:
    return next(value.decode() for name, value in refusal.headers if name == b"www-authenticate")
