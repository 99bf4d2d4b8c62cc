"""The metadata of a protected resource, by which clients find its issuers (RFC 9728)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from linqi.errors import ConfigurationError
from linqi.jose.claims import is_scope
from linqi.jwks.url import url_fault

__all__ = ["ResourceMetadata", "metadata_url_fault"]

_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_RESOURCE_PATH: Final = re.compile(r"(/[A-Za-z0-9_~=:@+-][A-Za-z0-9._~=:@+-]*)*/?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """The metadata of a protected resource (RFC 9728, section 2).

    Args:
        resource: The URL by which clients name the resource (RFC 8707), in its one canonical form:
            https (http on loopback), host in lower case, no default port, query or fragment.
        authorization_servers: The issuers whose tokens the resource accepts.
        scopes_supported: The scopes that clients may ask for.
        challenge_scopes: The scopes that a 401 asks for, so that a client requests no others; None
            for `scopes_supported`.
        resource_name: The name that users see.
        resource_documentation: The URL of a page for developers.
        resource_policy_uri: The URL of a page on how clients may use the data.
        resource_tos_uri: The URL of the terms of service.

    Raises:
        ConfigurationError: Arguments are malformed; all faults are named.

    """

    resource: str
    authorization_servers: Sequence[str]
    _: KW_ONLY
    scopes_supported: Sequence[str] = ()
    challenge_scopes: Sequence[str] | None = None
    resource_name: str | None = None
    resource_documentation: str | None = None
    resource_policy_uri: str | None = None
    resource_tos_uri: str | None = None

    def __post_init__(self) -> None:
        """Refuse malformed arguments."""
        if faults := [*_faults(self)]:
            raise ConfigurationError(faults)

    @property
    def path(self) -> str:
        """The path of the document: the resource's own comes after it (RFC 9728, section 3.1)."""
        own = urlsplit(self.resource).path
        return _WELL_KNOWN if own == "/" else _WELL_KNOWN + own

    @property
    def url(self) -> str:
        """The URL of the document, from the setting alone and never from a Host header (H5)."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}{self.path}"

    @property
    def needed_scopes(self) -> tuple[str, ...]:
        """The scopes that a 401 asks for."""
        asked = self.challenge_scopes
        return tuple(self.scopes_supported if asked is None else asked)

    def document(self) -> dict[str, Any]:
        """Return the members of the document; tokens are read from the header alone (V19)."""
        left_out = {"_", "challenge_scopes"}
        found = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in left_out
        }
        found |= {"bearer_methods_supported": ["header"]}
        return {name: value for name, value in found.items() if value}


def metadata_url_fault(url: object) -> str | None:
    """Return why `url` cannot stand in a challenge, or None.

    A quote or a line end in it would forge parameters of the challenge, or headers.
    """
    return _url_fault("resource_metadata", url)


def _faults(given: ResourceMetadata) -> Iterator[str]:
    fault = _url_fault("resource", given.resource) or _resource_fault(given.resource)
    if fault is not None:
        yield fault
    servers = given.authorization_servers
    if isinstance(servers, str) or not isinstance(servers, Sequence) or not servers:
        yield "authorization_servers is not a non-empty list of issuers"
    else:
        yield from filter(None, (_url_fault("authorization_servers", one) for one in servers))
    for name in ("scopes_supported", "challenge_scopes"):
        scopes = getattr(given, name)
        if scopes is None and name == "challenge_scopes":
            continue
        if isinstance(scopes, str | Mapping) or not isinstance(scopes, Sequence):
            yield f"{name} is not a list of scopes"
        elif not all(isinstance(one, str) and is_scope(one) for one in scopes):
            yield f"{name} has what is no scope name (RFC 6749, section 3.3)"
    if given.resource_name is not None and not _is_text(given.resource_name):
        yield f"resource_name is no printable text of 1 to {_LONGEST} characters"
    for name in ("resource_documentation", "resource_policy_uri", "resource_tos_uri"):
        page = getattr(given, name)
        if page is not None and (fault := _url_fault(name, page)) is not None:
            yield fault


def _url_fault(name: str, url: object) -> str | None:
    if url_fault(url, name) is None:
        return None
    return (
        f"{name} has {url!r}, expected a plain https URL such as https://api.example/orders (http"
        " on loopback only), without user name, quotes or fragment"
    )


def _resource_fault(resource: str) -> str | None:
    """Return why `resource` is not canonical: clients and issuers compare it as text."""
    parts = urlsplit(resource)
    if "?" in resource:
        return f"resource is {resource!r}, expected a URL without a query (RFC 9728, section 1.2)"
    if parts.netloc != parts.netloc.lower():
        return f"resource is {resource!r}, expected the host in lower case"
    if parts.netloc.endswith(_DEFAULT_PORTS[parts.scheme]):
        return f"resource is {resource!r}: leave out the default port"
    if _RESOURCE_PATH.fullmatch(parts.path) is None:
        return f"resource is {resource!r}: its path has empty segments or odd characters"
    return None


def _is_text(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isprintable()
