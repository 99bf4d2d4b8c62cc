"""The claims of a token as its client reads them, without verification."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pybase64

__all__ = ["claims_in", "expiry_of", "lifetime_of"]


class _Times(msgspec.Struct):
    exp: float = 0.0
    iat: float | None = None


_decode: Final = msgspec.json.Decoder(_Times).decode
_decode_all: Final = msgspec.json.Decoder(dict[str, Any]).decode


def expiry_of(token: bytes) -> float:
    """Return ``exp`` in Unix seconds; 0 if it cannot be read."""
    return _times_of(token).exp


def lifetime_of(token: bytes, now: float) -> float:
    """Return the seconds from ``iat`` to ``exp``; from `now` if there is no ``iat``."""
    times = _times_of(token)
    return times.exp - (now if times.iat is None else times.iat)


def claims_in(token: bytes) -> dict[str, Any]:
    """Return all claims; empty if they cannot be read."""
    try:
        return _decode_all(_payload_of(token))
    except (IndexError, ValueError, msgspec.MsgspecError):
        return {}


def _times_of(token: bytes) -> _Times:
    try:
        return _decode(_payload_of(token))
    except (IndexError, ValueError, msgspec.MsgspecError):
        return _Times()


def _payload_of(token: bytes) -> bytes:
    payload = token.split(b".", 2)[1]
    return pybase64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
