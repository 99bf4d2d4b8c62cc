"""The template of the ``iss`` of an issuer with many tenants: a text with one placeholder."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Final

__all__ = ["IssuerTemplate", "is_tenant", "template_of", "tenant_faults"]

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_TENANT: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9._~-]{1,128}", re.ASCII)
"""The unreserved characters of a URL (RFC 3986, section 2.3), so that a tenant is one segment: no
slash, no percent-encoding, no letter that only looks like one of ASCII, and no ``..``."""


@dataclass(frozen=True, slots=True)
class IssuerTemplate:
    """An issuer such as ``https://login.example/{tid}/v2.0``."""

    before: str
    claim: str
    """The name of the placeholder."""
    after: str

    def tenant_of(self, issuer: str) -> str | None:
        """Return the tenant in `issuer`; None if it is not of this template."""
        if not issuer.startswith(self.before) or not issuer.endswith(self.after):
            return None
        tenant = issuer[len(self.before) : len(issuer) - len(self.after)]
        # Where before and after share characters of `issuer`, nothing is left, which is no tenant.
        return tenant if is_tenant(tenant) else None

    def issuer_of(self, tenant: str) -> str:
        """Return the ``iss`` of `tenant`."""
        return f"{self.before}{tenant}{self.after}"

    def overlaps(self, other: IssuerTemplate) -> bool:
        """Return whether one ``iss`` may be of both templates."""
        shorter, longer = sorted((self.before, other.before), key=len)
        end, longer_end = sorted((self.after, other.after), key=len)
        return longer.startswith(shorter) and longer_end.endswith(end)


def template_of(issuer: str) -> IssuerTemplate | None:
    """Return the template in `issuer`; None if it has not exactly one placeholder."""
    parts = _PLACEHOLDER.split(issuer)
    if len(parts) != 3 or any(brace in part for part in (parts[0], parts[2]) for brace in "{}"):
        return None
    return IssuerTemplate(*parts)


def tenant_faults(issuer: str, tenants: object) -> list[str]:
    """Return what is wrong with the template in `issuer`, and with who counts."""
    if template_of(issuer) is None:
        return [
            "issuer has no placeholder for tenants, or more than one; write one such as {tid},"
            " the name of the claim with the tenant"
        ]
    if tenants is None:
        return [
            "issuer has a placeholder, and tenants does not say which tenants count; list them, or"
            " give a function that returns True or False"
        ]
    if callable(tenants):
        is_async = iscoroutinefunction(tenants)
        return ["tenants is an async function; it is called without waiting"] * is_async
    if isinstance(tenants, str) or not isinstance(tenants, Sequence | Set) or not tenants:
        return ["tenants is neither a non-empty list nor a function"]
    return [
        f"tenant {str(text)[:128]!r} is not 1 to 128 of A-Z a-z 0-9 . _ ~ -"
        for text in tenants
        if not is_tenant(text)
    ]


def is_tenant(text: object) -> bool:
    """Return whether `text` can stand for a placeholder."""
    return isinstance(text, str) and _TENANT.fullmatch(text) is not None
