"""Marks on view functions: which of them are public or optional, and the scopes they require."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from linqi.asgi._http import Access
from linqi.errors import ConfigurationError

__all__ = ["access_of", "mark_scopes", "optional", "public", "scopes_of"]

_View = TypeVar("_View")
_ACCESS: Final = "__linqi_access__"
_SCOPES: Final = "__linqi_scopes__"


def public(view: _View) -> _View:
    """Mark a view as public: its route is served without looking at a token.

    Raises:
        ConfigurationError: `view` is an object that takes no attributes, such as a bound method.

    """
    return _opened(view, Access.PUBLIC)


def optional(view: _View) -> _View:
    """Mark a view as optional: a token is verified where one is presented.

    Raises:
        ConfigurationError: `view` is an object that takes no attributes, such as a bound method.

    """
    return _opened(view, Access.OPTIONAL)


def access_of(view: object) -> tuple[Access, str | None]:
    """Return what the route of `view` requires, and what is wrong with its marks."""
    marks: frozenset[Access] = _own(view, _ACCESS, frozenset())
    if not marks:
        return Access.GUARDED, None
    if len(marks) > 1:
        return Access.GUARDED, "is marked public and optional; choose one"
    (access,) = marks
    if access is Access.PUBLIC and scopes_of(view):
        return Access.GUARDED, "is marked public and requires scopes; remove one of them"
    return access, None


def scopes_of(view: object) -> tuple[str, ...]:
    """Return the scopes that `view` requires."""
    scopes: tuple[str, ...] = _own(view, _SCOPES, ())
    return scopes


def mark_scopes(view: Any, scopes: tuple[str, ...]) -> None:
    """Note on `view` that it requires `scopes`, besides those that it requires already."""
    setattr(view, _SCOPES, (*scopes_of(view), *scopes))


def _opened(view: _View, access: Access) -> _View:
    marks: frozenset[Access] = _own(view, _ACCESS, frozenset())
    try:
        setattr(view, _ACCESS, marks | {access})
    except (AttributeError, TypeError):
        name = type(view).__name__
        raise ConfigurationError(
            [f"a {name} takes no mark; mark the function or class, or name its path in public"]
        ) from None
    return view


def _own(view: object, name: str, default: Any) -> Any:
    """Return a mark of `view` itself: a class does not inherit those of its bases."""
    return getattr(view, "__dict__", {}).get(name, default)
