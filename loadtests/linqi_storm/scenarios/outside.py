"""An outside issuer signs; the API only trusts what it publishes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.scenarios.forged_tokens import ForgeryKind
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window

__all__ = ["IssuerKeyRotation", "IssuerOutage", "KidFlood"]


class _Outside(Scenario):
    """Clients fetch tokens from the issuer and fetch the next when one nears its end."""

    load = StormLoad(sessions=500, lifetime=30, buffer=10, duration=40, gap=2, pages=False,
                  compression=30)  # fmt: skip
    mode = "outside"
    embedded = "outside"
    # A made-up key id uses up the one fetch that the cooldown allows: that is KidFlood's matter.
    forgeries: ClassVar[ForgeryKind] = "known_kids"

    def first_due(self, index: int, rng: random.Random) -> float:
        """Begin anywhere within one pause."""
        return rng.random() * self.load.gap


class IssuerKeyRotation(_Outside):
    """The issuer publishes a new key, signs with it, and withdraws the old one in the end."""

    name = "key-rotation"
    summary = "the issuer publishes a key, signs with it at once, later withdraws the old one"
    options: ClassVar[Mapping[str, float]] = {"at": 8, "withdraw": 0}

    async def disturb(self, control: ServerControl) -> None:
        """Rotate without any overlap in time; ``withdraw`` seconds later remove the old key.

        0 withdraws when the last token that the old key has signed is expired.
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
        """Give one fetch a worker for the new key, and one for whatever is scheduled meanwhile."""
        return 2 * workers


class IssuerOutage(_Outside):
    """The issuer's documents fail for a while; known keys must go on working."""

    name = "issuer-outage"
    summary = "the issuer's key set fails for a while; tokens by known keys must go on working"
    options: ClassVar[Mapping[str, float]] = {"at": 5, "seconds": 25}

    async def disturb(self, control: ServerControl) -> None:
        """Answer 500, then hang, then garbage, and get well."""
        begins, seconds = self.settings["at"], self.settings["seconds"]
        control.mark("outage", begins, begins + seconds)
        for part, kind in enumerate(("error", "hang", "garbage")):
            await control.until(begins + part * seconds / 3)
            await control.issuer(do="fault", kind=kind)
            control.say(f"the issuer's documents: {kind}")
        await control.until(begins + seconds)
        await control.issuer(do="fault", kind="")
        control.say("the issuer is well again")

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
        return workers * (2 + int(self.load.duration // 30))
