"""The base class of scenarios: how clients behave and what happens to the servers."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Final, Protocol

from linqi import ConfigurationError
from linqi.commands.command_parser import nearest
from linqi_storm.scenarios.forged_tokens import ForgeryKind
from linqi_storm.scenarios.traffic import PageSizes, PauseModel, parse_gaps, parse_pages
from linqi_storm.scenarios.workload_traffic import (
    LoggedPauses,
    OpenedPage,
    VisitModel,
    WorkloadPages,
)
from linqi_storm.schema.expectations import REVOCATION_BOUND, SAME_CLOCK
from linqi_storm.schema.generator_plan import Mode
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Window
from linqi_storm.schema.stages import joins_at, leaves_at

__all__ = ["Scenario", "ServerControl", "StormLoad"]


_SOONEST_RETRY: Final = 0.25
_LATEST_RETRY: Final = 5.0


@cache
def _page_of(requests: int) -> OpenedPage:
    """Return the page of so many requests of the first path: one object for all clients."""
    return OpenedPage((0,) * requests)


class ServerControl(Protocol):
    """What a scenario can do to the servers under test during the load."""

    async def until(self, second: float) -> None:
        """Wait until `second` seconds after the barrier."""
        ...

    async def restart_workers(self, *, at_once: bool = False) -> None:
        """Replace the workers one by one, or all at once; old ones end when the new ones serve."""
        ...

    async def store_down(self) -> None:
        """Make the store unreachable."""
        ...

    async def store_up(self) -> None:
        """Make the store reachable again."""
        ...

    async def fail_over(self) -> None:
        """Let a replica take over from the store's server; return when it has."""
        ...

    async def set_clock(self, ahead: float) -> None:
        """Set the clock of one worker to be `ahead` seconds ahead, negative for behind."""
        ...

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Send a command to ``POST /control`` of the outside issuer; return its response."""
        ...

    def mark(self, label: str, begins: float, ends: float) -> None:
        """Mark a part of the run, in seconds since the barrier, for separate evaluation."""
        ...

    def say(self, text: str) -> None:
        """Show `text` in the progress and keep it as a note of the result."""
        ...


class Scenario:
    """A load on a service. Subclass it for a scenario of your own.

    An instance exists in each generator, which calls the methods that draw the clients' behaviour,
    and one exists beside the servers, where `disturb` runs.

    Args:
        load: The size of the load.
        options: Values of the scenario's own settings, by name.

    Attributes:
        load: On the class the default, on an instance the one given.
        settings: The scenario's own settings, with those given in `options`.

    Raises:
        ConfigurationError: If `options` has a name that the scenario does not define.

    """

    name: ClassVar[str]
    """On the command line."""
    summary: ClassVar[str]
    """One sentence for ``--list`` and the report."""
    load: StormLoad = StormLoad()
    """The default size, which options of the command line override."""
    mode: ClassVar[Mode] = "sliding"
    embedded: ClassVar[str] = "sliding"
    """The embedded application under test: sliding, naive, dual or outside."""
    connections: ClassVar[int] = 16
    """Connections opened before the barrier; more are opened on demand."""
    tabs: ClassVar[int] = 1
    """Browser tabs that share one session."""
    refreshes: ClassVar[int] = 1
    """Refreshes that a client sends at once with one refresh token."""
    refreshes_per_second: ClassVar[float | None] = None
    """What the workers answer before they answer 429; None for no limit."""
    hostile_per_second: ClassVar[float] = 2.0
    """Rate of requests that must be refused: 2 per second as a probe, more as an attack."""
    forgeries: ClassVar[ForgeryKind] = "mixed"
    """The kind of tokens that hostile requests present."""
    may_be_unavailable: ClassVar[bool] = False
    """Whether 503 is an expected response, because the scenario makes a dependency unavailable."""
    shuts_store: ClassVar[bool] = False
    """Whether `disturb` makes the store unreachable: a store server is then behind a TCP relay."""
    shuts_half: ClassVar[bool] = False
    """Whether only half of the workers, rounded up, reach the store through that relay."""
    fails_over: ClassVar[bool] = False
    """Whether `disturb` lets a replica take over: the store then has one."""
    steps_clock: ClassVar[bool] = False
    """Whether `disturb` sets the clock of one worker."""
    stores: ClassVar[tuple[str, ...]] = ("sqlite", "valkey", "postgresql")
    """The kinds of stores that it can be run on; the first is the default."""
    revocation_bound: ClassVar[float] = REVOCATION_BOUND
    """Seconds after a revocation until every worker refuses the session."""
    stale_after: ClassVar[float] = 10.0
    """Seconds for which an embedded worker trusts what it knows of revocations without a store."""
    options: ClassVar[Mapping[str, float]] = {}
    """The scenario's own settings and their defaults."""

    def __init__(self, load: StormLoad, options: Mapping[str, float] | None = None) -> None:
        unknown = set(options or ()) - set(self.options)
        if unknown:
            known = ", ".join(sorted(self.options)) or "none"
            raise ConfigurationError(
                [
                    f"{self.name} has no setting {name}; "
                    + (
                        f"did you mean {near}? expected one of: {known}"
                        if near
                        else f"expected one of: {known}"
                    )
                    for name in sorted(unknown)
                    for near in [nearest(name, self.options)]
                ]
            )
        self.load = load
        self.settings = {**self.options, **(options or {})}
        is_planned = type(self).signs_out_at is not Scenario.signs_out_at
        if load.stages and (is_planned or self.is_expired_at_start()):
            raise ConfigurationError(
                [f"{self.name} plans itself when sessions come and go; it takes no --stage"]
            )
        workload = load.workload
        self._visits: VisitModel | None = None
        self._workload_pages: WorkloadPages | None = None
        if workload is None:
            self.gaps: PauseModel = parse_gaps(load.law, load.gap)
            self.pages: PageSizes = parse_pages(load.law, has_pages=load.pages)
            return
        self.gaps = LoggedPauses(workload.pauses, workload.source)
        self.pages = self._workload_pages = WorkloadPages(workload)
        if workload.visits is not None:
            self._visits = VisitModel(workload.visits)

    # Behaviour of the clients

    def first_due(self, index: int, rng: random.Random) -> float:
        """Return the second of the first page of session `index` after its login."""
        return self.login_at(index) + self.gaps.draw(rng)

    def login_at(self, index: int) -> float:
        """Return the second at which session `index` signs in."""
        if self.load.stages:
            return joins_at(self.load.stages, index)
        return self.load.login_spread * index / self.load.sessions

    def leaves_at(self, index: int) -> float:
        """Return the second from which session `index` sends nothing; infinite for never."""
        return leaves_at(self.load.stages, index) if self.load.stages else math.inf

    def gap(self, index: int, rng: random.Random) -> float:
        """Return the seconds from one page of session `index` to the next."""
        return self.gaps.draw(rng)

    def parallel(self, rng: random.Random) -> int:
        """Return the number of parallel requests of a page."""
        return self.pages.draw(rng)

    def open_page(self, rng: random.Random) -> OpenedPage:
        """Return the next page of a client: of the workload, or parallel requests of one path."""
        if self._workload_pages is not None:
            return self._workload_pages.open_page(rng)
        return _page_of(self.parallel(rng))

    def pause_after(self, page: OpenedPage, index: int, rng: random.Random) -> float:
        """Return the seconds from `page` of session `index` to its next page."""
        away = None if self._visits is None else self._visits.absence(index, rng)
        if away is not None:
            return away
        return self.gap(index, rng) if page.think is None else page.think.draw(rng)

    def held_lifetime(self) -> float:
        """Return the lifetime of the tokens that clients hold when the load begins."""
        return self.load.lifetime

    def retry_delay(self, asked: float, tries: int, rng: random.Random) -> float:
        """Return the seconds until a refresh that got no tokens is tried again, if it may be.

        Args:
            asked: The seconds of ``Retry-After``; 0 without.
            tries: How often it was tried.
            rng: Draws the jitter.

        """
        # Full jitter, after the time that the server demands.
        longest: float = min(_LATEST_RETRY, _SOONEST_RETRY * 2 ** min(tries, 8))
        return asked + rng.random() * longest

    def polls_every(self) -> float | None:
        """Return the seconds between quiet requests of a page; None if it sends none."""
        return None

    def clock_error(self) -> float:
        """Return how far the clocks of the workers differ at most, in seconds."""
        return SAME_CLOCK

    def loses_reply(self, rng: random.Random) -> bool:
        """Return whether the client discards a response, as if it were lost on the network."""
        return False

    def signs_out_at(self, index: int) -> float | None:
        """Return the second at which session `index` signs out; None for never."""
        return None

    def is_expired_at_start(self) -> bool:
        """Return whether all access tokens have expired when the load begins."""
        return False

    def even_from(self) -> float | None:
        """Return from which second on the grid keeps renewals even; None if it cannot."""
        return 0.0

    def most_issuer_requests(self, workers: int) -> int:
        """Return how many requests `workers` may send to the outside issuer during the load."""
        return 0

    # What happens to the servers

    async def disturb(self, control: ServerControl) -> None:
        """Change the servers during the load, by `control`."""

    def windows(self) -> list[Window]:
        """Return the parts of the run for separate evaluation that are known beforehand."""
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
        """Return the scenario's default load with `changes`; None keeps a default."""
        wanted = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(cls.load, **wanted)
