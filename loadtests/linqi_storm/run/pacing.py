"""Fits a storm to what its load generator can send on this machine, before it begins."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from linqi import ConfigurationError
from linqi_storm.clients.calibration import MachinePace
from linqi_storm.clients.due_times import DueTimes
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = ["PacedStorm", "busy_rate", "pace_storm"]

_AIM: Final = 0.65
"""Share of a core to plan for: the calibration repeats within 15 %, and `CPU_LIMIT` is 0.8."""
_LEAST_SHARE: Final = 0.1
"""A storm cut below this share of its sessions would show another thing."""
_SAMPLED: Final = 1_000
"""Sessions whose requests are drawn to estimate those of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedStorm:
    """A storm that this machine can send, or the warning that it cannot."""

    storm: StormConfig
    chosen: tuple[str, ...]
    """What was measured and chosen, in sentences."""
    warnings: tuple[str, ...]


def busy_rate(scenario: Scenario) -> float:
    """Return the requests per second that 95 % of the seconds of `scenario` do not exceed.

    They are drawn as the generator draws them, for at most 1,000 sessions, and scaled.
    """
    load, rng = scenario.load, random.Random(scenario.load.seed)  # noqa: S311 - no secret
    every = max(1, load.sessions // _SAMPLED)
    sampled = range(0, load.sessions, every)
    seconds: defaultdict[int, float] = defaultdict(float)
    _count(
        seconds,
        scenario,
        lambda index: scenario.pause_after(scenario.open_page(rng), index, rng),
        {i: [scenario.first_due(i, rng) for _ in range(scenario.tabs)] for i in sampled},
        scenario.pages.mean,
    )
    polls = scenario.polls_every()
    if polls is not None:
        first = {
            i: [scenario.first_due(i, rng) + rng.random() * polls for _ in range(scenario.tabs)]
            for i in sampled
        }
        _count(seconds, scenario, lambda _: polls, first, 1.0)
    rates = sorted(seconds[second] for second in range(math.ceil(load.duration)))
    scale = load.sessions / len(sampled)
    # A client that renews by itself sends one more request for each renewal, or several.
    each = 0 if scenario.mode == "sliding" else scenario.refreshes
    renewing = each * load.active / load.period
    return scale * rates[math.ceil(0.95 * len(rates)) - 1] + renewing + scenario.hostile_per_second


def _count(
    seconds: defaultdict[int, float],
    scenario: Scenario,
    gap: Callable[[int], float],
    first: dict[int, list[float]],
    each: float,
) -> None:
    due: DueTimes[int] = DueTimes(gap)
    for index, instants in first.items():
        for instant in instants:
            due.add(index, instant)
    counted = Counter[int]()
    for at, index in due.pop(scenario.load.duration):
        counted[int(at)] += scenario.login_at(index) <= at < scenario.leaves_at(index)
    for second, count in counted.items():
        seconds[second] += count * each


def pace_storm(
    storm: StormConfig,
    scenario: Scenario,
    pace: MachinePace,
    *,
    cores: int,
    is_size_fixed: bool,
    are_processes_fixed: bool,
) -> PacedStorm:
    """Return `storm` with generator processes and sessions that `pace` allows.

    What the user has set is not changed: then the result has a warning.

    Args:
        storm: The storm as it was ordered.
        scenario: Its scenario, with its load.
        pace: What a request costs now, and how late timers are.
        cores: Processors that the generators may use.
        is_size_fixed: Whether the number of sessions was set by the user.
        are_processes_fixed: Whether the number of generator processes was.

    Raises:
        ConfigurationError: If the load would have to be cut below a tenth.

    """
    rate = busy_rate(scenario)
    needed = rate * pace.request_us / 1e6
    processes, sessions = storm.generators, storm.load.sessions
    if not are_processes_fixed and needed > _AIM:
        processes = min(math.ceil(needed / _AIM), max(1, cores), sessions)
    room = _AIM * processes
    fitting = max(1, math.floor(sessions * room / needed)) if needed > room else sessions
    warnings = list(_late_timers(pace))
    chosen = [
        f"a request costs the load generator {pace.request_us:.0f} us on this machine now:"
        f" {rate:.0f} requests/s (95 % of the seconds) need {needed:.2f} of a core"
        f" in {processes} process{'es' if processes > 1 else ''}"
    ]
    if fitting < sessions and is_size_fixed:
        warnings.append(
            f"the load generator will probably be late: it needs {needed / processes:.2f} of a core"
            f" in each process, at most {CPU_LIMIT:g} keeps its plan; use --sessions {fitting} or"
            f" fewer, longer gaps, or --processes {math.ceil(needed / _AIM)} on free cores"
        )
    elif fitting < sessions:
        if fitting < _LEAST_SHARE * sessions:
            raise ConfigurationError(
                [
                    f"this machine can send the load of {fitting} of the {sessions} sessions;"
                    " give --sessions, longer gaps, or more cores with --processes"
                ]
            )
        chosen.append(f"{fitting} sessions instead of {sessions}, so that the generator keeps up")
        storm = replace(storm, load=replace(storm.load, sessions=fitting))
    return PacedStorm(
        storm=replace(storm, generators=min(processes, storm.load.sessions)),
        chosen=tuple(chosen),
        warnings=tuple(warnings),
    )


def _late_timers(pace: MachinePace) -> list[str]:
    if pace.lag_p99_ms <= LAG_LIMIT_MS:
        return []
    return [
        f"other processes use this machine: requests are sent {pace.lag_p99_ms:.0f} ms late (p99)"
        f" before the storm begins, and above {LAG_LIMIT_MS:g} ms its latencies will be void"
    ]
