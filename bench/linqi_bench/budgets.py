"""What each figure may cost on an ordinary two-core machine."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CACHED_TOKENS_MEGABYTES",
    "COLD_OVER_RAW",
    "DECISION",
    "HIT",
    "KNOWN_KID",
    "MIDDLEWARE_OVER_BARE",
    "SIGNATURES_PER_RENEWAL",
]

COLD_OVER_RAW: Final = 8.0
"""Microseconds that a cold verification takes longer than its signature check alone."""
HIT: Final = 1.5
"""Microseconds of a cache hit for an 800-byte token, SHA-256 included."""
MIDDLEWARE_OVER_BARE: Final = 4.0
"""Microseconds that the middleware adds to a request whose token is cached."""
DECISION: Final = 0.5
"""Microseconds to see that a fresh token is not near expiry."""
CACHED_TOKENS_MEGABYTES: Final = 120.0
"""Megabytes (10^6 bytes) that 100,000 cached tokens may add to the process."""
SIGNATURES_PER_RENEWAL: Final = 1.0
"""Signatures when 500 requests present one near-expiry token at once."""
KNOWN_KID: Final = 0.3
"""Microseconds to find a key of a fetched set by its kid."""
