"""The tenants of issuers with a template: who of them counts, and by which profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from msgspec.structs import asdict

from linqi._callbacks import log_fault, unexpected_answer
from linqi.errors import (
    InvalidClaim,
    MissingClaim,
    Unavailable,
    UnknownIssuer,
)
from linqi.jose.claims import Registered
from linqi.jose.issuer_template import IssuerTemplate, template_of
from linqi.jose.issuers import Profile, TrustedIssuer, prepare
from linqi.jose.key import Key
from linqi.jose.verified import Origin

__all__ = ["Tenants"]

_MOST_TENANTS: Final = 1024
"""Tenants whose profiles are kept; those of others are made again for each token, in 3 us."""


class _TenantProfile(Profile, frozen=True, kw_only=True):
    """The profile of one tenant: its tokens name it in ``iss`` and in the claim of the template."""

    is_learned: ClassVar[bool] = False

    claim: str
    tenant: str
    counts: Callable[[str], bool] | None
    """Decides whether the tenant counts; None if a list has decided."""
    keep: Callable[[_TenantProfile], None]

    def read(self, claims: dict[str, Any], payload: bytes) -> Registered:
        """Check also the claim of the template, and whether the tenant counts."""
        if self.claim not in claims:
            raise MissingClaim(f"the claim {self.claim} is missing", self.claim)
        found = claims[self.claim]
        # By type too: a list of tenants, as an issuer may let users choose, is none.
        if type(found) is not str or found != self.tenant:
            raise InvalidClaim(f"the claim {self.claim} is not the tenant in iss", self.claim)
        registered = Profile.read(self, claims, payload)
        if self.counts is not None:
            self._ask(self.counts)
        return registered

    def is_named(self, issuer: str) -> bool:
        """Return whether a key of `issuer`, whose placeholder stands for all, may sign here."""
        template = template_of(issuer)
        named = issuer if template is None else template.issuer_of(self.tenant)
        return named == self.issuer

    def origin_of(self, key: Key) -> Origin:
        """Return what all tokens of `key` and this tenant share, and keep the profile."""
        origin = Profile.origin_of(self, key)
        self.keep(self)
        return origin

    def _ask(self, counts: Callable[[str], bool]) -> None:
        """Raise unless `counts` returns True; the issuer has signed for the tenant."""
        try:
            answer = counts(self.tenant)
        except Unavailable:
            raise
        except Exception as error:
            log_fault("tenants raised", error)
            raise Unavailable(f"tenants raised {type(error).__name__}") from error
        if type(answer) is not bool:
            unexpected_answer("tenants", answer, "True or False")
        if answer is not True:
            raise UnknownIssuer("the tenant in iss does not count")


class _Entry:
    """A trusted issuer with a template, prepared for look-ups."""

    def __init__(self, trusted: TrustedIssuer, template: IssuerTemplate) -> None:
        self.template = template
        self.counts = trusted.tenants if callable(trusted.tenants) else None
        self.listed = None if callable(trusted.tenants) else frozenset(trusted.tenants or ())
        self._shared = asdict(prepare(trusted))

    def profile_of(self, tenant: str, keep: Callable[[_TenantProfile], None]) -> _TenantProfile:
        """Return the profile of one tenant."""
        own = {"issuer": self.template.issuer_of(tenant), "origins": {}}
        return _TenantProfile(
            **self._shared | own,
            claim=self.template.claim,
            tenant=tenant,
            counts=self.counts,
            keep=keep,
        )


class Tenants:
    """The templates of a verifier, and the profiles of tenants whose tokens were verified.

    A profile is kept once a token of its tenant was verified, so made-up tenants neither fill the
    memory nor push out others.

    Args:
        issuers: The trusted issuers with a template.

    """

    def __init__(self, issuers: Sequence[TrustedIssuer]) -> None:
        self._entries = [
            _Entry(trusted, template)
            for trusted in issuers
            if (template := template_of(trusted.issuer)) is not None
        ]
        self._kept: dict[str, dict[str, Profile]] = {}

    def find(self, issuer: str) -> dict[str, Profile] | None:
        """Return the profiles for `issuer` by algorithm; None if no template has such a tenant."""
        return self._kept.get(issuer) or self._made(issuer) or None

    def _made(self, issuer: str) -> dict[str, Profile]:
        found: dict[str, Profile] = {}
        for entry in self._entries:
            tenant = entry.template.tenant_of(issuer)
            if tenant is not None and (entry.listed is None or tenant in entry.listed):
                profile = entry.profile_of(tenant, self._keep)
                found.update(dict.fromkeys(profile.algorithms, profile))
        return found

    def _keep(self, profile: _TenantProfile) -> None:
        """Keep a profile by which a token was verified; of too many the oldest is forgotten."""
        found = self._kept.pop(profile.issuer, None) or self._made(profile.issuer)
        found.update(dict.fromkeys(profile.algorithms, profile))
        if len(self._kept) >= _MOST_TENANTS:
            del self._kept[next(iter(self._kept))]
        self._kept[profile.issuer] = found
