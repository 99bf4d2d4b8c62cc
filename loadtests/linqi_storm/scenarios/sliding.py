"""Sessions that slide: the server judges, and answers carry successors."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import ClassVar

from linqi import ConfigurationError
from linqi_storm.scenarios.base import Scenario
from linqi_storm.shape import Shape

__all__ = ["Naive", "Steady", "StormSliding"]


class Steady(Scenario):
    """Verification at an even rate, far from any expiry."""

    name = "steady"
    summary = "verification at an even rate, no token near expiry: hot, Zipf or cold"
    shape = Shape(
        sessions=2_000, lifetime=900, buffer=300, duration=30, gap=2, pages=False, compression=1
    )
    options: ClassVar[Mapping[str, float]] = {"hot": 0.0, "zipf": 0.0, "cold": 0.0}

    def __init__(self, shape: Shape, options: Mapping[str, float] | None = None) -> None:
        super().__init__(shape, options)
        chosen = [name for name in ("hot", "zipf", "cold") if self.settings[name]]
        if len(chosen) > 1:
            raise ConfigurationError([f"steady is {' and '.join(chosen)} at once; choose one"])
        self._spread = chosen[0] if chosen else "even"
        self._zipf = _zipf_weights(shape.sessions)

    def gap(self, index: int, rng: random.Random) -> float:
        """Give a pause: hot sessions are few and often there, cold ones come only once."""
        mean_rate = 1 / self.size.gap
        if self._spread == "cold":
            return math.inf
        if self._spread == "hot":
            is_hot = index < max(1, self.size.sessions // 100)
            return rng.expovariate(mean_rate * 100) if is_hot else math.inf
        if self._spread == "zipf":
            return rng.expovariate(mean_rate * self._zipf[index])
        return super().gap(index, rng)

    def first_due(self, index: int, rng: random.Random) -> float:
        """Spread the only visit of cold sessions over the run; the others begin as they go on."""
        if self._spread == "cold":
            return rng.random() * self.size.duration
        return self.gap(index, rng)


class StormSliding(Scenario):
    """All tokens issued in the same second, browsers with parallel requests."""

    name = "storm-sliding"
    summary = "all tokens issued in one second; browsers with 1 to 20 parallel requests a page"


class Naive(StormSliding):
    """The same load against the renewal that people write by hand."""

    name = "naive"
    summary = "the load of storm-sliding against the usual hand-written renewal, to compare with"
    embedded = "naive"


def _zipf_weights(sessions: int) -> list[float]:
    """Give how much oftener than the mean each session comes: proportional to 1 / rank."""
    harmonic = math.fsum(1 / rank for rank in range(1, sessions + 1))
    ranks = itertools.islice(itertools.count(1), sessions)
    return [sessions / (rank * harmonic) for rank in ranks]
