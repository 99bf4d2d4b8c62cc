"""The fast decoder of claims, for tokens whose claims have the form of an earlier token's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from linqi.jose.claims import CLAIM_TYPES, DecodedClaims

if TYPE_CHECKING:
    from linqi.jose.issuers import Profile

__all__ = ["ClaimsShape"]

_MOST_LEARNED: Final = 8
_MOST_CLAIMS: Final = 32
_BACKSLASH, _BRACKET, _BRACE = b"\\[{"

_encode = msgspec.json.Encoder().encode


class ClaimsShape:
    """The names, order and types of the claims that one issuer writes.

    Tokens with the same header mostly have the same issuer and the same claims. A decoder that is
    declared for them takes a third of the time of `parse_object` and `Profile.read`. It checks the
    claims as strictly: ``iss`` and ``aud`` are of types that admit the accepted values only, and
    the decoded claims must encode to the same bytes, so none occurs twice, is unknown or has
    another type. Claims that do not, are nested or have an escape are left to `parse_object`.

    Attributes:
        profile: The issuer of the claims that `read` returns; None before the first are learned.

    """

    __slots__ = ("_decode", "_learned", "profile")

    def __init__(self) -> None:
        self.profile: Profile | None = None
        self._decode: Callable[[bytes], Any] = _decode_nothing
        self._learned = 0

    def read(self, payload: bytes) -> DecodedClaims | None:
        """Return the claims in `payload`, typed; None if `parse_object` must read them."""
        try:
            read: DecodedClaims = self._decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError):
            return None
        return read if _encode(read) == payload and _BACKSLASH not in payload else None

    def learn(self, claims: dict[str, Any], payload: bytes, profile: Profile) -> None:
        """Expect the form of `payload` from now on; its `claims` were just verified by `profile`.

        Only a few times: tokens that differ all the time are left to `parse_object`. So are tokens
        with ``cnf`` or an escape, which a name may have and the name of a field may not, and those
        of an issuer with required claims or with scopes in other claims than ``scope``, those of
        the bridge, whose claims are translated, and those of an issuer with many tenants, of which
        the learned form would admit any.
        """
        is_plain = 0 < len(claims) <= _MOST_CLAIMS and not _is_nested(payload)
        is_usual = profile.is_learned and not profile.required and profile.scope_paths is None
        is_usual = is_usual and profile.translate is None
        is_usual = is_usual and "cnf" not in claims and _BACKSLASH not in payload
        if self._learned >= _MOST_LEARNED or not is_plain or not is_usual:
            return
        self._learned += 1
        self.profile = profile
        self._decode = msgspec.json.Decoder(_struct_of(claims, profile)).decode


def _decode_nothing(payload: bytes) -> Any:
    raise ValueError(payload)


def _is_nested(payload: bytes) -> bool:
    return _BRACKET in payload or payload.find(_BRACE, 1) >= 0


def _struct_of(claims: dict[str, Any], profile: Profile) -> type[msgspec.Struct]:
    """Return a type whose members are `claims`, in their order, as `profile` accepts them.

    Claims that verification does not read are scalars of any type, under names that cannot collide.
    Claims that it reads and that are absent get a default, which is not encoded.
    """
    types = {**CLAIM_TYPES, "iss": Literal[profile.issuer]}
    if profile.audience is not None:
        types["aud"] = Literal[tuple(profile.audience)]
    names = {name: name if name in CLAIM_TYPES else f"x{n}" for n, name in enumerate(claims)}
    there: list[Any] = [(names[name], types.get(name, _Scalar)) for name in claims]
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
