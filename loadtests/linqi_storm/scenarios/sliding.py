"""Scenarios with sliding sessions: the server renews, and responses carry successors."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from linqi import ConfigurationError
from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.schema.load import StormLoad

__all__ = [
    "Deploy",
    "GarbageFlood",
    "LostSuccessors",
    "Morning",
    "Steady",
    "StormHandwritten",
    "StormSliding",
]

_SHORT = StormLoad(sessions=500, lifetime=30, buffer=10, duration=45, gap=2.5, compression=30)


class Steady(Scenario):
    """Verification at an even rate, with no token near expiry."""

    name = "steady"
    summary = "verification at an even rate, no token near expiry; tokens even, hot, Zipf or cold"
    load = StormLoad(
        sessions=2_000, lifetime=900, buffer=300, duration=30, gap=2, pages=False, compression=1
    )
    options: ClassVar[Mapping[str, float]] = {"hot": 0.0, "zipf": 0.0, "cold": 0.0}

    def __init__(self, load: StormLoad, options: Mapping[str, float] | None = None) -> None:
        super().__init__(load, options)
        chosen = [name for name in ("hot", "zipf", "cold") if self.settings[name]]
        if len(chosen) > 1:
            raise ConfigurationError(
                [f"steady has the settings {' and '.join(chosen)}, expected at most one"]
            )
        self._spread = chosen[0] if chosen else "even"
        self._zipf = _zipf_weights(load.sessions)

    def gap(self, index: int, rng: random.Random) -> float:
        """Return a pause: hot sessions are few and frequent, cold ones send only one page."""
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
        """Return a random second of the run for cold sessions, and else one pause."""
        if self._spread == "cold":
            return rng.random() * self.load.duration
        return self.gap(index, rng)


class StormSliding(Scenario):
    """All tokens are issued in the same second; browsers send parallel requests."""

    name = "storm-sliding"
    summary = "all tokens issued in one second; browsers with 1 to 20 parallel requests per page"


class StormHandwritten(StormSliding):
    """The same load against a hand-written renewal that shares no successor."""

    name = "naive"
    summary = "the load of storm-sliding against a hand-written renewal, for comparison"
    embedded = "naive"


class Deploy(StormSliding):
    """The workers are replaced one by one while tokens become due."""

    name = "deploy"
    summary = "a rolling restart of all workers while tokens become due"
    load = replace(_SHORT, sessions=1_000, duration=40)
    options: ClassVar[Mapping[str, float]] = {"at": 22}

    async def disturb(self, control: ServerControl) -> None:
        """Replace all workers once, at ``at``."""
        begins = self.settings["at"]
        await control.until(begins)
        control.say("the workers are being replaced")
        began = begins
        await control.restart_workers()
        control.say("all workers have been replaced")
        control.mark("restart", began, began + 8)


class Morning(StormSliding):
    """Logins spread over the first minutes, and users with long pauses."""

    name = "morning"
    summary = (
        "logins spread over time, pauses with a heavy tail: how many sessions the buffer loses"
    )
    load = replace(
        _SHORT, sessions=2_000, duration=90, gap=3, law="reading", pages=False, login_spread=20
    )


class LostSuccessors(StormSliding):
    """Responses with successors are lost: the next request must get the same successor."""

    name = "lost-successors"
    summary = "storm-sliding, with a share of all responses lost"
    load = _SHORT
    options: ClassVar[Mapping[str, float]] = {"share": 0.05}

    def loses_reply(self, rng: random.Random) -> bool:
        """Return True for the setting ``share`` of all responses."""
        return rng.random() < self.settings["share"]


class GarbageFlood(StormSliding):
    """Many requests with random characters as token beside honest users."""

    name = "garbage-flood"
    summary = "200 requests per second with garbage of up to 4 KB, beside honest users"
    load = replace(_SHORT, duration=40)
    hostile_per_second = 200.0
    forgeries = "garbage"


def _zipf_weights(sessions: int) -> list[float]:
    """Return each session's rate relative to the mean: proportional to 1 / rank."""
    harmonic = math.fsum(1 / rank for rank in range(1, sessions + 1))
    ranks = itertools.islice(itertools.count(1), sessions)
    return [sessions / (rank * harmonic) for rank in ranks]
