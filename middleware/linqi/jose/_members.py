"""The members of a JWK or a JWKS, from JSON text or a mapping (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from linqi.errors import InvalidKey

__all__ = ["read_object", "without_nulls"]

_BYTE_ORDER_MARK: Final = "\ufeff"


def read_object(source: Mapping[str, Any] | str | bytes, what: str) -> dict[str, Any]:
    """Return `source`, a mapping or JSON text, as a dict; `InvalidKey` if it is neither.

    A byte order mark before the text is skipped (RFC 8259, section 8.1); `what` names the source
    in errors.
    """
    if isinstance(source, str):
        source = source.removeprefix(_BYTE_ORDER_MARK)
    if isinstance(source, str | bytes):
        try:
            source = json.loads(source)
        except (ValueError, RecursionError):
            raise InvalidKey(f"the {what} is not JSON") from None
    if not isinstance(source, Mapping):
        raise InvalidKey(f"a {what} is a JSON object, not {type(source).__name__}")
    return dict(source)


def without_nulls(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of `jwk` that are not null; some publishers write null for absent."""
    return {name: value for name, value in jwk.items() if value is not None}
