"""A clock that tests move by hand."""


class FakeClock:
    """Gives the same instant until it is moved."""

    def __init__(self, now: float = 1_800_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        """Give the instant."""
        return self.now

    def move(self, seconds: float) -> None:
        """Go `seconds` forward, or back where they are negative."""
        self.now += seconds
