"""The claims of a verified token as a type of the application."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from linqi.errors import ConfigurationError, UnfitClaims

__all__ = ["check_claims_type", "read_as"]

_T = TypeVar("_T")
_MOST_TYPES: Final = 256
_PLACE: Final = re.compile(r" - at `(\$.{0,100}?)`$")
_MISSING: Final = re.compile(r"^Object missing required field `([^`]+)`")
"""The name is one of the type, not of the token."""
_LONGEST_PLACE: Final = 100


def read_as(payload: bytes, kind: type[_T]) -> _T:
    """Return verified claims as a value of `kind`.

    Args:
        payload: The claims as JSON.
        kind: A msgspec ``Struct``, a dataclass, a ``TypedDict``, or a pydantic model or dataclass.

    Raises:
        UnfitClaims: A claim is missing or has another type.
        ConfigurationError: `kind` is none of these types.

    """
    value: _T = _reader_of(kind)(payload)
    return value


def check_claims_type(kind: Any) -> None:
    """Raise `ConfigurationError` if claims cannot be read as `kind`."""
    _reader_of(kind)


def _reader_of(kind: Any) -> Callable[[bytes], Any]:
    try:
        return _cached_reader(kind)
    except TypeError as error:  # not hashable, or not a type that msgspec can decode
        name = getattr(kind, "__name__", type(kind).__name__)
        expected = "a msgspec Struct, a dataclass, a TypedDict or a pydantic model"
        raise ConfigurationError(
            [f"claims cannot be read as {name}, expected {expected}: {error}"]
        ) from error


@lru_cache(_MOST_TYPES)
def _cached_reader(kind: Any) -> Callable[[bytes], Any]:
    if not isinstance(kind, type):
        raise TypeError("it is not a class")
    name = kind.__name__
    # By what it has, not by its class: pydantic need not be installed.
    read = getattr(kind, "model_validate_json", None)
    if read is None and hasattr(kind, "__pydantic_validator__"):
        read = kind.__pydantic_validator__.validate_json
    if callable(read):
        return lambda payload: _read_pydantic(read, payload, name)
    if not _has_fields(kind):
        raise TypeError("it has no fields")
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
    return lambda payload: _read_msgspec(decode, payload, name)


def _has_fields(kind: type[Any]) -> bool:
    names = ("__struct_fields__", "__dataclass_fields__", "__total__", "__attrs_attrs__")
    return any(hasattr(kind, name) for name in names)


def _read_msgspec(decode: Callable[[bytes], Any], payload: bytes, name: str) -> Any:
    try:
        return decode(payload)
    except msgspec.MsgspecError as error:
        text = str(error)  # has values of claims
        found, missing = _PLACE.search(text), _MISSING.search(text)
        place = found[1] if found else "$"
        if missing:
            place = f"{place}.{missing[1]}"
        raise _unfit(name, place if found or missing else "") from None


def _read_pydantic(read: Callable[[bytes], Any], payload: bytes, name: str) -> Any:
    try:
        return read(payload)
    except ValueError as error:  # pydantic's ValidationError is one
        faults = error.errors() if hasattr(error, "errors") else []
        place = ".".join(str(part) for part in faults[0]["loc"]) if faults else ""
        raise _unfit(name, place) from None


def _unfit(name: str, place: str) -> UnfitClaims:
    where = f" at {place[:_LONGEST_PLACE]}" if place else ""
    return UnfitClaims(f"the claims do not fit the type {name}{where}")
