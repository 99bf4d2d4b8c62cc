"""Trusted issuers: which tokens of them are accepted, and by which keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from linqi.errors import ConfigurationError, InvalidSignature
from linqi.jose.claim_paths import ClaimName, ClaimPath, claim_path, is_name
from linqi.jose.claims import Registered, check_audience, read_registered, scopes_at
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet, KeySource, OnDemandKeys
from linqi.jose.required_claims import (
    RequiredClaim,
    RequiredClaims,
    require_claims,
    required_claims,
    required_faults,
)
from linqi.jose.signer import Signer
from linqi.jose.verified import Origin

if TYPE_CHECKING:
    from linqi.jose.load_balancer import AlbRule

__all__ = ["ANY_AUDIENCE", "AnyAudience", "Profile", "TrustedIssuer", "own_issuer", "prepare"]

_MOST_ORIGINS: Final = 256
Translate: TypeAlias = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""Returns claims and their JSON, from the claims and the first two segments of a token."""


class AnyAudience:
    """The type of `ANY_AUDIENCE`."""

    def __repr__(self) -> str:
        return "ANY_AUDIENCE"


ANY_AUDIENCE: Final = AnyAudience()
"""Turns the ``aud`` check off: tokens for other APIs are then accepted too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An issuer whose tokens are accepted, and the conditions they must meet."""

    issuer: str
    """The exact ``iss`` (RFC 8725, section 3.8). With `tenants` it has one placeholder, the name of
    a claim, as in ``https://login.microsoftonline.com/{tid}/v2.0``."""
    audience: str | Sequence[str] | AnyAudience
    """Accepted ``aud`` values; `ANY_AUDIENCE` turns the check off (RFC 8725, section 3.9)."""
    keys: KeySource
    """The only keys of this issuer: a `KeySet`, or `RemoteKeys`, which fetch one."""
    algorithms: Sequence[str]
    """Allowed ``alg`` values, HMACs or signatures but not both (RFC 8725, section 3.1)."""
    types: Sequence[str] = ("at+jwt", "jwt")
    """Allowed ``typ`` values, without ``application/``, in any case."""
    require_type: bool = False
    """Whether ``typ`` must be present, as RFC 9068, section 4, demands."""
    required_claims: RequiredClaims = ()
    """Claims that must be present besides ``iss``, ``aud`` and ``exp``: names, as `claim_path`
    reads them. A mapping also has the accepted values of each, one or several, which are compared
    exactly and by type; None accepts any value, and a mapping in it describes what is inside the
    claim, by exact names. Of a list in the token one item must be accepted."""
    scope_claims: Sequence[ClaimName] = ("scope",)
    """The claims that list the scopes, as texts with spaces between the scopes or as lists; the
    names are read as by `claim_path`. `Verified.scopes` has those of all of them. Without any the
    issuer gives no scopes. Name no claim that users can change themselves."""
    alb_signer: str | Sequence[str] | None = None
    """The ARNs of the AWS load balancers whose ``x-amzn-oidc-data`` these tokens are. They are
    padded, which no others may be; `audience` is then compared with the header's ``client``, since
    they have no ``aud``. `AlbKeys.trust` sets it."""
    own: bool = False
    """Whether this deployment issues these tokens; only own tokens are renewed."""
    tenants: Collection[str] | Callable[[str], bool] | None = None
    """Which texts may stand for the placeholder: a list, or a function that is called for each
    token that is not cached, after its signature held, and returns True or False. The claim that
    the placeholder names must be the same text."""

    def __post_init__(self) -> None:
        if faults := [*self._faults()]:
            raise ConfigurationError(faults)

    def _faults(self) -> list[str]:
        faults = []
        if not isinstance(self.issuer, str) or not self.issuer:
            faults.append("issuer is not a non-empty string; give the exact iss claim")
        if not isinstance(self.audience, AnyAudience) and not _are_strings(_listed(self.audience)):
            faults.append(
                "audience is neither a string nor a list of them; name this API,"
                " or pass ANY_AUDIENCE to accept tokens meant for others"
            )
        if not isinstance(self.keys, KeySource):
            faults.append("keys is no KeySet and no RemoteKeys; wrap the keys: KeySet([key])")
        if isinstance(self.algorithms, str) or not _are_strings(self.algorithms):
            faults.append("algorithms is not a non-empty list of names, such as ['ES256']")
        else:
            faults += self._algorithm_faults()
        if not _are_strings(self.types):
            faults.append("types is not a non-empty list of strings, such as ['at+jwt']")
        faults += required_faults(self.required_claims)
        faults += self._scope_faults()
        faults += self._kind_faults()
        return faults

    def _kind_faults(self) -> list[str]:
        """Return what is wrong with a placeholder in the issuer, or with load balancers."""
        faults = []
        if isinstance(self.issuer, str) and ("{" in self.issuer or "}" in self.issuer):
            from linqi.jose.issuer_template import tenant_faults

            faults += tenant_faults(self.issuer, self.tenants)
        elif self.tenants is not None:
            faults.append("tenants is set, and issuer has no placeholder such as {tid}")
        if self.own and self.tenants is not None:
            faults.append("tenants is set for an own issuer, which has one iss; remove it")
        if self.alb_signer is not None:
            from linqi.jose.load_balancer import alb_faults

            faults += alb_faults(self.alb_signer, self.algorithms, own=self.own)
            if self.tenants is not None:
                faults.append("alb_signer and tenants are both set; a load balancer has one issuer")
        return faults

    def _algorithm_faults(self) -> list[str]:
        faults = [
            f"algorithm {name!r} is not one of {', '.join(ALGORITHMS)}"
            for name in self.algorithms
            if name not in ALGORITHMS
        ]
        if len({name.startswith("HS") for name in self.algorithms}) > 1:
            faults.append("algorithms mixes HMACs with signatures; keep one kind per issuer")
        if isinstance(self.keys, KeySet):
            faults += [
                f"key {key.kid!r} is for {key.alg}, which algorithms does not list"
                for key in self.keys.keys
                if key.alg not in self.algorithms
            ]
        return faults

    def _scope_faults(self) -> list[str]:
        names = self.scope_claims
        if not isinstance(names, list | tuple) or not all(map(is_name, names)):
            return ["scope_claims is not a list of claim names, such as ['scope', 'scp']"]
        if self.own and tuple(names) != ("scope",):
            return ["scope_claims is set for an own issuer, whose tokens have scope; remove it"]
        return []


class Profile(msgspec.Struct, frozen=True):
    """A `TrustedIssuer`, prepared for look-ups."""

    is_learned: ClassVar[bool] = True
    """Whether `ClaimsShape` may learn the form of the claims that `read` accepts."""

    issuer: str
    source: str
    """Names the `TrustedIssuer`; two of one ``iss`` differ by their algorithms."""
    keys: KeySource
    on_demand: OnDemandKeys | None
    """The keys again, if a missing one can be fetched."""
    algorithms: frozenset[str]
    types: frozenset[str | None]
    audience: frozenset[str] | None
    required: tuple[RequiredClaim, ...]
    scope_paths: tuple[ClaimPath, ...] | None
    """The claims that list the scopes; None if only ``scope`` does."""
    own: bool
    origins: dict[Key, Origin]
    """What the tokens of each key share. Kept per issuer: two issuers may have the same key."""
    alb: AlbRule | None = None
    """Which load balancers of AWS sign the tokens; None for all other issuers."""
    translate: Translate | None = None
    """Returns the claims of a token of the bridge as those of ours; None for all other tokens."""

    def read(self, claims: dict[str, Any], payload: bytes) -> Registered:
        """Check the audience and the required claims, and return the registered ones typed."""
        if self.audience is not None:
            check_audience(claims, self.audience)
        if self.required:
            require_claims(claims, self.required)
        registered = read_registered(claims, payload)
        if self.scope_paths is None:
            return registered
        return replace(registered, scope=scopes_at(claims, self.scope_paths))

    def translated(
        self, claims: dict[str, Any], payload: bytes, signed: bytes
    ) -> tuple[dict[str, Any], bytes]:
        """Return `claims` and their JSON as they count here, from a token whose signature holds."""
        return (claims, payload) if self.translate is None else self.translate(claims, signed)

    def is_named(self, issuer: str) -> bool:
        """Return whether a key with this `Key.issuer` may sign here: that of one, or of all."""
        return issuer == self.issuer or "{" in issuer

    def origin_of(self, key: Key) -> Origin:
        """Return what all tokens of `key` share.

        Raises:
            InvalidSignature: The issuer publishes the key for another tenant.

        """
        if key.issuer is not None and not self.own and not self.is_named(key.issuer):
            # A key for personal accounts signed tokens of companies (Storm-0558, 2023).
            raise InvalidSignature("the issuer publishes the key for another tenant")
        if len(self.origins) >= _MOST_ORIGINS:  # keys are rotated
            self.origins.clear()
        origin = Origin(
            self.issuer, key.alg, key.kid, self.own, self.source, self.translate is not None
        )
        return self.origins.setdefault(key, origin)


def prepare(trusted: TrustedIssuer) -> Profile:
    """Return `trusted`, prepared for look-ups."""
    types: set[str | None] = {typ.lower().removeprefix("application/") for typ in trusted.types}
    if not trusted.require_type:
        types.add(None)
    any_audience = isinstance(trusted.audience, AnyAudience)
    scope_paths = tuple(map(claim_path, trusted.scope_claims))
    audience = None if any_audience else frozenset(_listed(trusted.audience))
    alb = None
    if trusted.alb_signer is not None:
        from linqi.jose.load_balancer import AlbRule

        alb, audience = AlbRule(frozenset(_listed(trusted.alb_signer)), audience), None
    return Profile(
        issuer=trusted.issuer,
        source=" ".join((trusted.issuer, *sorted(trusted.algorithms))),
        keys=trusted.keys,
        on_demand=trusted.keys if isinstance(trusted.keys, OnDemandKeys) else None,
        algorithms=frozenset(trusted.algorithms),
        types=frozenset(types),
        audience=audience,
        alb=alb,
        required=required_claims(trusted.required_claims),
        scope_paths=None if scope_paths == (("scope",),) else scope_paths,
        own=trusted.own,
        origins={},
    )


def _listed(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, Sequence) else ()


def _are_strings(values: object) -> bool:
    if isinstance(values, str) or not isinstance(values, Sequence | frozenset | set):
        return False
    return bool(values) and all(isinstance(value, str) and value for value in values)


def own_issuer(signer: Signer, verify_keys: KeySet | None = None) -> TrustedIssuer:
    """Return the trusted issuer for exactly the tokens that `signer` signs.

    All algorithms of the same kind (HMACs or signatures) are allowed, since the next key of the
    signer may be for another one; a key itself has one algorithm.

    Args:
        signer: The signer of this deployment.
        verify_keys: Keys of the other kind, which the deployment signed with before or will sign
            with next. The issuer returned is then that of their tokens, which are own tokens too:
            ``Verifier([own_issuer(signer), own_issuer(signer, verify_keys)])``.

    Raises:
        ConfigurationError: `verify_keys` are of the kind of the signer's keys.

    """
    is_secret = signer.keys.signing_key().kty == "oct"
    if verify_keys is not None:
        if (verify_keys.keys[0].kty == "oct") == is_secret:
            raise ConfigurationError(
                [
                    "verify_keys are of the same kind as the signing keys, secrets or asymmetric"
                    " keys; add them to the set of the signing keys"
                ]
            )
        is_secret = not is_secret
    return TrustedIssuer(
        issuer=signer.issuer,
        audience=signer.audience,
        keys=signer.keys if verify_keys is None else verify_keys,
        algorithms=[name for name in ALGORITHMS if name.startswith("HS") == is_secret],
        types=("at+jwt",),
        require_type=True,
        own=True,
    )
