"""Django permissions by the scopes of the token."""

from __future__ import annotations

from typing import Any

from linqi.django.conf import read_settings
from linqi.jose.verified import Verified

__all__ = ["ScopeBackend"]


class ScopeBackend:
    """Grants permissions that the token of the request has as scopes.

    With it in ``AUTHENTICATION_BACKENDS``, ``user.has_perm("shop.view_order")`` and
    ``@permission_required`` are true where the token has the scope ``shop.view_order``, or the one
    that ``LINQI["PERMISSIONS"]`` names for it. It only adds permissions to those of other backends,
    and signs no one in.
    """

    # Not a BaseBackend: its module needs a configured project when it is imported.

    def authenticate(self, request: Any) -> None:
        """Accept no credentials."""

    def get_user(self, user_id: Any) -> None:
        """Know no user."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Return whether the token of `user_obj` has the scope of `perm`."""
        verified = getattr(user_obj, "linqi", None)
        if not isinstance(verified, Verified) or obj is not None or not user_obj.is_active:
            return False
        return read_settings().permissions.get(perm, perm) in verified.scopes

    async def ahas_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Return the same as `has_perm`, in a coroutine."""
        return self.has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Return whether the token has a scope of the application `app_label`."""
        verified = getattr(user_obj, "linqi", None)
        if not isinstance(verified, Verified) or not user_obj.is_active:
            return False
        named = {scope: perm for perm, scope in read_settings().permissions.items()}
        prefix = f"{app_label}."
        return any(named.get(scope, scope).startswith(prefix) for scope in verified.scopes)

    async def ahas_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Return the same as `has_module_perms`, in a coroutine."""
        return self.has_module_perms(user_obj, app_label)
