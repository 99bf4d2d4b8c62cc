"""The trusted issuers, as a verifier looks them up: one profile for an ``iss`` with an ``alg``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from linqi.errors import (
    AlgorithmNotAllowed,
    MissingClaim,
    TokenError,
    Unavailable,
    UnknownIssuer,
    UnsupportedToken,
)
from linqi.jose._header import Header
from linqi.jose.issuers import Profile, TrustedIssuer, prepare
from linqi.jose.keys import KeySet

if TYPE_CHECKING:
    from linqi.jose.tenants import Tenants

__all__ = ["Trust"]

_ABSENT: Final = object()


class Trust:
    """The profiles of trusted issuers.

    Two entries may have the same ``iss`` if no algorithm is in both, as while an issuer moves from
    a secret to a signature key: ``alg`` then chooses the entry, and with it the keys. No token is
    ever verified by a key of the other entry (V3, V6).

    Args:
        issuers: Checked by `trusted_faults`.
        bridge: The profile of bridged tokens, and their ``iss`` if they have one.

    """

    def __init__(
        self, issuers: Sequence[TrustedIssuer], bridge: tuple[Profile, str | None] | None = None
    ) -> None:
        self._issuers = tuple(issuers)
        self._profiles: dict[object, dict[str, Profile]] = {}
        for trusted in issuers:
            if trusted.tenants is not None:
                continue
            profile = prepare(trusted)
            by_alg = self._profiles.setdefault(trusted.issuer, {})
            by_alg.update(dict.fromkeys(profile.algorithms, profile))
        if bridge is not None:
            profile, named = bridge
            by_alg = self._profiles.setdefault(_ABSENT if named is None else named, {})
            by_alg.update(dict.fromkeys(profile.algorithms, profile))
        self._tenants: Tenants | None = None
        if templates := [trusted for trusted in issuers if trusted.tenants is not None]:
            from linqi.jose.tenants import Tenants

            self._tenants = Tenants(templates)
        listed = (alg for trusted in issuers for alg in trusted.algorithms)
        bridged = () if bridge is None else bridge[0].algorithms
        self.algorithms = frozenset((*listed, *bridged))
        """The algorithms that at least one issuer may use."""
        self.takes_padding = any(trusted.alb_signer is not None for trusted in issuers)
        """Whether one of the issuers is a load balancer of AWS."""

    def profile_for(self, claims: Mapping[str, Any], header: Header) -> Profile:
        """Return the profile by which a token is verified.

        Raises:
            MissingClaim: There is no ``iss``.
            UnknownIssuer: It names no trusted issuer.
            AlgorithmNotAllowed: The issuer may not use the header's ``alg``.
            Unavailable: It may not here, and other workers have the key.
            UnsupportedToken: The header's ``typ`` is not accepted.
            MalformedToken: The token is padded, and the issuer is no load balancer; or the reverse.
            InvalidClaim: The header names another load balancer or another client.

        """
        issuer = claims.get("iss", _ABSENT)
        is_name = type(issuer) is str or issuer is _ABSENT  # null is no absent claim
        found = self._profiles.get(issuer) if is_name else None
        if found is None and self._tenants is not None and type(issuer) is str:
            found = self._tenants.find(issuer)
        if found is None:
            if issuer is _ABSENT:
                raise MissingClaim("the claim iss is missing", "iss")
            raise UnknownIssuer("the claim iss names no trusted issuer")
        profile = found.get(header.alg)
        if profile is None:
            raise self.refusal_of(header)
        if header.typ not in profile.types:
            raise UnsupportedToken("the header's typ is not an accepted one")
        if header.alb is not None or profile.alb is not None:
            from linqi.jose.load_balancer import check_alb

            check_alb(profile.alb, header.alb, claims)
        return profile

    def refusal_of(self, header: Header) -> TokenError | Unavailable:
        """Return why a header is refused whose ``alg`` its issuer may not use.

        `Unavailable` if other workers have its key and this one was never told of it, as when a
        deployment starts to sign by another kind of key: 401 would sign its users out (J6).
        """
        for trusted in self._issuers:
            keys = trusted.keys
            if trusted.own and isinstance(keys, KeySet) and header.kid in keys.awaited:
                return Unavailable("other workers have the key, and this one takes no such alg yet")
        return AlgorithmNotAllowed("the header's alg is on no list of its issuer")
