"""What each figure may cost on an ordinary two-core machine."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CACHED_TOKENS_MEGABYTES",
    "COLD_OVER_RAW",
    "DECISION",
    "FORGED_REFRESH_TOKEN",
    "GROUPED_SHARE",
    "HIT",
    "JUDGE",
    "KNOWN_KID",
    "MIDDLEWARE_OVER_BARE",
    "REFRESHING_AUTH",
    "REVOCATION_ON_HIT",
    "ROTATION_OVER_BARE",
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
FORGED_REFRESH_TOKEN: Final = 10.0
"""Microseconds to refuse a refresh token that is not ours, without a store."""
REVOCATION_ON_HIT: Final = 0.2
"""Microseconds that looking for a revocation adds to a cache hit."""
ROTATION_OVER_BARE: Final = 1.3
"""Bare calls of the driver that a rotation costs, at 50 at once."""
GROUPED_SHARE: Final = 0.2
"""What a rotation on SQLite costs, as a share of one with a commit of its own."""
JUDGE: Final = 2.0
"""Microseconds of a client to judge the token it holds."""
REFRESHING_AUTH: Final = 3.0
"""Percent that `RefreshingAuth` adds to a loopback request with a constant token."""
