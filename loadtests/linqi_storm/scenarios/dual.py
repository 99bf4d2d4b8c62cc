"""Scenarios with dual tokens: clients decide when to redeem refresh tokens."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window

__all__ = ["LostReplies", "Revoke", "StoreOutage", "StormDual", "Tabs"]

_RUSH_TAIL_SECONDS = 5.0
_LOAD = StormLoad(sessions=2_000, lifetime=60, buffer=20, duration=40, gap=5, pages=False)
_SHORT = replace(_LOAD, sessions=500, lifetime=20, buffer=8, gap=2, compression=45)


class StormDual(Scenario):
    """All access tokens have expired and all clients return at once."""

    name = "storm-dual"
    summary = "all access tokens have expired; all clients refresh within one second"
    load = _LOAD
    mode = "dual"
    embedded = "dual"
    connections = 500
    options: ClassVar[Mapping[str, float]] = {"rush": 1.0}

    def first_due(self, index: int, rng: random.Random) -> float:
        """Return a second within ``rush``; the tabs of one session begin together."""
        return self.settings["rush"] * index / self.load.sessions

    def is_expired_at_start(self) -> bool:
        """Return True."""
        return True

    def even_from(self) -> float | None:
        """Return the end of the rush, when all refreshes have been answered."""
        return self.settings["rush"] + _RUSH_TAIL_SECONDS

    def windows(self) -> list[Window]:
        """Return the seconds of the rush."""
        return [Window(label="rush", begins=0, ends=5)]


class Tabs(StormDual):
    """Several tabs share each session and do not coordinate."""

    name = "tabs"
    summary = "tabs that share a session refresh at the same time, without a lock between them"
    load = replace(_LOAD, sessions=500, lifetime=30, buffer=10, compression=30)
    tabs = 4


class LostReplies(Scenario):
    """A share of the responses does not reach the client, including refreshed tokens."""

    name = "lost-replies"
    summary = "a share of all responses is lost; clients try again with the tokens they hold"
    load = replace(_SHORT, duration=60)
    mode = "dual"
    embedded = "dual"
    options: ClassVar[Mapping[str, float]] = {"share": 0.05}

    def loses_reply(self, rng: random.Random) -> bool:
        """Return True for the setting ``share`` of all responses."""
        return rng.random() < self.settings["share"]


class StoreOutage(Scenario):
    """The store is unreachable for some seconds."""

    name = "store-outage"
    summary = "the store is unreachable for some seconds: refreshes get 503 and are retried"
    load = replace(_SHORT, duration=45)
    mode = "dual"
    embedded = "dual"
    may_be_unavailable = True
    shuts_store = True
    options: ClassVar[Mapping[str, float]] = {"at": 12, "seconds": 8}

    async def disturb(self, control: ServerControl) -> None:
        """Make the store unreachable at ``at`` for ``seconds``."""
        begins = self.settings["at"]
        ends = begins + self.settings["seconds"]
        control.mark("outage", begins, ends)
        await control.until(begins)
        await control.store_down()
        control.say("the store is down")
        await control.until(ends)
        await control.store_up()
        control.say("the store is reachable again")

    def even_from(self) -> float | None:
        """Return None: what waited for the store is refreshed at once."""
        return None

    def windows(self) -> list[Window]:
        """Return none: `disturb` marks the outage."""
        return []


class Revoke(Scenario):
    """A share of the sessions signs out; their access tokens are then tried on all workers."""

    name = "revoke"
    summary = "sessions sign out under load: how long are their access tokens still accepted?"
    load = StormLoad(sessions=500, lifetime=60, buffer=20, duration=20, gap=2, pages=False)
    mode = "dual"
    embedded = "dual"
    options: ClassVar[Mapping[str, float]] = {"share": 0.1, "from": 3, "until": 14}

    def signs_out_at(self, index: int) -> float | None:
        """Return a second between ``from`` and ``until`` for every n-th session."""
        step = max(1, round(1 / max(1e-6, self.settings["share"])))
        if index % step:
            return None
        begins, ends = self.settings["from"], self.settings["until"]
        return begins + (ends - begins) * index / self.load.sessions

    def windows(self) -> list[Window]:
        """Return the time in which sessions sign out."""
        return [Window(label="sign-outs", begins=self.settings["from"], ends=self.load.duration)]
