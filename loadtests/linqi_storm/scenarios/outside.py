"""An outside issuer signs; the API only trusts what it publishes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, Stage
from linqi_storm.scenarios.forging import ForgeryKind
from linqi_storm.schema.results import Window
from linqi_storm.schema.shape import Shape

__all__ = ["IssuerOutage", "KeyRotation", "KidFlood"]


class _Outside(Scenario):
    """Clients fetch tokens from the issuer and fetch the next when one nears its end."""

    shape = Shape(sessions=500, lifetime=30, buffer=10, duration=40, gap=2, pages=False,
                  compression=30)  # fmt: skip
    mode = "outside"
    embedded = "outside"
    # A made-up key id uses up the one fetch that the cooldown allows: that is KidFlood's matter.
    forgeries: ClassVar[ForgeryKind] = "known_kids"

    def first_due(self, index: int, rng: random.Random) -> float:
        """Begin anywhere within one pause."""
        return rng.random() * self.size.gap


class KeyRotation(_Outside):
    """The issuer publishes a new key, signs with it, and withdraws the old one in the end."""

    name = "key-rotation"
    summary = "the issuer publishes a key, signs with it at once, later withdraws the old one"
    options: ClassVar[Mapping[str, float]] = {"at": 8, "withdraw": 0}

    async def conduct(self, stage: Stage) -> None:
        """Rotate without any overlap in time; ``withdraw`` seconds later remove the old key.

        0 withdraws when the last token that the old key has signed is expired.
        """
        begins = self.settings["at"]
        ends = begins + (self.settings["withdraw"] or self.size.lifetime)
        stage.mark("rotation", begins, min(ends, self.size.duration))
        await stage.until(begins)
        old = (await stage.issuer(do="publish"))["signing"]
        await stage.issuer(do="sign")
        stage.say("the issuer signs with a new key")
        if ends < self.size.duration:
            await stage.until(ends)
            await stage.issuer(do="remove", kid=old)
            stage.say("the old key is withdrawn")

    def most_issuer_requests(self, workers: int) -> int:
        """Give one fetch a worker for the new key, and one for whatever is scheduled meanwhile."""
        return 2 * workers


class IssuerOutage(_Outside):
    """The issuer's documents fail for a while; known keys must go on working."""

    name = "issuer-outage"
    summary = "the issuer's key set fails for a while; tokens by known keys must go on working"
    options: ClassVar[Mapping[str, float]] = {"at": 5, "seconds": 25}

    async def conduct(self, stage: Stage) -> None:
        """Answer 500, then hang, then garbage, and get well."""
        begins, seconds = self.settings["at"], self.settings["seconds"]
        stage.mark("outage", begins, begins + seconds)
        for part, kind in enumerate(("error", "hang", "garbage")):
            await stage.until(begins + part * seconds / 3)
            await stage.issuer(do="fault", kind=kind)
            stage.say(f"the issuer's documents: {kind}")
        await stage.until(begins + seconds)
        await stage.issuer(do="fault", kind="")
        stage.say("the issuer is well again")

    def most_issuer_requests(self, workers: int) -> int:
        """Give what scheduled fetches and their back-off may add up to."""
        return 3 * workers


class KidFlood(_Outside):
    """Hostile tokens with made-up key ids beside honest users."""

    name = "kid-flood"
    summary = "tokens with made-up key ids flood in beside honest users"
    hostile_per_second = 200.0
    forgeries = "kids"

    def windows(self) -> list[Window]:
        """Nothing is set apart: the flood lasts all the time."""
        return []

    def most_issuer_requests(self, workers: int) -> int:
        """Give what the cooldown for unknown key ids lets through: one in 30 s, and retries."""
        return workers * (2 + int(self.size.duration // 30))
