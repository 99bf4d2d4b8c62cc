"""The one reader of the URLs that are fetched."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

__all__ = ["is_loopback_url", "origin_of", "url_fault"]

# Stricter than RFC 3986, so that no two readers of a URL can see two hosts in it. The underscore
# is in the names of Compose services; resolvers and TLS compare it like a letter.
_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_LONGEST_URL: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}


def url_fault(url: object, what: str, *, allow_http: bool = False) -> str | None:
    """Return why `url` must not be fetched; None if it may.

    Args:
        url: The URL to check.
        what: How the message calls it.
        allow_http: Whether ``http`` is allowed for every host, and not for loopback only.

    """
    found = _match(url)
    if found is None:
        return f"{what} is not a plain https URL without user name, fragment or white space"
    if found[1] == "http" and not (allow_http or is_loopback_url(str(url))):
        return (
            f"{what} is http, expected https; http is allowed on loopback only, or with"
            " allow_http in a private network"
        )
    return None


def is_loopback_url(url: str) -> bool:
    """Return whether the host of `url` is a loopback address or ``localhost``."""
    found = _match(url)
    if found is None:
        return False
    host = found[2].strip("[]").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(url: object) -> tuple[str, str, int] | None:
    """Return the scheme, host and port of `url` (RFC 6454, section 4); None if it cannot be read.

    Hosts are compared as text, without case: ``id.example.`` is another host than ``id.example``.
    """
    found = _match(url)
    if found is None:
        return None
    return found[1], found[2].lower(), int(found[3] or _PORTS[found[1]])


def _match(url: object) -> re.Match[str] | None:
    return _URL.fullmatch(url) if isinstance(url, str) and len(url) <= _LONGEST_URL else None
