"""Dual tokens: clients judge by themselves and redeem refresh tokens at a store."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window

__all__ = ["LostReplies", "Revoke", "StoreOutage", "StormDual", "Tabs"]

_LOAD = StormLoad(sessions=2_000, lifetime=60, buffer=20, duration=40, gap=5, pages=False)


class StormDual(Scenario):
    """All access tokens have expired and everybody comes back at once."""

    name = "storm-dual"
    summary = "all access tokens have expired; everybody refreshes within one second"
    load = _LOAD
    mode = "dual"
    embedded = "dual"
    connections = 500
    options: ClassVar[Mapping[str, float]] = {"rush": 1.0}

    def first_due(self, index: int, rng: random.Random) -> float:
        """Everybody within ``rush`` seconds; the tabs of one session at once."""
        return self.settings["rush"] * index / self.load.sessions

    def is_expired_at_start(self) -> bool:
        """All of them are."""
        return True

    def windows(self) -> list[Window]:
        """Look at the seconds of the rush by themselves."""
        return [Window(label="rush", begins=0, ends=5)]


class Tabs(StormDual):
    """Several tabs share each session, and none knows of the others."""

    name = "tabs"
    summary = "tabs that share a session refresh at the same time, without a lock among them"
    load = StormLoad(sessions=500, lifetime=30, buffer=10, duration=40, gap=5, pages=False,
                  compression=30)  # fmt: skip
    tabs = 4


class LostReplies(Scenario):
    """A share of the answers never reaches the client, refreshed tokens among them."""

    name = "lost-replies"
    summary = "a share of all answers is lost on the way; clients ask again with what they hold"
    load = StormLoad(sessions=500, lifetime=20, buffer=8, duration=60, gap=2, pages=False,
                  compression=45)  # fmt: skip
    mode = "dual"
    embedded = "dual"
    options: ClassVar[Mapping[str, float]] = {"share": 0.05}

    def loses_reply(self, rng: random.Random) -> bool:
        """Lose the answer by chance."""
        return rng.random() < self.settings["share"]


class StoreOutage(Scenario):
    """The store goes away for a while and comes back."""

    name = "store-outage"
    summary = "the store is unreachable for a while: refreshes get 503 and are asked for again"
    load = StormLoad(sessions=500, lifetime=20, buffer=8, duration=45, gap=2, pages=False,
                  compression=45)  # fmt: skip
    mode = "dual"
    embedded = "dual"
    may_be_unavailable = True
    shuts_store = True
    options: ClassVar[Mapping[str, float]] = {"at": 12, "seconds": 8}

    async def disturb(self, control: ServerControl) -> None:
        """Shut the store once and open it again."""
        begins = self.settings["at"]
        ends = begins + self.settings["seconds"]
        control.mark("outage", begins, ends)
        await control.until(begins)
        await control.store_down()
        control.say("the store is down")
        await control.until(ends)
        await control.store_up()
        control.say("the store is back")

    def windows(self) -> list[Window]:
        """Only the outage itself."""
        return []


class Revoke(Scenario):
    """A share of the sessions signs out, and their access tokens are watched on every worker."""

    name = "revoke"
    summary = "sessions sign out under load: until when are their access tokens accepted?"
    load = StormLoad(sessions=500, lifetime=60, buffer=20, duration=20, gap=2, pages=False)
    mode = "dual"
    embedded = "dual"
    options: ClassVar[Mapping[str, float]] = {"share": 0.1, "from": 3, "until": 14}

    def signs_out_at(self, index: int) -> float | None:
        """Let every n-th session leave, one after the other."""
        step = max(1, round(1 / max(1e-6, self.settings["share"])))
        if index % step:
            return None
        begins, ends = self.settings["from"], self.settings["until"]
        return begins + (ends - begins) * index / self.load.sessions

    def windows(self) -> list[Window]:
        """While sessions leave."""
        return [Window(label="sign-outs", begins=self.settings["from"], ends=self.load.duration)]
