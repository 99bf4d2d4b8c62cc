"""One measured quantity with its baseline and its limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from linqi_bench.budgets import BudgetLimit, Budgets
from linqi_bench.timing import TimedBlocks

__all__ = ["NOISY_SPREAD", "Figure", "Verdict"]

NOISY_SPREAD: Final = 0.15
"""An interquartile range above this share of the median marks a figure as noisy."""

Verdict = Literal["within", "over", "broken", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity under a stable `id`, such as ``verify.hit.HS256.1KB``.

    `raw` is the baseline named by `raw_is`, `pyjwt` PyJWT's call on the same token, both in the
    unit of the figure and taken in the same run. `over` is what the figure takes longer than its
    baseline, and `ratio` how many times as long, measured in pairs where they were.
    """

    id: str
    name: str
    unit: str
    value: TimedBlocks
    over: TimedBlocks | None = None
    raw: float | None = None
    raw_is: str = ""
    ratio: TimedBlocks | None = None
    pyjwt: float | None = None
    details: dict[str, float] = field(default_factory=dict)
    limit: BudgetLimit | None = None
    margin: float = 2.0
    """The limit is broken when the whole interval, and the floor, lie above it times this."""
    unresolved_share: float = 0.0
    """The limit of a difference is broken only above this share of the baseline more."""

    @property
    def group(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    @property
    def is_noisy(self) -> bool:
        """Whether the spread is too large for the last digits to mean anything.

        The spread of the whole call decides, not that of a small difference.
        """
        return self.value.spread > NOISY_SPREAD

    @property
    def verdict(self) -> Verdict:
        """The figure compared with its limit."""
        if self.limit is None:
            return "none"
        limited = self._limited()
        broken_above = max(self.limit.most * self.margin, self.limit.fails_above)
        if self.limit.kind == "over":
            broken_above += self.unresolved_share * (self.raw or 0.0)
        if min(limited.low, limited.floor) > broken_above:
            return "broken"
        return "within" if limited.median <= self.limit.most else "over"

    @property
    def ratio_to_raw(self) -> float | None:
        """The figure over its baseline."""
        if self.ratio is not None:
            return self.ratio.median
        return self.value.median / self.raw if self.raw else None

    @property
    def ratio_to_pyjwt(self) -> float | None:
        """The figure over PyJWT's; below 1 is faster."""
        return self.value.median / self.pyjwt if self.pyjwt else None

    def with_limit(self, budgets: Budgets) -> Figure:
        """Return the figure with its limit."""
        limit = budgets.limit_of(self.id, self.unit)
        return replace(
            self,
            limit=limit,
            margin=budgets.margin_of(self.id),
            unresolved_share=budgets.unresolved_share,
        )

    def widened(self, share: float) -> Figure:
        """Return the figure with each interval widened by `share` of its value to either side.

        A noisy figure is widened further, by half of its spread above `NOISY_SPREAD`: order
        statistics count how often something was measured, not that another process took the
        processor meanwhile. A difference is widened by its own size, not by that of its two parts:
        what slows the machine down slows both, and its interval holds how far the pairs differ.
        """
        if self.unit != "us":
            return self  # counts and sizes do not depend on the load of the machine
        restless = max(0.0, self.value.spread - NOISY_SPREAD) / 2
        value = self.value.widened(share + restless)
        return replace(
            self,
            value=replace(value, low=max(0.0, value.low)),
            over=None if self.over is None else self.over.widened(share + restless),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the members of the JSON object."""
        return {
            "id": self.id,
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "value": asdict(self.value),
            "over": None if self.over is None else asdict(self.over),
            "raw": self.raw,
            "raw_is": self.raw_is,
            "ratio_to_raw": self.ratio_to_raw,
            "pyjwt": self.pyjwt,
            "ratio_to_pyjwt": self.ratio_to_pyjwt,
            "limit": None if self.limit is None else asdict(self.limit),
            "verdict": self.verdict,
            "noisy": self.is_noisy,
            "details": self.details,
        }

    def _limited(self) -> TimedBlocks:
        """Return what is compared with the limit."""
        kind = "value" if self.limit is None else self.limit.kind
        if kind == "over" and self.over is not None:
            return self.over
        if kind == "ratio" and self.ratio is not None:
            return self.ratio
        if kind == "ratio" and self.raw:
            return self.value.scaled(1 / self.raw)
        return self.value
