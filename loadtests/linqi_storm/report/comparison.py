"""The differences between two storms, and which of them exceed noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from linqi import ConfigurationError
from linqi_storm.schema.figures import StormFigure, figures_with, hit_ratio, lost_sessions
from linqi_storm.schema.results import (
    Latencies,
    RequestLoad,
    RequirementCheck,
    Spectrum,
    StormRun,
)
from linqi_storm.schema.stages import stages_text

__all__ = [
    "SAME_MACHINE",
    "ResultChange",
    "changes",
    "check_baseline",
    "differences",
    "no_worse_than",
]

SAME_MACHINE: Final = 0.2
"""Assumed largest difference in latency, CPU and memory between two equal runs on one machine."""
_DEVIATIONS: Final = 1.96
"""95 % of a normal distribution."""
_Noise: TypeAlias = Callable[[StormFigure, StormRun, StormRun], bool]
"""Returns whether a figure, which both runs have, differs by more than noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultChange:
    """One figure of two runs."""

    figure: StormFigure
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
    figures = figures_with([*before.checks, *now.checks])
    return tuple(
        _change(figures[name], before, now, rule)
        for name, rule in _COMPARED.items()
        if name in figures
    )


def no_worse_than(baseline: StormRun, now: StormRun) -> tuple[RequirementCheck, ...]:
    """Return, for each figure that `baseline` has, whether `now` is no worse beyond noise."""
    return tuple(
        RequirementCheck(
            name=f"{change.figure.name} no worse than the baseline",
            figure=change.figure.name,
            kind=change.figure.kind,
            expected=f"{'at most' if change.less_is_better else 'at least'} {change.before:.4g}"
            f" {change.figure.unit}".rstrip()
            + ", or within noise",
            seen=change.now,
            unit=change.figure.unit,
            passed=change.now is not None and change.verdict != "worse",
            detail=f"{change.figure.meaning}; noise: {change.rule}",
        )
        for change in changes(baseline, now)
        if change.before is not None
    )


def check_baseline(baseline: StormRun, scenario: str, load: RequestLoad) -> None:
    """Refuse a baseline that a run of `scenario` under `load` cannot be compared with.

    Policy, seed, target and versions may differ: their effect is what a baseline shows.

    Raises:
        ConfigurationError: If the baseline is void, or its scenario or load was another one.

    """
    pairs = [("scenario", baseline.setup.scenario, scenario)] + [
        (name, getattr(baseline.setup.load, name), getattr(load, name)) for name in _SAME_LOAD
    ]
    faults = [
        f"the baseline cannot be compared: its {name} is {old}, that of this run is {new}"
        for name, old, new in pairs
        if old != new
    ]
    if not baseline.generator.is_valid:
        faults.append("the baseline is void: repeat it, or name a valid one")
    if faults:
        raise ConfigurationError(faults)


def differences(before: StormRun, now: StormRun) -> tuple[tuple[str, str, str], ...]:
    """Return every setting that differs, as its name, the value before and the value now."""
    old, new = _settings(before), _settings(now)
    return tuple(
        (name, old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys([*old, *new])
        if old.get(name, "") != new.get(name, "")
    )


_SAME_LOAD: Final = (
    *("sessions", "duration_seconds", "lifetime_seconds", "buffer_seconds", "compression"),
    *("gaps", "mean_parallel", "login_spread_seconds", "hostile_per_second", "stages", "options"),
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
        "stages": stages_text(load.stages),
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


def _change(figure: StormFigure, before: StormRun, now: StormRun, rule: _Rule) -> ResultChange:
    old, new = figure.get(before), figure.get(now)
    return ResultChange(
        figure=figure,
        before=old,
        now=new,
        less_is_better=rule.less_is_better,
        is_beyond_noise=old is not None
        and new is not None
        and old != new
        and rule.exceeds(figure, before, now),
        rule=rule.words,
    )


def _peaks_apart(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
    """Compare storm factors: each is a count, and the highest of many windows."""
    place = 0 if figure.name == "storm_factor" else -1
    old, new = before.peaks[place], now.peaks[place]
    spread = _DEVIATIONS * math.hypot(
        *(math.sqrt(p.factor / (p.floor_per_second * p.window_seconds)) for p in (old, new))
    )
    is_chance = max(old.factor, new.factor) <= min(old.noise95, new.noise95)
    return abs(new.factor - old.factor) > spread and not is_chance


def _shares_apart(counted: Callable[[StormRun], int]) -> _Noise:
    def exceeds(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
        old, new = before.sessions.cycles, now.sessions.cycles
        if not old or not new:
            return False
        pooled = (counted(before) + counted(now)) / (old + new)
        spread = math.sqrt(pooled * abs(1 - pooled) * (1 / old + 1 / new))
        return abs(counted(before) / old - counted(now) / new) > _DEVIATIONS * spread

    return exceeds


def _latencies_apart(of: Callable[[StormRun], Latencies | None]) -> _Noise:
    def exceeds(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
        old, new = of(before), of(now)
        if old is None or new is None:
            return False
        first, second = _interval(old.intended), _interval(new.intended)
        do_overlap = first[0] <= second[1] and second[0] <= first[1]
        return not do_overlap and _ratios_apart(figure, before, now)

    return exceeds


def _interval(spectrum: Spectrum) -> tuple[float, float]:
    """Return the 95 % interval of the 99th percentile, by ranks."""
    if not spectrum.count:
        return 0.0, math.inf
    half = 100 * _DEVIATIONS * math.sqrt(0.99 * 0.01 / spectrum.count)
    return spectrum.at(max(0.0, 99 - half)), spectrum.at(min(100.0, 99 + half))


def _ratios_apart(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
    old, new = figure.get(before) or 0.0, figure.get(now) or 0.0
    return max(old, new) > min(old, new) * (1 + SAME_MACHINE)


def _points_apart(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
    hits, looked = hit_ratio(before), hit_ratio(now)
    return abs(hits[0] / hits[1] - looked[0] / looked[1]) > 0.01


def _signatures_apart(figure: StormFigure, before: StormRun, now: StormRun) -> bool:
    old, new = figure.get(before) or 0.0, figure.get(now) or 0.0
    renewals = min(before.sessions.renewals, now.sessions.renewals)
    return bool(renewals) and abs(old - new) > _DEVIATIONS * math.sqrt((old + new) / renewals)


@dataclass(frozen=True, slots=True)
class _Rule:
    exceeds: _Noise
    words: str
    less_is_better: bool = True


_OF_COUNTS: Final = "the 95 % interval of the two counts"
_OF_PEAKS: Final = "the 95 % interval of the two peak counts; or both at the level of chance"
_OF_SHARES: Final = "the 95 % interval of the two shares, if tokens are independent"
_OF_RATIOS: Final = f"a difference of up to {SAME_MACHINE:.0%}"
_OF_LATENCIES: Final = f"overlapping 95 % intervals, or {_OF_RATIOS}"
_COMPARED: Final[dict[str, _Rule]] = {
    "storm_factor": _Rule(_peaks_apart, _OF_PEAKS),
    "storm_factor_whole": _Rule(_peaks_apart, _OF_PEAKS),
    "forced_logouts_percent": _Rule(_shares_apart(lambda r: r.sessions.forced_out), _OF_SHARES),
    "lapsed_percent": _Rule(_shares_apart(lambda r: r.sessions.lapsed), _OF_SHARES),
    "forced_sign_ins_per_1000_sessions": _Rule(_shares_apart(lost_sessions), _OF_SHARES),
    "p99_ms": _Rule(_latencies_apart(lambda r: r.latencies), _OF_LATENCIES),
    "p99_in_ms": _Rule(_latencies_apart(lambda r: r.inside), _OF_LATENCIES),
    "p99_out_ms": _Rule(_latencies_apart(lambda r: r.outside), _OF_LATENCIES),
    "cpu_us_per_request": _Rule(_ratios_apart, _OF_RATIOS),
    "memory_mb": _Rule(_ratios_apart, _OF_RATIOS),
    "cache_hit_percent": _Rule(
        _points_apart, "a difference of up to one percentage point", less_is_better=False
    ),
    "signatures_per_renewal": _Rule(_signatures_apart, _OF_COUNTS),
}
"""The figures that a comparison shows and a baseline limits, each with its noise."""
