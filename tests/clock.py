"""The clocks of `linqi.testing`, with the names that the tests of this project use."""

from typing import Any

from linqi.testing import Clock


class FakeClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_800_000_000.25) -> None:
        super().__init__(now)

    @property
    def now(self) -> float:
        """The instant."""
        return self()

    @now.setter
    def now(self, instant: float) -> None:
        self.move_to(instant)

    move = Clock.advance


class FakeTime:
    """A wall clock, a monotonic clock and a sleep that move together; the first moves alone too."""

    def __init__(self) -> None:
        self.wall = FakeClock()
        self._time = Clock(0)
        self.monotonic = self._time.monotonic
        self.sleep = self._time.sleep

    @property
    def now(self) -> float:
        """The monotonic instant."""
        return self.monotonic()

    def move(self, seconds: float) -> None:
        """Go forward and wake what has slept enough."""
        self.wall.advance(seconds)
        self._time.advance(seconds)

    @property
    def options(self) -> dict[str, Any]:
        """Return the arguments of a `RemoteKeys` that uses this time."""
        return self._time.arguments | {"clock": self.wall, "chance": lambda: 0.0}
