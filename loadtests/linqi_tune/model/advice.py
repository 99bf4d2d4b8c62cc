"""What the tuner says: settings with their reasons, options to choose from, contradictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import Outcome, Plan

__all__ = [
    "Advice",
    "Contradiction",
    "Name",
    "Option",
    "Recommendation",
    "Relaxation",
    "advised",
    "number",
]

Name: TypeAlias = Literal["safer", "balanced", "leaner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One setting: its value and why."""

    table: str
    """Of linqi.toml; empty for advice that is no key of it."""
    key: str
    value: Any
    """None takes the key out."""
    unit: str
    reason: str
    """One sentence."""
    inputs: tuple[str, ...]
    """What decided it."""
    interval: Interval | None = None
    interval_of: str = ""
    """What the interval is of."""
    would_change: str
    """What would change it."""

    @property
    def is_written(self) -> bool:
        """Whether it is a key of linqi.toml."""
        return bool(self.table)


def number(value: float) -> int | float:
    """Give a number as linqi.toml has it: whole where it is, else to three decimals."""
    return int(value) if float(value).is_integer() else round(value, 3)


def advised(
    table: str, key: str, value: Any, unit: str, reason: str, inputs: tuple[str, ...], change: str
) -> Recommendation:
    """Give a recommendation that rests on a bound or a judgement, and so has no interval."""
    return Recommendation(
        table=table, key=key, value=number(value) if isinstance(value, float) else value,
        unit=unit, reason=reason, inputs=inputs, would_change=change,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A target that, eased so far, could be met."""

    target: str
    """As the command line names it."""
    wanted: float
    eased: float
    unit: str

    @property
    def factor(self) -> float:
        """How far it is eased, as a ratio above 1."""
        low, high = sorted((abs(self.wanted), abs(self.eased)))
        return high / low if low else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Targets, or a target and the facts, that cannot hold together."""

    code: str
    what: str
    """One sentence."""
    ways: tuple[Relaxation, ...]
    """Cheapest first; empty where no target would help."""

    @property
    def cheapest(self) -> Relaxation | None:
        """The target to relax."""
        return self.ways[0] if self.ways else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice of the three, none of which is better than another in everything."""

    name: Name
    plan: Plan
    outcome: Outcome
    recommendations: tuple[Recommendation, ...]

    def changes(self) -> Mapping[str, Mapping[str, Any]]:
        """Give what is to be written, by table, as `linqi.config.update` takes it."""
        tables: dict[str, dict[str, Any]] = {}
        for one in self.recommendations:
            if one.is_written:
                tables.setdefault(one.table, {})[one.key] = one.value
        return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """All that the tuner says."""

    plan: Plan
    """The settings in force."""
    outcome: Outcome
    """What they lead to."""
    options: tuple[Option, ...]
    contradictions: tuple[Contradiction, ...]
    notes: Sequence[str]
    """What a reader has to know before the figures are believed."""

    def option(self, name: str) -> Option:
        """Give the option of that name."""
        return next(option for option in self.options if option.name == name)
