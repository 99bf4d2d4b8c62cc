"""Scenarios of services on several hosts: networks that part, replicas that take over, clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.scenarios.dual import StoreOutage
from linqi_storm.schema.expectations import REVOCATION_BOUND

__all__ = ["ClockStep", "Failover", "Partition"]

_STALE_SECONDS = 3.0
"""Trusted without the store, so that a short run shows what follows."""
_NETWORKED = ("valkey", "postgresql")


class Partition(StoreOutage):
    """Half of the workers cannot reach the store for some seconds."""

    name = "partition"
    summary = "half of the workers lose the store: they answer 503, the others go on"
    shuts_half = True
    stores = _NETWORKED
    stale_after = _STALE_SECONDS
    revocation_bound = _STALE_SECONDS + REVOCATION_BOUND


class Failover(Scenario):
    """A replica takes over from the store's server."""

    name = "failover"
    summary = "a replica takes over from the store: 503 for a moment, and no session is lost"
    load = StoreOutage.load
    mode = "dual"
    embedded = "dual"
    may_be_unavailable = True
    fails_over = True
    stores = _NETWORKED
    stale_after = _STALE_SECONDS
    revocation_bound = _STALE_SECONDS + REVOCATION_BOUND
    options: ClassVar[Mapping[str, float]] = {"at": 12}

    async def disturb(self, control: ServerControl) -> None:
        """Let the replica take over at ``at``."""
        begins = self.settings["at"]
        control.mark("failover", begins, min(begins + 5, self.load.duration))
        await control.until(begins)
        await control.fail_over()
        control.say("the replica has taken over")

    def even_from(self) -> float | None:
        """Return None: what waited for the store is refreshed at once."""
        return None


class ClockStep(Scenario):
    """The clock of one worker is wrong for some seconds."""

    name = "clock-step"
    summary = "the clock of one worker jumps by `ahead` seconds, and back `seconds` later"
    load = replace(StoreOutage.load, duration=40)
    mode = "dual"
    embedded = "dual"
    steps_clock = True
    options: ClassVar[Mapping[str, float]] = {"at": 10, "ahead": 5, "seconds": 12}

    async def disturb(self, control: ServerControl) -> None:
        """Set the clock at ``at``, and set it right ``seconds`` later."""
        begins = self.settings["at"]
        ends = begins + self.settings["seconds"]
        control.mark("clock", begins, min(ends, self.load.duration))
        await control.until(begins)
        await control.set_clock(self.settings["ahead"])
        control.say(f"the clock of one worker is {self.settings['ahead']:+g} s off")
        await control.until(ends)
        await control.set_clock(0)
        control.say("the clock is right again")

    def clock_error(self) -> float:
        """Return how far the clock jumps."""
        return max(super().clock_error(), abs(self.settings["ahead"]))

    def even_from(self) -> float | None:
        """Return None: the grid of the one worker is shifted."""
        return None
