"""A clock that is moved by hand: wall time, monotonic time and waits together."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from linqi.errors import ConfigurationError

__all__ = ["Clock"]

_FIRST_MONOTONIC: Final = 1000.0
_MOST_SECONDS: Final = 100 * 366 * 86_400.0


class Clock:
    """A wall clock, a monotonic clock and a sleep that are moved together.

    Called, it returns Unix seconds, so it fits every ``clock=`` of the library.
    `Clock.arguments` are those of a class that takes a monotonic clock and a sleep too.

    Args:
        now: The instant at which it stands until it is moved; None for one that runs with the
            time of the process.
        wall: The clock that it runs with.
        monotonic: The monotonic clock that it runs with.

    Raises:
        ConfigurationError: `now` is not an instant.

    """

    def __init__(
        self,
        now: float | None = None,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stands_at = None if now is None else _instant(now)
        self._moment = _FIRST_MONOTONIC
        self._real_wall = wall
        self._real_monotonic = monotonic
        self._ahead = self._passed = 0.0
        self._lock = threading.Lock()
        self._sleepers: dict[asyncio.Future[None], tuple[float, asyncio.AbstractEventLoop]] = {}

    def __call__(self) -> float:
        """Return the instant in Unix seconds."""
        stands_at = self._stands_at
        return self._real_wall() + self._ahead if stands_at is None else stands_at

    @property
    def now(self) -> float:
        """The instant in Unix seconds."""
        return self()

    @property
    def ahead(self) -> float:
        """By how many seconds it differs from the clock that it runs with."""
        return self._ahead

    def monotonic(self) -> float:
        """Return seconds that never step back, whatever the wall clock does."""
        return (
            self._moment if self._stands_at is not None else self._real_monotonic() + self._passed
        )

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed, or until the clock was moved so far."""
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            await self._doze(until, left)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move by `seconds`, and wake what has waited for long enough.

        A negative number sets the wall clock back, as an operator may; the monotonic clock stays.

        Raises:
            ConfigurationError: `seconds` is not a number of at most 100 years.

        """
        if not _is_number(seconds) or abs(seconds) > _MOST_SECONDS:
            raise ConfigurationError(
                [f"seconds is {seconds!r}, expected a number, at most 100 years"]
            )
        with self._lock:
            if self._stands_at is None:
                self._ahead += seconds
            else:
                self._stands_at += seconds
            self._moment += max(0.0, seconds)
            self._passed += max(0.0, seconds)
        self._wake()

    def move_to(self, instant: float) -> None:
        """Move to `instant`, in Unix seconds; exactly there if the clock stands."""
        self.advance(_instant(instant) - self())
        if self._stands_at is not None:
            self._stands_at = float(instant)

    def return_to_the_time(self) -> None:
        """Set the wall clock to that of the process; the monotonic clock never steps back."""
        self._ahead = 0.0

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments ``clock``, ``monotonic`` and ``sleep``."""
        return {"clock": self, "monotonic": self.monotonic, "sleep": self.sleep}

    async def _doze(self, until: float, left: float) -> None:
        """Wait until `until`, or until the time was moved so far; may return early."""
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._sleepers[sleeper] = until, loop
        # The clock may have been moved by another thread just before.
        is_over = self.monotonic() >= until
        timer = None
        if self._stands_at is None and not is_over:
            timer = loop.call_later(left, _wake, sleeper)
        try:
            if not is_over:
                await sleeper
        finally:
            with self._lock:
                self._sleepers.pop(sleeper, None)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        now = self.monotonic()
        with self._lock:
            due = [(one, loop) for one, (at, loop) in self._sleepers.items() if at <= now]
        for sleeper, loop in due:
            if loop is _running_loop():
                _wake(sleeper)
            else:
                with contextlib.suppress(RuntimeError):  # the loop was closed
                    loop.call_soon_threadsafe(_wake, sleeper)

    def __repr__(self) -> str:
        return f"<Clock at {self():.3f}>"


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _instant(value: object) -> float:
    if not _is_number(value) or not 0 <= value <= 253_402_300_799:  # type: ignore[operator]
        raise ConfigurationError([f"the instant is {value!r}, expected Unix seconds"])
    return float(value)  # type: ignore[arg-type]
