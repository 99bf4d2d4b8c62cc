"""The origin of a URL, by which a client decides where a token may go."""

from __future__ import annotations

from typing import Final, TypeAlias
from urllib.parse import urlsplit

__all__ = ["PORTS", "Origin", "origin_of"]

PORTS: Final = {"http": 80, "https": 443}
"""The default port of each scheme."""

Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port (RFC 6454, section 4)."""


def origin_of(url: str) -> Origin | None:
    """Return the origin of an ``http`` or ``https`` URL; None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    return (parts.scheme, parts.hostname, port or PORTS[parts.scheme])
