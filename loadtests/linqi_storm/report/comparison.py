"""The differences between two storms, and which of them exceed noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linqi_storm.schema.results import Latencies, Spectrum, StormRun

__all__ = ["SAME_MACHINE", "ResultChange", "changes", "differences"]

SAME_MACHINE: Final = 0.2
"""Assumed largest difference in latency and CPU between two equal runs on one machine."""
_SIGNATURES: Final = "signatures per renewal"
_DEVIATIONS: Final = 1.96
"""95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultChange:
    """One figure of two runs."""

    what: str
    unit: str
    before: float | None
    now: float | None
    less_is_better: bool
    is_beyond_noise: bool
    rule: str
    """What counts as noise for this figure."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``as before``; empty if one run lacks the figure."""
        if self.before is None or self.now is None:
            return ""
        if not self.is_beyond_noise:
            return "as before"
        return "better" if (self.now < self.before) == self.less_is_better else "worse"


def changes(before: StormRun, now: StormRun) -> tuple[ResultChange, ...]:
    """Return the main figures of both runs."""
    return tuple(_changes(before, now))


def differences(before: StormRun, now: StormRun) -> tuple[tuple[str, str, str], ...]:
    """Return every setting that differs, as its name, the value before and the value now."""
    old, new = _settings(before), _settings(now)
    return tuple(
        (name, old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys([*old, *new])
        if old.get(name, "") != new.get(name, "")
    )


def _settings(run: StormRun) -> dict[str, str]:
    load, target = run.setup.load, run.setup.target
    found: dict[str, object] = {
        "scenario": run.setup.scenario,
        "target": target.name,
        "mode": target.mode,
        "policy": target.policy,
        "algorithm": f"{target.algorithm} {target.key_bits}",
        "workers": target.workers,
        "store": target.store,
        "budget per second": target.budget_per_second,
        "sessions": load.sessions,
        "seconds": f"{load.duration_seconds:g}",
        "lifetime": f"{load.lifetime_seconds:g} s",
        "buffer": f"{load.buffer_seconds:g} s",
        "mean gap": f"{load.mean_gap_seconds:g} s",
        "requests per page": f"{load.mean_parallel:g}",
        "login spread": f"{load.login_spread_seconds:g} s",
        "compression": f"{load.compression:g}",
        "seed": load.seed,
        "generators": run.setup.generators,
        "processor": run.setup.machine.get("processor", ""),
        "processors": run.setup.machine.get("cpus", ""),
    }
    found |= {f"setting {name}": value for name, value in load.options.items()}
    found |= {f"version of {name}": value for name, value in run.setup.versions.items()}
    return {name: "" if value is None else str(value) for name, value in found.items()}


def _changes(before: StormRun, now: StormRun) -> Iterator[ResultChange]:
    yield _factor(before, now)
    yield _shares(
        "forced logouts",
        (before.sessions.forced_out, before.sessions.cycles),
        (now.sessions.forced_out, now.sessions.cycles),
    )
    yield _shares(
        "sessions expired without a request in the buffer",
        (before.sessions.lapsed, before.sessions.cycles),
        (now.sessions.lapsed, now.sessions.cycles),
    )
    yield _latency("p99 latency inside the windows", before.inside, now.inside)
    yield _latency("p99 latency outside the windows", before.outside, now.outside)
    yield _cpu(before, now)
    yield _hits(before, now)
    yield _signatures(before, now)


def _factor(before: StormRun, now: StormRun) -> ResultChange:
    """Compare the storm factors: each is a count, and the highest of many windows."""
    old = before.peaks[0] if before.peaks else None
    new = now.peaks[0] if now.peaks else None
    is_beyond = False
    if old is not None and new is not None:
        spread = _DEVIATIONS * math.hypot(
            *(math.sqrt(p.factor / (p.floor_per_second * p.window_seconds)) for p in (old, new))
        )
        is_chance = max(old.factor, new.factor) <= min(old.noise95, new.noise95)
        is_beyond = abs(new.factor - old.factor) > spread and not is_chance
    return ResultChange(
        what="storm factor",
        unit="",
        before=None if old is None else old.factor,
        now=None if new is None else new.factor,
        less_is_better=True,
        is_beyond_noise=is_beyond,
        rule="the 95 % interval of the two peak counts; or both at the level of chance",
    )


def _shares(what: str, before: tuple[int, int], now: tuple[int, int]) -> ResultChange:
    shares = [100 * lost / cycles if cycles else None for lost, cycles in (before, now)]
    is_beyond = False
    if before[1] and now[1]:
        pooled = (before[0] + now[0]) / (before[1] + now[1])
        spread = math.sqrt(pooled * (1 - pooled) * (1 / before[1] + 1 / now[1]))
        apart = abs(before[0] / before[1] - now[0] / now[1])
        is_beyond = apart > _DEVIATIONS * spread
    return ResultChange(
        what=what,
        unit="% of tokens",
        before=shares[0],
        now=shares[1],
        less_is_better=True,
        is_beyond_noise=is_beyond,
        rule="the 95 % interval of the two shares, if tokens are independent",
    )


def _latency(what: str, before: Latencies | None, now: Latencies | None) -> ResultChange:
    old = None if before is None else before.intended.at(99)
    new = None if now is None else now.intended.at(99)
    is_beyond = False
    if before is not None and now is not None and old and new:
        apart = _interval(before.intended), _interval(now.intended)
        do_overlap = apart[0][0] <= apart[1][1] and apart[1][0] <= apart[0][1]
        is_beyond = not do_overlap and _is_far(old, new)
    return ResultChange(
        what=what,
        unit="ms",
        before=old,
        now=new,
        less_is_better=True,
        is_beyond_noise=is_beyond,
        rule=f"overlapping 95 % intervals, or a difference of up to {SAME_MACHINE:.0%}",
    )


def _interval(spectrum: Spectrum) -> tuple[float, float]:
    """Return the 95 % interval of the 99th percentile, by ranks."""
    if not spectrum.count:
        return 0.0, math.inf
    half = 100 * _DEVIATIONS * math.sqrt(0.99 * 0.01 / spectrum.count)
    return spectrum.at(max(0.0, 99 - half)), spectrum.at(min(100.0, 99 + half))


def _cpu(before: StormRun, now: StormRun) -> ResultChange:
    old, new = cpu_per_request_us(before), cpu_per_request_us(now)
    return ResultChange(
        what="CPU of the servers per request",
        unit="us",
        before=old,
        now=new,
        less_is_better=True,
        is_beyond_noise=bool(old and new and _is_far(old, new)),
        rule=f"a difference of up to {SAME_MACHINE:.0%}",
    )


def cpu_per_request_us(run: StormRun) -> float | None:
    """Return the servers' CPU time per request in microseconds; None if not sampled."""
    sampled = [second for second in run.timeline if second.cpu and sum(second.memory_mb) > 0]
    requests = sum(s.requests + sum(s.hostile.values()) for s in sampled)
    return 1e6 * sum(sum(s.cpu) for s in sampled) / requests if requests else None


def hit_ratio(run: StormRun) -> tuple[int, int]:
    """Return the hits and the look-ups of the cache of verified tokens."""
    hits = sum(second.cache_hits or 0 for second in run.timeline)
    return hits, hits + sum(second.cache_misses or 0 for second in run.timeline)


def _hits(before: StormRun, now: StormRun) -> ResultChange:
    (old_hits, old_asked), (new_hits, new_asked) = hit_ratio(before), hit_ratio(now)
    old = 100 * old_hits / old_asked if old_asked else None
    new = 100 * new_hits / new_asked if new_asked else None
    return ResultChange(
        what="hits of the cache of verified tokens",
        unit="%",
        before=old,
        now=new,
        less_is_better=False,
        is_beyond_noise=old is not None and new is not None and abs(old - new) > 1,
        rule="a difference of up to one percentage point",
    )


def signatures_per_renewal(run: StormRun) -> float | None:
    """Return the signatures per renewal; None if they were not counted."""
    return next((check.seen for check in run.checks if check.name == _SIGNATURES), None)


def _signatures(before: StormRun, now: StormRun) -> ResultChange:
    old, new = signatures_per_renewal(before), signatures_per_renewal(now)
    is_beyond = False
    renewals = min(before.sessions.renewals, now.sessions.renewals)
    if old is not None and new is not None and renewals:
        is_beyond = abs(old - new) > _DEVIATIONS * math.sqrt((old + new) / renewals)
    return ResultChange(
        what=_SIGNATURES,
        unit="",
        before=old,
        now=new,
        less_is_better=True,
        is_beyond_noise=is_beyond,
        rule="the 95 % interval of the two counts",
    )


def _is_far(old: float, new: float) -> bool:
    return max(old, new) > min(old, new) * (1 + SAME_MACHINE)
