"""The bridge: tokens of an earlier system, which count as tokens of ours until a date."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from linqi import _base64url
from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import (
    BoundToken,
    BridgeClosed,
    ConfigurationError,
    InvalidClaim,
    LifetimeExceeded,
    MissingClaim,
)
from linqi.jose.claim_paths import ClaimName
from linqi.jose.claims import LATEST_TIME, split_scope
from linqi.jose.issuers import ANY_AUDIENCE, Profile, TrustedIssuer, prepare
from linqi.jose.key import Key
from linqi.jose.keys import KeySet
from linqi.jose.required_claims import RequiredClaims, without_values
from linqi.jose.session_ids import RANDOM_BYTES, session_id_of
from linqi.jose.verified import Verified

__all__ = ["Bridge"]

_SESSION_CLAIMS: Final = frozenset(
    {
        *("iss", "aud", "sub", "sid", "auth_time", "session_end", "scope", "cnf"),
        *("iat", "exp", "nbf", "jti", "claims_at"),
    }
)
"""Claims that are derived or checked, so that none is taken over from an earlier system."""
_KINDS: Final = ("type", "token_type", "token_use")
"""Claims by which libraries tell access tokens from refresh tokens."""
_ROUNDING: Final = 1.0
"""Seconds: AuthX writes ``exp`` with a fraction, and ``iat`` without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Accepts the tokens of an earlier system, which name no issuer, until a date.

    Such a token counts as one of our own issuer, with the claims of ours: the user is the same
    before and after the move. It has a session id that is derived from it, so that signing out
    ends the token as well as its successors.

    Raises:
        ConfigurationError: A value is out of range or malformed.

    """

    RANGES: ClassVar[Ranges] = {
        "until": Range(0, LATEST_TIME, "Unix seconds"),
        "lifetime": Range(0, 366 * DAY, "seconds", is_above=True),
    }

    key: Key
    """The only key of these tokens: the earlier secret, or the public key. Not one of ours."""
    until: float
    """Unix seconds. From this instant on none of these tokens is accepted, whatever its ``exp``."""
    lifetime: float
    """The longest ``exp - iat`` of these tokens, in seconds; above 0 to 366 days. A token without
    ``iat`` counts as issued so long before its ``exp``."""
    audience: str | Sequence[str] | None = None
    """Accepted ``aud`` values. None: the tokens have none, and one that has is refused (RFC 7519,
    section 4.1.3)."""
    issuer: str | None = None
    """The exact ``iss`` of these tokens. None: they have none, and one that has is refused."""
    subject_claim: str = "sub"
    """The claim that names the user."""
    numeric_subject: bool = False
    """Whether that claim may be a whole number, which counts as its decimal text."""
    required_claims: RequiredClaims = ()
    """As of `TrustedIssuer`. A token that names its kind (``type``, ``token_type``,
    ``token_use``) must be of the kind ``access`` unless other values of that claim are given."""
    types: Sequence[str] = ("jwt",)
    """Allowed ``typ`` values; it may be absent."""
    scope_claims: Sequence[ClaimName] = ("scope",)
    """As of `TrustedIssuer`."""
    claims: Sequence[str] = ()
    """Further claims that are taken over, such as roles. All others are left out."""

    def __post_init__(self) -> None:
        if faults := self._faults():
            raise ConfigurationError(faults)
        self._trusted("https://bridge.invalid")

    def _faults(self) -> list[str]:
        faults = range_faults(self.RANGES, {"until": self.until, "lifetime": self.lifetime})
        if not isinstance(self.key, Key):
            faults.append("key is no Key; make one with Key.from_secret or Key.from_pem")
        if not isinstance(self.subject_claim, str) or not self.subject_claim:
            faults.append("subject_claim is not the name of a claim, such as 'sub'")
        if self.issuer is not None and (not isinstance(self.issuer, str) or not self.issuer):
            faults.append("issuer is not a non-empty string; leave it out for tokens without iss")
        if isinstance(self.claims, str) or not all(isinstance(name, str) for name in self.claims):
            faults.append("claims is not a list of claim names")
        if taken := sorted(_SESSION_CLAIMS & {*self.claims}):
            faults.append(f"claims names {', '.join(taken)}, which the session sets itself")
        return faults

    def over(
        self, issuers: Sequence[TrustedIssuer], leeway: float, clock: Callable[[], float]
    ) -> tuple[Profile, str | None]:
        """Return the profile of the tokens, in the name of the own one of `issuers`, and their iss.

        Raises:
            ConfigurationError: The bridge does not fit the issuers.

        """
        if faults := [*self._misfits(issuers)]:
            raise ConfigurationError(faults)
        issuer = next(trusted.issuer for trusted in issuers if trusted.own)
        conditions = prepare(self._trusted(issuer))
        profile = msgspec.structs.replace(
            conditions,
            source=f"bridge {self.key.alg}",
            own=True,
            audience=None,
            required=(),
            scope_paths=None,
            translate=_Translation(self, conditions, leeway, clock),
        )
        return profile, self.issuer

    def check_open(self, verified: Verified, now: float) -> None:
        """Raise `BridgeClosed` if `verified` ended with the bridge; no leeway applies."""
        if now >= self.until <= verified.expires_at:
            raise BridgeClosed(f"the bridge was closed {now - self.until:.0f} s ago")

    def _trusted(self, issuer: str) -> TrustedIssuer:
        return TrustedIssuer(
            issuer=issuer,
            audience=ANY_AUDIENCE if self.audience is None else self.audience,
            keys=KeySet([self.key]),
            algorithms=[self.key.alg],
            types=self.types,
            required_claims=self.required_claims,
            scope_claims=self.scope_claims,
        )

    def _misfits(self, issuers: Sequence[TrustedIssuer]) -> Iterator[str]:
        own = [trusted for trusted in issuers if trusted.own]
        if len({trusted.issuer for trusted in own}) != 1:
            yield (
                "bridge needs one own issuer, in whose name its users go on:"
                " Verifier.trusting(signer, bridge=...)"
            )
        sets = [trusted.keys for trusted in own if isinstance(trusted.keys, KeySet)]
        if self.key.thumbprint in {key.thumbprint for keys in sets for key in keys.keys}:
            yield (
                "the key of bridge signs our own tokens too, so anyone who knows the earlier secret"
                " could make them; make another for our own: linqi keygen"
            )
        if any(t.issuer == self.issuer and self.key.alg in t.algorithms for t in issuers):
            yield f"a trusted issuer is {self.issuer!r} and takes {self.key.alg}, as bridge does"


class _Translation:
    """Checks the claims of a bridged token, and returns them in the form of ours."""

    def __init__(
        self, bridge: Bridge, profile: Profile, leeway: float, clock: Callable[[], float]
    ) -> None:
        self._bridge = bridge
        self._profile = profile
        self._kinds = without_values(_KINDS, bridge.required_claims)
        self._leeway = leeway
        self._clock = clock

    def __call__(self, claims: dict[str, Any], signed: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the claims of ours, and their JSON.

        Args:
            claims: Those of the token, whose signature holds.
            signed: Its first two segments. The session is derived from them and not from the
                signature, of which ECDSA has a second one for the same token.

        Raises:
            InvalidClaim: A claim is missing, or is not as the bridge expects it.
            LifetimeExceeded: The token lives longer than the tokens of the bridge do.
            BoundToken: It is bound to a key, whose proof no successor would have.

        """
        bridge = self._bridge
        if "cnf" in claims:
            raise BoundToken("a token with the claim cnf is not taken over")
        if bridge.audience is None and "aud" in claims:
            raise InvalidClaim("the claim aud is there, and the bridge names no audience", "aud")
        for kind in self._kinds:
            if kind in claims and claims[kind] != "access":
                raise InvalidClaim(f"the claim {kind} says that this is no access token", kind)
        subject = self._subject(claims)
        issuer = self._profile.issuer
        registered = self._profile.read({**claims, "iss": issuer, "sub": subject}, b"")
        issued_at, began = self._life(registered.iat, registered.exp)
        seed = hashlib.sha256(b"linqi bridge\n" + signed).digest()
        ours = {
            **{name: claims[name] for name in bridge.claims if name in claims},
            "iss": issuer,
            "sub": subject,
            "sid": session_id_of(subject, seed[:RANDOM_BYTES]),
            "jti": registered.jti or _base64url.encode(seed[RANDOM_BYTES:]).decode(),
            "auth_time": began,
            "iat": issued_at,
            "exp": min(registered.exp, bridge.until),
        }
        if registered.nbf is not None:
            ours["nbf"] = registered.nbf
        if scopes := split_scope(registered.scope):
            ours["scope"] = " ".join(scopes)
        return ours, msgspec.json.encode(ours)

    def _subject(self, claims: Mapping[str, Any]) -> str:
        name = self._bridge.subject_claim
        value = claims.get(name)
        if value is None:
            raise MissingClaim(f"the claim {name} is missing", name)
        if type(value) is int and value >= 0 and self._bridge.numeric_subject:
            return str(value)
        if type(value) is not str:  # 1 and "1" are one user only where the settings say so
            raise InvalidClaim(f"the claim {name} is no text; see numeric_subject", name)
        return value

    def _life(self, issued_at: float | None, expires_at: float) -> tuple[float, float]:
        """Return when the token was issued, and when its user signed in.

        The latter is never later than the former, so no session lasts longer than one that began
        with the token.
        """
        lifetime = self._bridge.lifetime
        if issued_at is None:
            started = expires_at - lifetime
            is_longer = started > self._clock() + self._leeway
            began = started
        else:
            started = max(issued_at, expires_at - lifetime)
            is_longer = expires_at - issued_at > lifetime + _ROUNDING
            began = issued_at
        if is_longer:
            raise LifetimeExceeded(
                f"the token lives longer than {lifetime:g} s, the lifetime of the bridge"
            )
        if started < 0:
            raise InvalidClaim("the claim exp is before the lifetime of the bridge", "exp")
        return started, began
