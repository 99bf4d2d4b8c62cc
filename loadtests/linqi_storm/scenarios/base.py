"""What a scenario is: how clients behave, what is done to the servers, and what must hold."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from linqi import ConfigurationError
from linqi_storm.scenarios.forged_tokens import ForgeryKind
from linqi_storm.scenarios.traffic import PauseModel, parse_gaps, parse_pages
from linqi_storm.schema.generator_plan import Mode
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window

__all__ = ["Scenario", "ServerControl", "StormLoad"]


class ServerControl(Protocol):
    """The servers, as a scenario may treat them; every call may take its time."""

    async def until(self, second: float) -> None:
        """Wait until so many seconds after the barrier."""
        ...

    async def restart_workers(self) -> None:
        """Replace one worker after the other; the old one goes when the new one serves."""
        ...

    async def store_down(self) -> None:
        """Make the store unreachable."""
        ...

    async def store_up(self) -> None:
        """Make it reachable again."""
        ...

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Command the outside issuer, as its ``POST /control`` takes it."""
        ...

    def mark(self, label: str, begins: float, ends: float) -> None:
        """Have a part of the run looked at by itself."""
        ...

    def say(self, text: str) -> None:
        """Tell the reader of the run what is being done."""
        ...


class Scenario:
    """One way to load a service, and what must hold meanwhile. Subclass it for your own.

    The same class works in two places: its draws in the generators, `conduct` beside the servers.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    load: StormLoad = StormLoad()
    """What is used unless the command line says otherwise."""
    mode: ClassVar[Mode] = "sliding"
    embedded: ClassVar[str] = "sliding"
    """Which of the embedded applications is tested: sliding, naive, dual or outside."""
    connections: ClassVar[int] = 16
    """Kept alive from before the barrier; more are opened as they are needed."""
    tabs: ClassVar[int] = 1
    """How many tabs share one session."""
    hostile_per_second: ClassVar[float] = 2.0
    """Requests that must be refused; two a second are probes, many are an attack."""
    forgeries: ClassVar[ForgeryKind] = "mixed"
    """What the hostile ones present."""
    may_be_unavailable: ClassVar[bool] = False
    """Whether answers of 503 are right, because something behind the servers is down."""
    shuts_store: ClassVar[bool] = False
    """Whether `conduct` shuts the store: a server is then reached by a relay, which costs time."""
    options: ClassVar[Mapping[str, float]] = {}
    """The scenario's own settings and their defaults."""

    def __init__(self, load: StormLoad, options: Mapping[str, float] | None = None) -> None:
        unknown = set(options or ()) - set(self.options)
        if unknown:
            known = ", ".join(sorted(self.options)) or "none"
            raise ConfigurationError(
                [f"{self.name} has no setting {name}; it has: {known}" for name in sorted(unknown)]
            )
        self.load = load
        self.settings = {**self.options, **(options or {})}
        self.gaps: PauseModel = parse_gaps(load.law, load.gap)
        self.pages = parse_pages(load.law, has_pages=load.pages)

    # How clients behave

    def first_due(self, index: int, rng: random.Random) -> float:
        """Give the second at which session `index` comes for the first time after signing in."""
        return self.login_at(index) + self.gaps.draw(rng)

    def login_at(self, index: int) -> float:
        """Give the second at which session `index` signs in."""
        return self.load.login_spread * index / self.load.sessions

    def gap(self, index: int, rng: random.Random) -> float:
        """Give a pause of session `index`."""
        return self.gaps.draw(rng)

    def parallel(self, rng: random.Random) -> int:
        """Give the number of requests of a page."""
        return self.pages.draw(rng)

    def polls_every(self) -> float | None:
        """Return the seconds between quiet requests of a page; None where it makes none."""
        return None

    def loses_reply(self, rng: random.Random) -> bool:
        """Tell whether an answer gets lost on its way to the client."""
        return False

    def signs_out_at(self, index: int) -> float | None:
        """Give the second at which session `index` is revoked; None for never."""
        return None

    def is_expired_at_start(self) -> bool:
        """Tell whether all access tokens have expired already when the load begins."""
        return False

    def most_issuer_requests(self, workers: int) -> int:
        """Give how often `workers` may ask the outside issuer during the load."""
        return 0

    # What is done meanwhile

    async def disturb(self, control: ServerControl) -> None:
        """Do something to the servers during the load."""

    def windows(self) -> list[Window]:
        """Give the parts of the run to look at by themselves, as far as they are known before."""
        load = self.load
        if self.mode == "outside":
            return []
        begins = load.period
        return (
            [Window(label="expiry", begins=begins, ends=min(load.lifetime, load.duration))]
            if begins < load.duration
            else []
        )

    @classmethod
    def resized(cls, **changes: Any) -> StormLoad:
        """Give the scenario's shape with `changes`; None keeps what it is."""
        wanted = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(cls.load, **wanted)
