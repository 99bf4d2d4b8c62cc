"""Sessions that slide: the server judges, and answers carry successors."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import ClassVar

from linqi import ConfigurationError
from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.schema.load import StormLoad

__all__ = [
    "Deploy",
    "GarbageFlood",
    "LostSuccessors",
    "Morning",
    "Polls",
    "Steady",
    "StormHandwritten",
    "StormSliding",
]


class Steady(Scenario):
    """Verification at an even rate, far from any expiry."""

    name = "steady"
    summary = "verification at an even rate, no token near expiry: hot, Zipf or cold"
    load = StormLoad(
        sessions=2_000, lifetime=900, buffer=300, duration=30, gap=2, pages=False, compression=1
    )
    options: ClassVar[Mapping[str, float]] = {"hot": 0.0, "zipf": 0.0, "cold": 0.0}

    def __init__(self, load: StormLoad, options: Mapping[str, float] | None = None) -> None:
        super().__init__(load, options)
        chosen = [name for name in ("hot", "zipf", "cold") if self.settings[name]]
        if len(chosen) > 1:
            raise ConfigurationError([f"steady is {' and '.join(chosen)} at once; choose one"])
        self._spread = chosen[0] if chosen else "even"
        self._zipf = _zipf_weights(load.sessions)

    def gap(self, index: int, rng: random.Random) -> float:
        """Give a pause: hot sessions are few and often there, cold ones come only once."""
        mean_rate = 1 / self.load.gap
        if self._spread == "cold":
            return math.inf
        if self._spread == "hot":
            is_hot = index < max(1, self.load.sessions // 100)
            return rng.expovariate(mean_rate * 100) if is_hot else math.inf
        if self._spread == "zipf":
            return rng.expovariate(mean_rate * self._zipf[index])
        return super().gap(index, rng)

    def first_due(self, index: int, rng: random.Random) -> float:
        """Spread the only visit of cold sessions over the run; the others begin as they go on."""
        if self._spread == "cold":
            return rng.random() * self.load.duration
        return self.gap(index, rng)


class StormSliding(Scenario):
    """All tokens issued in the same second, browsers with parallel requests."""

    name = "storm-sliding"
    summary = "all tokens issued in one second; browsers with 1 to 20 parallel requests a page"


class StormHandwritten(StormSliding):
    """The same load against the renewal that people write by hand."""

    name = "naive"
    summary = "the load of storm-sliding against the usual hand-written renewal, to compare with"
    embedded = "naive"


class Deploy(StormSliding):
    """The workers are replaced, one after the other, while tokens fall due."""

    name = "deploy"
    summary = "a rolling restart of all workers in the middle of the storm"
    load = StormLoad(sessions=1_000, lifetime=30, buffer=10, duration=40, gap=2.5, compression=30)
    options: ClassVar[Mapping[str, float]] = {"at": 22}

    async def disturb(self, control: ServerControl) -> None:
        """Restart once, when the first tokens are due."""
        begins = self.settings["at"]
        await control.until(begins)
        control.say("the workers are being replaced")
        began = begins
        await control.restart_workers()
        control.say("all workers are new")
        control.mark("restart", began, began + 8)


class Morning(StormSliding):
    """Logins spread over the first minutes, and people who read and go away."""

    name = "morning"
    summary = "logins spread over a while, real pauses with a heavy tail: what the buffer loses"
    load = StormLoad(
        sessions=2_000, lifetime=30, buffer=10, duration=90, gap=3, law="reading", pages=False,
        login_spread=20, compression=30,
    )  # fmt: skip


class LostSuccessors(StormSliding):
    """Successors get lost on their way: the next request must bring the same one."""

    name = "lost-successors"
    summary = "storm-sliding, and a share of all answers is lost on the way"
    load = StormLoad(sessions=500, lifetime=30, buffer=10, duration=45, gap=2.5, compression=30)
    options: ClassVar[Mapping[str, float]] = {"share": 0.05}

    def loses_reply(self, rng: random.Random) -> bool:
        """Lose the answer by chance."""
        return rng.random() < self.settings["share"]


class Polls(StormSliding):
    """Every page polls quietly, as long as its token lives, whether or not its user is there."""

    name = "polls"
    summary = "people who read and go away, on pages that poll: no quiet request extends a session"
    load = StormLoad(
        sessions=500, lifetime=30, buffer=10, duration=45, gap=3, law="reading", pages=False,
        compression=30,
    )  # fmt: skip
    options: ClassVar[Mapping[str, float]] = {"every": 2.0}

    def polls_every(self) -> float:
        """Return the seconds between two polls of a page."""
        return self.settings["every"]


class GarbageFlood(StormSliding):
    """Garbage floods in beside honest users."""

    name = "garbage-flood"
    summary = "garbage of up to 4 KB floods in beside honest users"
    load = StormLoad(sessions=500, lifetime=30, buffer=10, duration=40, gap=2.5, compression=30)
    hostile_per_second = 200.0
    forgeries = "garbage"


def _zipf_weights(sessions: int) -> list[float]:
    """Give how much oftener than the mean each session comes: proportional to 1 / rank."""
    harmonic = math.fsum(1 / rank for rank in range(1, sessions + 1))
    ranks = itertools.islice(itertools.count(1), sessions)
    return [sessions / (rank * harmonic) for rank in ranks]
