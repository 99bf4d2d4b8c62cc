"""The fast decoder of claims, for tokens whose claims have the form of an earlier token's."""

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
    """The claims that verification reads, as attributes; `aud` is any scalar."""

    iss: str
    exp: float
    aud: object
    sub: str | None
    nbf: float | None
    iat: float | None
    scope: str


class ClaimsShape:
    """The names, order and types of the claims that one issuer writes.

    Tokens with the same header mostly have the same claims. A decoder that is declared for them
    takes a third of the time of `parse_object` and `read_registered`. It checks the types of claims
    a second time, and as strictly: the decoded claims must encode to the same bytes, so none
    occurs twice, is unknown or has another type. Claims that do not, are nested or have an escape
    are left to `parse_object`.
    """

    __slots__ = ("_decode", "_learned")

    def __init__(self) -> None:
        self._decode: Callable[[bytes], Any] | None = None
        self._learned = 0

    def read(self, payload: bytes) -> DecodedClaims | None:
        """Return the claims in `payload`, typed; None if `parse_object` must read them."""
        decode = self._decode
        if decode is None or _BACKSLASH in payload:
            return None
        try:
            written = decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError):
            return None
        return cast("DecodedClaims", written) if _encode(written) == payload else None

    def learn(self, claims: dict[str, Any], payload: bytes) -> None:
        """Expect the form of `payload` from now on; its `claims` were just verified.

        Only a few times: tokens that differ all the time are left to `parse_object`.
        """
        is_plain = 0 < len(claims) <= _MOST_CLAIMS and not _is_nested(payload)
        if self._learned >= _MOST_LEARNED or not is_plain:
            return
        self._learned += 1
        self._decode = msgspec.json.Decoder(_struct_of(claims)).decode


def _is_nested(payload: bytes) -> bool:
    return _BRACKET in payload or payload.find(_BRACE, 1) >= 0


def _struct_of(claims: dict[str, Any]) -> type[msgspec.Struct]:
    """Return a type whose members are `claims`, in their order.

    Claims that verification does not read are scalars of any type, under names that cannot collide.
    Claims that it reads and that are absent get a default, which is not encoded.
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
