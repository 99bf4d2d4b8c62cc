"""The faults of what a verifier is told to trust, all found at construction."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence, Set

from linqi.jose.issuers import TrustedIssuer

__all__ = ["trusted_faults"]


def trusted_faults(issuers: Sequence[object], on_error: str, bound_tokens: str) -> list[str]:
    """Return which of a verifier's issuers and choices are wrong."""
    by_keys = [one for one in issuers if isinstance(one, TrustedIssuer)]
    faults = [] if issuers else ["issuers is empty; name at least one TrustedIssuer"]
    if len(by_keys) < len(issuers):
        from linqi.jose.opaque import opaque_faults

        asked = [one for one in issuers if not isinstance(one, TrustedIssuer)]
        faults += opaque_faults(asked, by_keys)
    names = Counter((one.issuer, alg) for one in by_keys for alg in {*one.algorithms})
    faults += [
        f"two trusted issuers are {issuer!r} and take {alg}; merge them, or give each"
        " algorithms of its own"
        for (issuer, alg), count in names.items()
        if count > 1
    ]
    faults += _overlaps({one.issuer for one in by_keys if one.tenants is not None})
    if on_error not in ("closed", "open"):
        faults.append(f"on_revocation_error is {on_error!r}, expected 'closed' or 'open'")
    if bound_tokens not in ("refuse", "accept"):
        faults.append(f"bound_tokens is {bound_tokens!r}, expected 'refuse' or 'accept'")
    return faults


def _overlaps(issuers: Set[str]) -> list[str]:
    """Return which templates may have one ``iss`` in common, so that neither decides."""
    if len(issuers) < 2:
        return []
    from linqi.jose.issuer_template import template_of

    templates = [(text, template_of(text)) for text in sorted(issuers)]
    return [
        f"the issuers {one!r} and {other!r} may both be the issuer of one token; make their texts"
        " differ outside of the placeholder"
        for (one, first), (other, second) in itertools.combinations(templates, 2)
        if first is not None and second is not None and first.overlaps(second)
    ]
