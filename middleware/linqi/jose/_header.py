"""The protected header of a token: algorithm, key id and type (RFC 7515, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linqi.errors import AlgorithmNotAllowed, MalformedToken, UnsupportedToken
from linqi.jose._claims_decoder import ClaimsShape
from linqi.jose._compact import read_members
from linqi.jose.key import ALGORITHMS

if TYPE_CHECKING:
    from linqi.jose.load_balancer import AlbHeader

__all__ = ["Header", "parse_header"]

_FORBIDDEN_MEMBERS: Final = frozenset({"crit", "b64", "zip", "cty", "enc"})
_LONGEST_KID: Final = 256


class Header:
    """A checked header. Tokens with the same header share one `ClaimsShape`.

    `alb` is what the header of a padded token says; None for any other token.
    """

    __slots__ = ("alb", "alg", "kid", "shape", "typ")

    def __init__(
        self, alg: str, kid: str | None, typ: str | None, alb: AlbHeader | None = None
    ) -> None:
        self.alg, self.kid, self.typ, self.alb = alg, kid, typ, alb
        self.shape = ClaimsShape()


def parse_header(segment: bytes, most_bytes: int) -> Header:
    """Return the header in an encoded segment, which ends with a dot if the token was padded.

    Raises:
        MalformedToken: It is longer than `most_bytes` or not strict JSON, or a member has a wrong
            type.
        UnsupportedToken: It has ``crit``, ``b64``, ``zip``, ``cty`` or ``enc``.
        AlgorithmNotAllowed: Its ``alg`` is not a signature algorithm of linqi.

    """
    is_padded = segment.endswith(b".")
    members = read_members(segment[:-1] if is_padded else segment, most_bytes)
    if not _FORBIDDEN_MEMBERS.isdisjoint(members):
        found = ", ".join(sorted(_FORBIDDEN_MEMBERS & members.keys()))
        raise UnsupportedToken(f"the header has {found}, which is never honoured")
    alg = members.get("alg")
    if type(alg) is not str or alg not in ALGORITHMS:
        raise AlgorithmNotAllowed("the header's alg is not a signature algorithm known here")
    kid = members.get("kid")
    if "kid" in members and (type(kid) is not str or not 0 < len(kid) <= _LONGEST_KID):
        raise MalformedToken(f"the header's kid is not a string of 1 to {_LONGEST_KID} characters")
    typ = members.get("typ")
    if "typ" in members:
        if type(typ) is not str:
            raise MalformedToken("the header's typ is not a string")
        typ = typ.lower().removeprefix("application/")
    if is_padded:
        from linqi.jose.load_balancer import alb_header

        return Header(alg, kid, typ, alb_header(members))
    return Header(alg, kid, typ)
