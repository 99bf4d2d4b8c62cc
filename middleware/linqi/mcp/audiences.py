"""Whether tokens are accepted only for the one resource that a server is (RFC 8707)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from linqi.errors import ConfigurationError
from linqi.jose.issuers import ANY_AUDIENCE, AnyAudience
from linqi.jose.verifier import Verifier

__all__ = ["check_audiences"]

_Audience: TypeAlias = str | Sequence[str] | AnyAudience


def check_audiences(verifier: Verifier, resource: str) -> None:
    """Check that every issuer of `verifier` is trusted for tokens of `resource` and no others.

    A token of another resource would be taken from the client that got it for that one, and used
    here: the confused deputy of the specification's security considerations (H10).

    Args:
        verifier: Verifies the tokens.
        resource: The canonical URL of the resource. If it has no path, its other spelling with a
            slash at the end is the same URL (RFC 3986, section 6.2.3), and may be listed too.

    Raises:
        ConfigurationError: An issuer has another audience, or none; all are named.

    """
    spellings = {resource, resource.removesuffix("/"), f"{resource}/"}
    if urlsplit(resource).path not in ("", "/"):
        spellings = {resource}
    faults = [
        f"{name} is trusted for the audience {audience!r}, expected {resource!r} alone: tokens for"
        " other resources would be accepted (RFC 8707)"
        for name, audience in _accepted(verifier)
        if _listed(audience) - spellings
    ]
    if faults:
        raise ConfigurationError(faults)


def _accepted(verifier: Verifier) -> Iterator[tuple[str, _Audience]]:
    """Yield each source of trust with the audience of its tokens."""
    for trusted in verifier.issuers:
        yield trusted.issuer, trusted.audience
    for asked in () if verifier.opaque is None else verifier.opaque.issuers:
        yield asked.issuer, asked.audience
    if verifier.bridge is not None:
        audience = verifier.bridge.audience
        yield "the bridge", ANY_AUDIENCE if audience is None else audience


def _listed(audience: _Audience) -> set[str | AnyAudience]:
    return {audience} if isinstance(audience, str | AnyAudience) else {*audience}
