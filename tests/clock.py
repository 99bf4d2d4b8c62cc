"""Clocks that tests move by hand."""

import asyncio
from typing import Any


class FakeClock:
    """Returns the same instant until it is moved."""

    def __init__(self, now: float = 1_800_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the instant."""
        return self.now

    def move(self, seconds: float) -> None:
        """Go `seconds` forward, or back where they are negative."""
        self.now += seconds


class FakeTime:
    """A wall clock, a monotonic clock and a sleep that move together by hand."""

    def __init__(self) -> None:
        self.wall = FakeClock()
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Return the monotonic instant."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the time was moved so far."""
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, sleeper))
        await sleeper

    def move(self, seconds: float) -> None:
        """Go forward and wake who has slept enough."""
        self.now += seconds
        self.wall.move(seconds)
        due = [sleeper for at, sleeper in self._sleepers if at <= self.now]
        self._sleepers = [(at, sleeper) for at, sleeper in self._sleepers if at > self.now]
        for sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)

    @property
    def options(self) -> dict[str, Any]:
        """Return the arguments of a `RemoteKeys` that uses this time."""
        return {
            "clock": self.wall,
            "monotonic": self.monotonic,
            "sleep": self.sleep,
            "chance": lambda: 0.0,
        }
