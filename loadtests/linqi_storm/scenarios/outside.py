"""Scenarios with an outside issuer, whose published keys the API trusts."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.scenarios.forged_tokens import ForgeryKind
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window

__all__ = ["IssuerKeyRotation", "IssuerOutage", "KidFlood", "Outside"]


class Outside(Scenario):
    """Clients fetch tokens from the issuer, and the next one before a token expires."""

    load = StormLoad(
        sessions=500, lifetime=30, buffer=10, duration=40, gap=2, pages=False, compression=30
    )
    mode = "outside"
    embedded = "outside"
    # An unknown key id uses up the one fetch that the cooldown allows: KidFlood tests that.
    forgeries: ClassVar[ForgeryKind] = "known_kids"

    def first_due(self, index: int, rng: random.Random) -> float:
        """Return a random second within one pause."""
        return rng.random() * self.load.gap


class IssuerKeyRotation(Outside):
    """The issuer publishes a new key, signs with it at once, and later withdraws the old key."""

    name = "key-rotation"
    summary = "the issuer publishes a key, signs with it at once, and later withdraws the old key"
    options: ClassVar[Mapping[str, float]] = {"at": 8, "withdraw": 0}

    async def disturb(self, control: ServerControl) -> None:
        """Rotate at ``at`` without overlap; remove the old key ``withdraw`` seconds later.

        A ``withdraw`` of 0 stands for the lifetime: the last token of the old key has expired then.
        """
        begins = self.settings["at"]
        ends = begins + (self.settings["withdraw"] or self.load.lifetime)
        control.mark("rotation", begins, min(ends, self.load.duration))
        await control.until(begins)
        old = (await control.issuer(do="publish"))["signing"]
        await control.issuer(do="sign")
        control.say("the issuer signs with a new key")
        if ends < self.load.duration:
            await control.until(ends)
            await control.issuer(do="remove", kid=old)
            control.say("the old key is withdrawn")

    def most_issuer_requests(self, workers: int) -> int:
        """Return one fetch per worker for the new key, and one for a scheduled fetch."""
        return 2 * workers


class IssuerOutage(Outside):
    """The issuer's documents fail for some seconds; known keys must stay usable."""

    name = "issuer-outage"
    summary = "the issuer's key set is unavailable for some seconds; known keys must stay usable"
    options: ClassVar[Mapping[str, float]] = {"at": 5, "seconds": 25}

    async def disturb(self, control: ServerControl) -> None:
        """Make the documents answer 500, then hang, then be invalid, then work again."""
        begins, seconds = self.settings["at"], self.settings["seconds"]
        control.mark("outage", begins, begins + seconds)
        for part, kind in enumerate(("error", "hang", "garbage")):
            await control.until(begins + part * seconds / 3)
            await control.issuer(do="fault", kind=kind)
            control.say(f"the issuer's documents: {kind}")
        await control.until(begins + seconds)
        await control.issuer(do="fault", kind="")
        control.say("the issuer works again")

    def most_issuer_requests(self, workers: int) -> int:
        """Return the most fetches that the schedule and its back-off make."""
        return 3 * workers


class KidFlood(Outside):
    """Many hostile requests with unknown key ids beside honest users."""

    name = "kid-flood"
    summary = "200 requests per second with unknown key ids, beside honest users"
    hostile_per_second = 200.0
    forgeries = "kids"

    def windows(self) -> list[Window]:
        """Return none: the flood lasts for the whole run."""
        return []

    def most_issuer_requests(self, workers: int) -> int:
        """Return the most fetches that the cooldown for unknown key ids allows: one in 30 s."""
        return workers * (2 + int(self.load.duration // 30))
