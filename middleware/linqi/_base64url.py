"""Base64url without padding (RFC 7515, section 2)."""

from __future__ import annotations

import pybase64

__all__ = ["encode"]


def encode(data: bytes) -> bytes:
    """Return `data` in unpadded base64url, as ASCII bytes."""
    return pybase64.urlsafe_b64encode(data).rstrip(b"=")
