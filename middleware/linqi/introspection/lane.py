"""The requests of one kind to an issuer: how many run, how many wait, and when none may."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

from linqi.introspection.settings import IntrospectionSettings
from linqi.jwks.freshness import RefreshSettings, Schedule

__all__ = ["Lane"]


class Lane:
    """A bounded queue in front of a bounded number of requests, with a pause after failures.

    Args:
        settings: The bounds, and the pauses.
        rate: How many tokens a second may enter, twice as many at once; infinite for any number.

    Attributes:
        last_error: Why the last request failed; empty after a success.

    """

    def __init__(self, settings: IntrospectionSettings, rate: float = math.inf) -> None:
        self.last_error = ""
        self._most = settings.concurrent + settings.waiting
        self._concurrent = settings.concurrent
        self._schedule = Schedule(
            settings=RefreshSettings(
                cooldown=settings.cooldown, longest_backoff=settings.longest_backoff
            )
        )
        self._failed_at = -math.inf
        self._rate = rate
        self._level = self._burst = max(1.0, rate * 2)
        self._filled_at = -math.inf
        self.move()

    @property
    def retry_at(self) -> float:
        """The monotonic instant before which no request is sent."""
        return self._schedule.retry_at

    @property
    def failures(self) -> int:
        """Failures since the last success; those that ran at the same time count once."""
        return self._schedule.failures

    def move(self) -> None:
        """Forget who waits: the event loop of theirs has ended."""
        self._slots = asyncio.Semaphore(self._concurrent)
        self._inside: set[asyncio.Task[None]] = set()

    def admits(self, now: float) -> bool:
        """Return whether one more token may enter at `now`, and take its place in the rate."""
        if len(self._inside) >= self._most:
            return False
        if self._rate == math.inf:
            return True
        gone = min(max(0.0, now - self._filled_at), 2.0)  # a clock that steps back adds nothing
        self._level = min(self._burst, self._level + gone * self._rate)
        self._filled_at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def hold(self, task: asyncio.Task[None]) -> None:
        """Count `task`, which was admitted, until it is done.

        From now on and not from its first step on, or requests that arrive together would all be
        admitted.
        """
        self._inside.add(task)
        task.add_done_callback(self._inside.discard)

    async def enter(self, seconds: float) -> bool:
        """Wait for a slot; return False if there is none within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            return False
        return True

    def leave(self) -> None:
        """Free a slot."""
        self._slots.release()

    def succeeded(self) -> None:
        """Note that a request was answered: the pause ends."""
        self.last_error = ""
        self._schedule = replace(self._schedule, retry_at=-math.inf, failures=0)

    def failed(self, started: float, now: float, chance: float, why: str, wait: float) -> bool:
        """Note that a request failed, and pause; return whether the failure counts.

        Args:
            started: When the request was sent. One that was sent before another failed does not
                count again.
            now: The present instant.
            chance: A random number from 0 to 1, for the jitter.
            why: For operators.
            wait: Seconds that the issuer asked to wait; 0 if it did not.

        """
        if started <= self._failed_at:
            return False
        self._failed_at, self.last_error = now, why
        self._schedule = self._schedule.failed(now, chance, asked_wait=wait)
        return True
