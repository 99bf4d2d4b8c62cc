"""The faults of the middleware's arguments, all found at construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linqi.asgi.transports import HeaderTransport, Transport
from linqi.jose.verifier import Verifier

if TYPE_CHECKING:
    from linqi.asgi.resource_metadata import ResourceMetadata
    from linqi.sessions.sliding import SlidingRenewal

__all__ = ["trust_faults", "value_faults"]


def trust_faults(verifier: Verifier, renewal: SlidingRenewal | None) -> list[str]:
    """Return why `verifier` would refuse the tokens of `renewal`."""
    if not isinstance(verifier, Verifier):
        return ["verifier is not a Verifier; Verifier.trusting(signer) makes one"]
    if renewal is None:
        return []
    if not any(
        trusted.own
        and trusted.keys is renewal.signer.keys
        and trusted.issuer == renewal.signer.issuer
        for trusted in verifier.issuers
    ):
        return ["the verifier does not trust renewal's signer; use Verifier.trusting(signer)"]
    if renewal.settings.lifetime > verifier.longest_lifetime:
        return [
            f"renewal makes tokens that live {renewal.settings.lifetime:g} s, and the verifier"
            f" refuses own ones above {verifier.longest_lifetime:g}; give Sessions the same"
            " access= settings, or Revocations a longest_lifetime"
        ]
    return []


def value_faults(
    transports: Sequence[Transport],
    expose_to: Sequence[str],
    realm: str,
    resource_metadata: ResourceMetadata | str | None,
) -> list[str]:
    """Return which arguments are malformed."""
    faults = []
    if resource_metadata is not None:
        from linqi.asgi.challenges import metadata_fault

        faults += metadata_fault(resource_metadata)
    if not transports:
        faults.append("transports is empty; leave it out for the Authorization header")
    names = [one.header.lower() for one in transports if isinstance(one, HeaderTransport)]
    if len(set(names)) < len(names):
        faults.append("two transports read the same header, so it would always carry two tokens")
    if isinstance(expose_to, str) or not all(
        origin.startswith(("http://", "https://")) for origin in expose_to
    ):
        faults.append("expose_to is not a list of origins such as ['https://app.example']")
    if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
        faults.append(f"realm {realm!r} is not printable ASCII without quotes and backslashes")
    return faults
