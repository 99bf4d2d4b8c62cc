"""When a token is due for renewal, as a client computes it from the token.

This is the rule of the policies written a second time, on purpose: a client that asked the code
under test could not notice that it is wrong.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["DueRule"]


class DueRule:
    """The instant after which a response carries a successor.

    Args:
        lifetime: Of an access token, in seconds.
        buffer: The least window before expiry, in seconds.
        is_grid: Whether sessions are due at their grid points too.
        is_whole: Whether the times of tokens are whole seconds.

    """

    def __init__(
        self, lifetime: float, buffer: float, *, is_grid: bool, is_whole: bool = True
    ) -> None:
        self._lifetime = lifetime
        self._buffer = buffer
        self._is_grid = is_grid
        self._is_whole = is_whole and lifetime % 1 == 0 and buffer % 1 == 0

    def due_at(self, claims: Mapping[str, Any]) -> float:
        """Return the instant for a token with `claims`, in Unix seconds."""
        expires_at = float(claims.get("exp", 0.0))
        latest = expires_at - self._buffer
        session, issued_at = claims.get("sid"), claims.get("iat")
        if not self._is_grid or not isinstance(session, str) or issued_at is None:
            return latest
        period = self._lifetime - self._buffer
        digest = hashlib.sha256(session.encode()).digest()
        phase = int.from_bytes(digest[:6], "big") / 2**48 * period
        if self._is_whole:
            phase = float(math.floor(phase))
        start = max(float(issued_at), expires_at - self._lifetime)
        following = phase + period * (math.floor((start - phase) / period) + 1)
        return min(latest, following)
