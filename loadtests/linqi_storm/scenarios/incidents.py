"""Scenarios of incidents that services had, each with the invariant that the incident broke."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.scenarios.dual import StormDual
from linqi_storm.scenarios.outside import Outside
from linqi_storm.scenarios.sliding import StormSliding
from linqi_storm.scenarios.traffic import MeasuredPages
from linqi_storm.schema.load import StormLoad

__all__ = ["Audiences", "ColdStart", "DeadToken", "Polling", "Ssr", "SwitchOn", "Throttled"]

_SLIDING = StormLoad(sessions=500, lifetime=30, buffer=10, duration=45, gap=2.5, compression=30)
_DUAL = replace(_SLIDING, duration=30, pages=False)
_SLOW_SECONDS = 0.3


class Polling(StormSliding):
    """Half of the users leave after one page, and the pages that they left open go on polling."""

    name = "polling"
    summary = "users leave or pause, and their pages poll: no quiet request extends a session"
    load = replace(_SLIDING, gap=3, law="reading", pages=False)
    options: ClassVar[Mapping[str, float]] = {"every": 2.0}

    def gap(self, index: int, rng: random.Random) -> float:
        """Return infinity for every other user, who does not come back."""
        return math.inf if index % 2 else super().gap(index, rng)

    def polls_every(self) -> float:
        """Return the setting ``every``."""
        return self.settings["every"]


class DeadToken(Scenario):
    """Clients that do not give up present refresh tokens of sessions that have ended."""

    name = "dead-token"
    summary = "200 refreshes per second of sessions that have ended, beside honest users"
    load = _DUAL
    mode = "dual"
    embedded = "dual"
    hostile_per_second = 200.0
    forgeries = "dead"


class Ssr(StormSliding):
    """A server that renders pages sends many requests at once with the cookie of one user."""

    name = "ssr"
    summary = "each page is rendered from 20 parallel requests with the same token"
    load = replace(_SLIDING, sessions=200, gap=4)
    options: ClassVar[Mapping[str, float]] = {"requests": 20}

    def __init__(self, load: StormLoad, options: Mapping[str, float] | None = None) -> None:
        super().__init__(load, options)
        if load.workload is None:
            self.pages = MeasuredPages([int(self.settings["requests"])], [1])


class Audiences(StormDual):
    """Clients of several APIs share a refresh token, without a lock between them."""

    name = "audiences"
    summary = "each session is refreshed five times at once, for five APIs, with one refresh token"
    load = replace(_DUAL, gap=5, duration=40)
    refreshes = 5


class SwitchOn(StormSliding):
    """All tokens are of a longer lifetime, which was shortened for everybody at one instant."""

    name = "switch-on"
    summary = "lifetimes are shortened at one instant: all tokens held were made for longer"
    load = _SLIDING
    options: ClassVar[Mapping[str, float]] = {"times": 4}

    def held_lifetime(self) -> float:
        """Return the lifetime before the switch: ``times`` the one in force."""
        return self.load.lifetime * self.settings["times"]

    def login_at(self, index: int) -> float:
        """Return the same second for all: one lifetime in force is left of their tokens."""
        return self.load.lifetime - self.held_lifetime()

    def first_due(self, index: int, rng: random.Random) -> float:
        """Return one pause after the switch."""
        return self.gaps.draw(rng)


class Throttled(StormDual):
    """All clients refresh at once, and are told to slow down."""

    name = "throttled"
    summary = "storm-dual with at most 100 refreshes per second: the others get 429 and must wait"
    refreshes_per_second = 100.0

    def even_from(self) -> float | None:
        """Return None: who was told to wait refreshes later than planned."""
        return None


class ColdStart(Outside):
    """A new version with empty caches takes all traffic at once, while the issuer is slow."""

    name = "cold-start"
    summary = "all workers are replaced at once by cold ones, while the issuer answers slowly"
    options: ClassVar[Mapping[str, float]] = {"at": 8}

    async def disturb(self, control: ServerControl) -> None:
        """Replace all workers at once, at ``at``."""
        begins = self.settings["at"]
        control.mark("cold start", begins, min(begins + 8, self.load.duration))
        await control.until(begins)
        await control.issuer(do="fault", kind="slow", seconds=_SLOW_SECONDS)
        await control.restart_workers(at_once=True)
        control.say("cold workers have all traffic")
        await control.issuer(do="fault", kind="")

    def most_issuer_requests(self, workers: int) -> int:
        """Return two per worker: its discovery document, its key set."""
        return 2 * workers
