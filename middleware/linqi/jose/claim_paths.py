"""The path to a claim, through the objects that hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from linqi.errors import InvalidClaim

__all__ = ["ABSENT", "ClaimName", "ClaimPath", "claim_path", "display_path", "is_name", "value_at"]

ClaimName: TypeAlias = str | Sequence[str]
ClaimPath: TypeAlias = tuple[str, ...]

ABSENT: Final = object()
"""What `value_at` returns for a claim that a token does not have."""
_ONE_NAME: Final = ("/", ":")


def claim_path(name: ClaimName) -> ClaimPath:
    """Return the names on the way to a claim, the outermost first.

    Args:
        name: A text is split at its dots (``realm_access.roles``), unless it has a ``/`` or a
            ``:``: it is then one name (``https://shop.example/roles``, ``cognito:groups``). The
            names of a list are taken as they are, for those that have a dot
            (``("resource_access", "shop.web", "roles")``).

    """
    if not isinstance(name, str):
        return tuple(name)
    return (name,) if any(mark in name for mark in _ONE_NAME) else tuple(name.split("."))


def is_name(name: object) -> bool:
    """Return whether `claim_path` takes `name`: a text or a list of texts, none of them empty."""
    if not isinstance(name, str | list | tuple):
        return False
    path = claim_path(name)
    return bool(path) and all(isinstance(part, str) and part for part in path)


def display_path(path: ClaimPath) -> str:
    """Return a path as text, for messages."""
    return ".".join(path)


def value_at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """Return the claim at `path`; `ABSENT` if it, or an object on the way, is not there.

    A claim whose name is the text of a path is another claim: ``"realm_access.roles"`` does not
    stand for ``roles`` in ``realm_access``.

    Raises:
        InvalidClaim: What is on the way is no object.

    """
    value: Any = claims
    for depth, name in enumerate(path):
        if type(value) is not dict:
            where = display_path(path[:depth])
            raise InvalidClaim(f"the claim {where} is not an object", display_path(path))
        value = value.get(name, ABSENT)
        if value is ABSENT:
            break
    return value
