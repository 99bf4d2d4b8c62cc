"""Whether tokens are accepted only for the one resource that a server is (RFC 8707)."""

from __future__ import annotations

from urllib.parse import urlsplit

from linqi.errors import ConfigurationError
from linqi.jose.issuers import AnyAudience
from linqi.jose.verifier import Verifier

__all__ = ["check_audiences"]


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
    faults = []
    for trusted in verifier.issuers:
        audience = trusted.audience
        seen = {audience} if isinstance(audience, str | AnyAudience) else {*audience}
        if seen - spellings:
            faults.append(
                f"{trusted.issuer} is trusted for the audience {audience!r}, expected {resource!r}"
                " alone: tokens for other resources would be accepted (RFC 8707)"
            )
    if faults:
        raise ConfigurationError(faults)
