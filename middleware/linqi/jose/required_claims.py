"""The claims that the tokens of an issuer must have, beside the registered ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from linqi.errors import InvalidClaim, MissingClaim
from linqi.jose.claim_paths import (
    ABSENT,
    ClaimName,
    ClaimPath,
    claim_path,
    display_path,
    is_name,
    value_at,
)

__all__ = [
    "AcceptedValue",
    "RequiredClaim",
    "RequiredClaims",
    "require_claims",
    "required_claims",
    "required_faults",
    "wanted_values",
    "without_values",
]

AcceptedValue: TypeAlias = str | bool | int | float
_Wanted: TypeAlias = "AcceptedValue | Sequence[AcceptedValue] | Mapping[str, _Wanted] | None"
RequiredClaims: TypeAlias = Sequence[ClaimName | Mapping[Any, _Wanted]] | Mapping[Any, _Wanted]
"""Names of claims, or what each may be: a value, several, or a mapping of what is inside it. A list
may have both."""
RequiredClaim: TypeAlias = tuple[ClaimPath, frozenset[object] | None]
"""A path, and the accepted values there; None for any but null."""

_SCALARS: Final = (str, bool, int, float)


def required_claims(required: RequiredClaims) -> tuple[RequiredClaim, ...]:
    """Return each claim of `required`, prepared for `require_claims`."""
    return tuple(
        (path, None if wanted is None else frozenset(map(_comparable, _listed(wanted))))
        for path, wanted in wanted_values(required)
    )


def wanted_values(required: RequiredClaims) -> Iterator[tuple[ClaimPath, Any]]:
    """Yield the path to each claim of `required`, and what is wanted there; None for any value.

    A name whose value is a mapping is one name, as those in the mapping are.
    """
    for item in (required,) if isinstance(required, Mapping) else required:
        if not isinstance(item, Mapping):
            yield claim_path(item), None
            continue
        for name, wanted in item.items():
            is_exact = isinstance(name, str) and isinstance(wanted, Mapping)
            yield from _inside((name,) if is_exact else claim_path(name), wanted)


def without_values(names: Iterable[str], required: RequiredClaims) -> tuple[str, ...]:
    """Return those of the claims `names` for which `required` accepts any value, or names none."""
    valued = {path for path, wanted in wanted_values(required) if wanted is not None}
    return tuple(name for name in names if (name,) not in valued)


def require_claims(claims: Mapping[str, Any], required: Iterable[RequiredClaim]) -> None:
    """Check that each claim is present, not null, and has an accepted value (V19).

    Of a list one item must be accepted, and all of its items be texts, numbers or booleans.

    Raises:
        MissingClaim: A claim is absent or null.
        InvalidClaim: It has another value, or an object was expected on the way to it.

    """
    for path, accepted in required:
        value = value_at(claims, path)
        if value is None or value is ABSENT:
            name = display_path(path)
            raise MissingClaim(f"the claim {name} is missing", name)
        if accepted is not None and not _is_accepted(value, accepted):
            name = display_path(path)
            raise InvalidClaim(f"the claim {name} has none of the accepted values", name)


def required_faults(required: object) -> list[str]:
    """Return what is wrong with the setting ``required_claims``."""
    if isinstance(required, str) or not isinstance(required, Sequence | Mapping):
        return ["required_claims is no list of claim names and no mapping; give a list"]
    items = (required,) if isinstance(required, Mapping) else required
    names = [name for item in items for name in (item if isinstance(item, Mapping) else (item,))]
    if wrong := [name for name in names if not is_name(name)]:
        return [
            f"required_claims has {name!r}, expected the name of a claim, with dots between those"
            " of nested ones, or a list of such names"
            for name in wrong
        ]
    return [
        f"required_claims[{'.'.join(map(str, path))!r}] is neither a text, number or boolean, nor a"
        " list of them, nor None for any value"
        for path, wanted in wanted_values(required)
        if not is_name(path) or not _is_wanted(wanted)
    ]


def _inside(path: ClaimPath, wanted: Any) -> Iterator[tuple[ClaimPath, Any]]:
    if isinstance(wanted, Mapping) and wanted:
        for name, inner in wanted.items():
            yield from _inside((*path, name), inner)
    else:
        yield path, wanted


def _listed(wanted: Any) -> Sequence[Any]:
    return (wanted,) if isinstance(wanted, _SCALARS) else wanted


def _is_wanted(wanted: Any) -> bool:
    if wanted is None:
        return True
    if not isinstance(wanted, (*_SCALARS, list, tuple, set, frozenset)):
        return False
    values = _listed(wanted)
    return bool(values) and all(_is_value(value) for value in values)


def _is_value(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, _SCALARS) and value != ""


def _comparable(value: Any) -> object:
    """Return what equals only values of the same JSON type: Python's True is also 1."""
    return (value,) if isinstance(value, bool) else value


def _is_accepted(value: Any, accepted: frozenset[object]) -> bool:
    items = value if type(value) is list else (value,)
    if not all(type(item) in _SCALARS for item in items):
        return False
    return not accepted.isdisjoint(map(_comparable, items))
