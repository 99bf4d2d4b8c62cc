"""What the tuner advises: settings with reasons, three options, and contradictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.policy_trade import PolicyTrade
from linqi_tune.model.quantities import days_text, factor_text
from linqi_tune.model.refresh_option import RefreshOption

__all__ = [
    "Advice",
    "Contradiction",
    "Option",
    "OptionName",
    "Recommendation",
    "Relaxation",
    "cap_spread_recommendation",
    "policy_recommendation",
    "toml_number",
]

OptionName: TypeAlias = Literal["safer", "balanced", "leaner"]
_CAP_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One setting: its value and the reason for it.

    Attributes:
        table: Its table in linqi.toml; empty for advice that is no key of the file.
        value: The value to write; None removes the key.
        reason: One sentence.
        inputs: The measurements, targets or options that decided the value.
        interval: An interval at 95 %, or the range that `interval_of` states; None for a value
            that rests on a bound or a judgement.
        interval_of: The quantity of the interval, with its unit.
        would_change: What would lead to another value.

    """

    table: str
    key: str
    value: Any
    unit: str
    reason: str
    inputs: tuple[str, ...]
    interval: Interval | None = None
    interval_of: str = ""
    would_change: str

    @property
    def is_written(self) -> bool:
        """Whether it is a key of linqi.toml."""
        return bool(self.table)


def toml_number(value: float) -> int | float:
    """Return a number as linqi.toml writes it: an integer if it is whole, else three decimals."""
    return int(value) if float(value).is_integer() else round(value, 3)


def policy_recommendation(
    factor: float, noise95: float, plain_factor: float, effect: str, inputs: tuple[str, ...]
) -> Recommendation:
    """Return the recommendation of the grid.

    Args:
        factor: The storm factor under the grid.
        noise95: The storm factor that chance alone stays below in 95 of 100 runs.
        plain_factor: The storm factor under the plain threshold.
        effect: What the grid does to these sessions, as the beginning of a sentence.
        inputs: What decided it.

    """
    return Recommendation(
        table="renewal",
        key="policy",
        value="grid",
        unit="",
        reason=f"{effect}: the highest rate over the steady rate is"
        f" {factor_text(factor, noise95)}; under a plain threshold it is"
        f" {factor_text(plain_factor, noise95)}.",
        inputs=inputs,
        interval=Interval(value=max(1.0, factor), low=1.0, high=max(1.0, factor, noise95)),
        interval_of="storm factor, up to the level of chance",
        would_change="nothing: no policy is flatter at the same lifetime and buffer",
    )


def cap_spread_recommendation(table: str, cap: float) -> Recommendation:
    """Return the recommendation to spread the ends of sessions whose cap is `cap` seconds."""
    return Recommendation(
        table=table,
        key="cap_spread",
        value=_CAP_SPREAD,
        unit="share",
        reason=f"Sessions that began together end over {days_text(_CAP_SPREAD * cap)} and not in"
        " the same second.",
        inputs=("session cap",),
        would_change="many sign-ins at once where the caps end",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A target, and the value at which it could be met.

    Attributes:
        target: The option of the command line, such as ``--max-sign-ins-per-day``.
        wanted: The value that cannot be met.
        eased: The value that can.
        unit: The unit of both.

    """

    target: str
    wanted: float
    eased: float
    unit: str

    @property
    def factor(self) -> float:
        """The ratio of the two values, at least 1."""
        low, high = sorted((abs(self.wanted), abs(self.eased)))
        return high / low if low else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Targets that cannot be met together, or a target that the measurements rule out.

    Attributes:
        code: A stable name for programs, such as ``sign-ins``.
        what: One sentence.
        ways: The targets to relax, smallest change first; empty if none would help.

    """

    code: str
    what: str
    ways: tuple[Relaxation, ...]

    @property
    def cheapest(self) -> Relaxation | None:
        """The target whose relaxation is the smallest change."""
        return self.ways[0] if self.ways else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of three choices, none of which is better than another in every figure."""

    name: OptionName
    plan: SettingsPlan
    outcome: PlanOutcome
    recommendations: tuple[Recommendation, ...]
    contradictions: tuple[Contradiction, ...]

    def changes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the keys to write, by table, as `linqi.config.update` takes them."""
        tables: dict[str, dict[str, Any]] = {}
        for one in self.recommendations:
            if one.is_written:
                tables.setdefault(one.table, {})[one.key] = one.value
        return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The result of the tuner.

    Attributes:
        plan: The settings in force.
        outcome: What they are predicted to lead to.
        options: Safer, balanced and leaner, in this order.
        refreshed: Refresh tokens in place of sliding sessions; None where these have them already,
            or where no pauses are known.
        policies: What each renewal policy would lead to, at the lifetime and buffer of balanced.
        notes: The limits of the figures, one sentence or two each.

    """

    plan: SettingsPlan
    outcome: PlanOutcome
    options: tuple[Option, ...]
    refreshed: RefreshOption | None
    policies: tuple[PolicyTrade, ...]
    notes: Sequence[str]

    def option(self, name: str) -> Option:
        """Return the option called `name`."""
        return next(option for option in self.options if option.name == name)

    def is_behind(self, option: Option, most: float | None) -> bool:
        """Return whether the settings in force surely force more sign-ins than they should.

        Args:
            option: What they are compared with where there is no target: whatever holds of both
                intervals, they force more.
            most: The target, in forced sign-ins per person and day; or None.

        """
        now, then = self.outcome.sign_ins, option.outcome.sign_ins
        if now is None or then is None:
            return False
        return now.total.low > (then.total.high if most is None else most)
