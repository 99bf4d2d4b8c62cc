"""Base64url without padding (RFC 7515, section 2)."""

from __future__ import annotations

import pybase64

__all__ = ["decode", "encode"]


def encode(data: bytes) -> bytes:
    """Return `data` in unpadded base64url, as ASCII bytes."""
    return pybase64.b64encode(data, b"-_").rstrip(b"=")


def decode(text: str) -> bytes:
    """Return the bytes of base64url text.

    Padding and the standard alphabet, which some publishers of keys write, are read too;
    `ValueError` for any other character.
    """
    bare = text.rstrip("=")
    return pybase64.b64decode(bare + "=" * (-len(bare) % 4), b"-_", validate=True)
