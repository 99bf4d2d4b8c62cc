"""Claims that are written like those of a token before, read in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import msgspec

from linqi.jose.claims import CLAIM_TYPES

__all__ = ["ClaimsShape", "DecodedClaims"]

_MOST_LEARNED: Final = 8
_MOST_CLAIMS: Final = 32
_BACKSLASH, _BRACKET, _BRACE = b"\\[{"

_encode = msgspec.json.Encoder().encode


class DecodedClaims(Protocol):
    """What verification reads of claims, as attributes; `aud` is any scalar."""

    iss: str
    exp: float
    aud: object
    sub: str | None
    nbf: float | None
    iat: float | None
    scope: str


class ClaimsShape:
    """Knows how one issuer writes its claims: which, in which order, of which types.

    Tokens of one header are mostly written alike. A declared reader takes a third of the time of
    `parse_object` and the checks after it, and misses nothing: what it read must come out byte by
    byte as it came in, so no member stands there twice, none is unknown, none has another type.
    Whatever does not, is nested or has an escape is not read here at all, but the long way.
    """

    __slots__ = ("_decode", "_learned")

    def __init__(self) -> None:
        self._decode: Callable[[bytes], Any] | None = None
        self._learned = 0

    def read(self, payload: bytes) -> DecodedClaims | None:
        """Give the claims in `payload`, with the types they must have; None to read them anew."""
        decode = self._decode
        if decode is None or _BACKSLASH in payload:
            return None
        try:
            written = decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError):
            return None
        return cast("DecodedClaims", written) if _encode(written) == payload else None

    def learn(self, claims: dict[str, Any], payload: bytes) -> None:
        """Read like `payload` from now on, whose `claims` were just verified.

        Only a few times: an issuer whose tokens differ all the time is better read the long way.
        """
        is_plain = 0 < len(claims) <= _MOST_CLAIMS and not _is_nested(payload)
        if self._learned >= _MOST_LEARNED or not is_plain:
            return
        self._learned += 1
        self._decode = msgspec.json.Decoder(_struct_of(claims)).decode


def _is_nested(payload: bytes) -> bool:
    return _BRACKET in payload or payload.find(_BRACE, 1) >= 0


def _struct_of(claims: dict[str, Any]) -> type[msgspec.Struct]:
    """Declare a type whose members are `claims` in their order.

    Claims without a meaning here are scalars of any type, under names that cannot collide. Those
    that have one and are absent get a default, which is not written.
    """
    names = {name: name if name in CLAIM_TYPES else f"x{n}" for n, name in enumerate(claims)}
    there: list[Any] = [(names[name], CLAIM_TYPES.get(name, _Scalar)) for name in claims]
    absent: list[Any] = [
        (name, kind, "" if name == "scope" else None)
        for name, kind in CLAIM_TYPES.items()
        if name not in claims
    ]
    return msgspec.defstruct(
        "DecodedClaims",
        [*there, *absent],
        rename={own: name for name, own in names.items()},
        omit_defaults=True,
        frozen=True,
        gc=False,
    )


_Scalar: Final = str | int | float | bool | None
