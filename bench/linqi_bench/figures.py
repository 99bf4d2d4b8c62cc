"""What was measured, beside what it may cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from linqi_bench.timing import Sample

__all__ = ["CLEAR_MARGIN", "NOISY_SPREAD", "Figure", "Verdict"]

NOISY_SPREAD: Final = 0.15
"""An interquartile range above this share of the median marks a figure as noisy."""
CLEAR_MARGIN: Final = 2.0
"""A budget counts as broken when even the interval's lower end lies above it times this."""

Verdict = Literal["within", "over", "broken", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity; `sample` is what `budget` limits.

    `total`, `raw` and `pyjwt` are in the unit of the figure: our whole call, the baseline named
    by `raw_is`, and PyJWT's call on the same token, all taken in the same run.
    """

    group: str
    name: str
    unit: str
    sample: Sample
    budget: float | None = None
    spread: float | None = None
    """Interquartile range over median of `total`, where `sample` is a difference."""
    total: float | None = None
    raw: float | None = None
    raw_is: str = ""
    pyjwt: float | None = None
    details: dict[str, float] = field(default_factory=dict)

    @property
    def is_noisy(self) -> bool:
        """Whether the machine was too restless for the last digits to mean anything."""
        return self.restlessness > NOISY_SPREAD

    @property
    def restlessness(self) -> float:
        """The spread that tells noise: of the whole call, not of a small difference."""
        return self.sample.spread if self.spread is None else self.spread

    @property
    def verdict(self) -> Verdict:
        """How the figure stands to its budget."""
        if self.budget is None:
            return "none"
        if self.sample.low > self.budget * CLEAR_MARGIN:
            return "broken"
        return "within" if self.sample.median <= self.budget else "over"

    @property
    def ratio_to_raw(self) -> float | None:
        """Our call over the baseline."""
        return _ratio(self.total, self.raw)

    @property
    def ratio_to_pyjwt(self) -> float | None:
        """Our call over PyJWT's; below 1 is faster."""
        return _ratio(self.total, self.pyjwt)

    def as_json(self) -> dict[str, Any]:
        """Give all of it as members of a JSON object."""
        return {
            **asdict(self),
            "spread": self.restlessness,
            "verdict": self.verdict,
            "noisy": self.is_noisy,
            "ratio_to_raw": self.ratio_to_raw,
            "ratio_to_pyjwt": self.ratio_to_pyjwt,
        }


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None
