"""The faults of what a verifier is told to trust, all found at construction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from linqi.jose.issuers import TrustedIssuer

__all__ = ["trusted_faults"]


def trusted_faults(issuers: Sequence[TrustedIssuer], on_error: str, bound_tokens: str) -> list[str]:
    """Return which of a verifier's issuers and choices are wrong."""
    faults = []
    if not issuers or not all(isinstance(trusted, TrustedIssuer) for trusted in issuers):
        faults.append("issuers is empty or holds something else than TrustedIssuer values")
    else:
        names = Counter((one.issuer, alg) for one in issuers for alg in {*one.algorithms})
        faults += [
            f"two trusted issuers are {issuer!r} and take {alg}; merge them, or give each"
            " algorithms of its own"
            for (issuer, alg), count in names.items()
            if count > 1
        ]
    if on_error not in ("closed", "open"):
        faults.append(f"on_revocation_error is {on_error!r}, expected 'closed' or 'open'")
    if bound_tokens not in ("refuse", "accept"):
        faults.append(f"bound_tokens is {bound_tokens!r}, expected 'refuse' or 'accept'")
    return faults
