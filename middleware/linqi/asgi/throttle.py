"""How often somebody may try to sign in and fail."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

from linqi.errors import ConfigurationError, Unavailable

__all__ = ["LoginThrottle"]


class LoginThrottle:
    """Counts failed sign-ins by name, by address, and by both together.

    Limits are written as the library `limits` reads them. The pair has the tightest one: it stops
    guessing without letting a stranger lock a user out. `storage` is a URL of `limits`, such as
    ``async+redis://127.0.0.1:6379`` where several workers should count together; names are
    hashed before they are kept.
    """

    def __init__(
        self,
        *,
        per_pair: str = "5 per 5 minutes",
        per_address: str = "50 per 5 minutes",
        per_name: str = "100 per hour",
        storage: str = "async+memory://",
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            import limits
            from limits.aio.strategies import MovingWindowRateLimiter
            from limits.storage import storage_from_string
        except ModuleNotFoundError:
            raise ConfigurationError(
                ["limits is not installed; pip install 'linqi[throttle]', or throttle=None"]
            ) from None
        try:
            self._items = [limits.parse(text) for text in (per_pair, per_address, per_name)]
            if not storage.startswith("async+"):
                raise ValueError("the storage's URL does not begin with async+")
            self._limiter: Any = MovingWindowRateLimiter(storage_from_string(storage))
        except (ValueError, limits.errors.ConfigurationError) as error:
            detail = str(error).replace(storage, "***")  # it may hold a password
            raise ConfigurationError([f"the throttle cannot be made: {detail}"]) from None
        self._clock = clock

    async def wait(self, name: str, address: str) -> float:
        """Give for how many seconds no attempt is allowed; 0 when one is."""
        longest = 0.0
        try:
            for item, key in zip(self._items, _keys(name, address), strict=True):
                if not await self._limiter.test(item, *key):
                    window = await self._limiter.get_window_stats(item, *key)
                    longest = max(longest, window.reset_time - self._clock(), 1.0)
        except Exception as error:
            raise Unavailable(f"the login throttle: {type(error).__name__}") from error
        return math.ceil(longest)

    async def failed(self, name: str, address: str) -> None:
        """Count a failed attempt."""
        try:
            for item, key in zip(self._items, _keys(name, address), strict=True):
                await self._limiter.hit(item, *key)
        except Exception as error:
            raise Unavailable(f"the login throttle: {type(error).__name__}") from error


def _keys(name: str, address: str) -> list[tuple[str, ...]]:
    hashed = hashlib.sha256(name.strip().casefold().encode()).hexdigest()[:32]
    return [("linqi-login", hashed, address), ("linqi-login-from", address), ("linqi-name", hashed)]
