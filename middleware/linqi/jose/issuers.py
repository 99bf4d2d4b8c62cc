"""Trusted issuers: which tokens of them are accepted, and by which keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from linqi.errors import ConfigurationError
from linqi.jose.claims import Registered, check_audience, read_registered, require_claims
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet, KeySource, OnDemandKeys
from linqi.jose.signer import Signer
from linqi.jose.verified import Origin

__all__ = ["ANY_AUDIENCE", "AnyAudience", "Profile", "TrustedIssuer", "own_issuer", "prepare"]

_MOST_ORIGINS: Final = 256


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
    """The exact ``iss`` (RFC 8725, section 3.8)."""
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
    required_claims: Sequence[str] | Mapping[str, str | Sequence[str] | None] = ()
    """Claims that must be present besides ``iss``, ``aud`` and ``exp``. A mapping also lists the
    accepted values of each, one string or several, compared exactly; None accepts any value."""
    own: bool = False
    """Whether this deployment issues these tokens; only own tokens are renewed."""

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
        faults += _required_faults(self.required_claims)
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


class Profile(msgspec.Struct, frozen=True):
    """A `TrustedIssuer`, prepared for look-ups."""

    issuer: str
    source: str
    """Names the `TrustedIssuer`; two of one ``iss`` differ by their algorithms."""
    keys: KeySource
    on_demand: OnDemandKeys | None
    """The keys again, if a missing one can be fetched."""
    algorithms: frozenset[str]
    types: frozenset[str | None]
    audience: frozenset[str] | None
    required: tuple[tuple[str, frozenset[str] | None], ...]
    own: bool
    origins: dict[Key, Origin]
    """What the tokens of each key share. Kept per issuer: two issuers may have the same key."""

    def read(self, claims: dict[str, Any], payload: bytes) -> Registered:
        """Check the audience and the required claims, and return the registered ones typed."""
        if self.audience is not None:
            check_audience(claims, self.audience)
        if self.required:
            require_claims(claims, self.required)
        return read_registered(claims, payload)

    def origin_of(self, key: Key) -> Origin:
        """Return what all tokens of `key` share."""
        if len(self.origins) >= _MOST_ORIGINS:  # keys are rotated
            self.origins.clear()
        origin = Origin(self.issuer, key.alg, key.kid, self.own, self.source)
        return self.origins.setdefault(key, origin)


def prepare(trusted: TrustedIssuer) -> Profile:
    """Return `trusted`, prepared for look-ups."""
    types: set[str | None] = {typ.lower().removeprefix("application/") for typ in trusted.types}
    if not trusted.require_type:
        types.add(None)
    any_audience = isinstance(trusted.audience, AnyAudience)
    return Profile(
        issuer=trusted.issuer,
        source=" ".join((trusted.issuer, *sorted(trusted.algorithms))),
        keys=trusted.keys,
        on_demand=trusted.keys if isinstance(trusted.keys, OnDemandKeys) else None,
        algorithms=frozenset(trusted.algorithms),
        types=frozenset(types),
        audience=None if any_audience else frozenset(_listed(trusted.audience)),
        required=_required(trusted.required_claims),
        own=trusted.own,
        origins={},
    )


def _required(
    claims: Sequence[str] | Mapping[str, str | Sequence[str] | None],
) -> tuple[tuple[str, frozenset[str] | None], ...]:
    if not isinstance(claims, Mapping):
        return tuple((name, None) for name in claims)
    return tuple(
        (name, None if values is None else frozenset(_listed(values)))
        for name, values in claims.items()
    )


def _required_faults(claims: object) -> list[str]:
    if isinstance(claims, Mapping):
        return [
            f"required_claims[{name!r}] is neither a string nor a list of them, nor None for any"
            for name, values in claims.items()
            if values is not None and not _are_strings(_listed(values))
        ]
    if isinstance(claims, str):
        return ["required_claims is a string; give a list of claim names"]
    return []


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
