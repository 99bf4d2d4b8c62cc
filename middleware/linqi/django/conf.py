"""The setting ``LINQI`` of a Django project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from linqi.asgi.caller import LoadUser

__all__ = ["DjangoSettings", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoSettings:
    """The keys of ``LINQI``, all of them optional.

    Attributes:
        load_user: ``LOAD_USER``: the dotted path of a function, plain or async, that returns the
            project's user of a verified token, or None. Without it the user model is asked.
        user_field: ``USER_FIELD``: the field of the user model that the token's ``sub`` names;
            ``pk`` by default.
        permissions: ``PERMISSIONS``: the scope of a permission, for `ScopeBackend`; a permission
            that is not listed has the scope of its own name.

    """

    load_user: LoadUser | None = None
    user_field: str = "pk"
    permissions: Mapping[str, str] = field(default_factory=dict)


def read_settings() -> DjangoSettings:
    """Return the checked setting.

    Raises:
        ImproperlyConfigured: It has an unknown key, or a value of a wrong type.

    """
    given = getattr(settings, "LINQI", {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured("LINQI is not a dictionary")
    known = {"LOAD_USER", "USER_FIELD", "PERMISSIONS"}
    if unknown := sorted(str(name) for name in set(given) - known):
        expected = ", ".join(sorted(known))
        raise ImproperlyConfigured(f"LINQI has {', '.join(unknown)}; expected {expected}")
    permissions = given.get("PERMISSIONS", {})
    if not isinstance(permissions, Mapping):
        raise ImproperlyConfigured("LINQI['PERMISSIONS'] is not a dictionary of scopes")
    user_field = given.get("USER_FIELD", "pk")
    if not isinstance(user_field, str):
        raise ImproperlyConfigured("LINQI['USER_FIELD'] is not the name of a field")
    load_user = _imported(given.get("LOAD_USER"))
    return DjangoSettings(load_user=load_user, user_field=user_field, permissions=permissions)


def _imported(named: Any) -> LoadUser | None:
    found = import_string(named) if isinstance(named, str) else named
    if found is not None and not callable(found):
        raise ImproperlyConfigured("LINQI['LOAD_USER'] is not the dotted path of a function")
    loader: LoadUser | None = found
    return loader
