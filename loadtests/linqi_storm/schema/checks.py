"""What the result of a storm is judged by: its invariants, and the requirements of its user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "CheckKind", "RequirementCheck"]

CheckKind = Literal["safety", "load"]
"""``safety``: a count of wrong outcomes, which is true however late the generator was. ``load``: a
rate, a latency or a ratio, which a late generator distorts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An invariant: the value measured and the limit."""

    name: str
    kind: CheckKind = "load"
    """The default is for results of earlier versions, which state no kind."""
    limit: float | None
    """The highest value that passes; None for a figure that is shown without a limit."""
    seen: float
    passed: bool
    detail: str = ""

    @property
    def expected(self) -> str:
        """What passes, in words; empty without a limit."""
        return "" if self.limit is None else f"at most {self.limit:g}"

    @property
    def measured(self) -> str:
        """The value measured."""
        return f"{self.seen:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementCheck:
    """A requirement of the user, or of a baseline, on one figure of the result."""

    name: str
    """The requirement as it was written, such as ``storm_factor <= 1.5``."""
    figure: str
    """A name of `linqi_storm.schema.figures`."""
    kind: CheckKind
    expected: str
    """What passes, in words."""
    seen: float | None
    """None if the figure was not measured: the requirement then fails."""
    unit: str = ""
    passed: bool
    detail: str = ""

    @property
    def measured(self) -> str:
        """The value measured, with its unit."""
        return "not measured" if self.seen is None else f"{self.seen:.4g} {self.unit}".strip()
