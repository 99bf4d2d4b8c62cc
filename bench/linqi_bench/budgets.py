"""The limits of the figures: ``bench/budgets.toml``, scaled to the speed of this machine."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["BudgetLimit", "BudgetLimitKind", "Budgets"]

BudgetLimitKind = Literal["over", "value", "ratio"]
_KINDS: Final[tuple[BudgetLimitKind, ...]] = ("over", "value", "ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimit:
    """The most that a figure may be, and what of it is compared.

    ``over``: the figure minus its baseline; ``value``: the figure; ``ratio``: figure over baseline.
    """

    kind: BudgetLimitKind
    most: float
    fails_above: float = 0.0
    """The check fails above this where the limit is not met yet; 0 where it is met."""


class Budgets:
    """The limits of one file, for a machine where the yardstick takes `yardstick` microseconds."""

    def __init__(self, raw: Mapping[str, Any], yardstick: float) -> None:
        self._clear_margin: float = raw["clear_margin"]
        self._margins: Mapping[str, float] = raw.get("margin", {})
        self.unresolved_share: float = raw["unresolved_share"]
        self.scale = yardstick / raw["yardstick_us"]
        """How much slower this machine is than the one the limits count for."""
        unmet: Mapping[str, float] = raw.get("unmet", {})
        self._limits = [
            (pattern, BudgetLimit(kind=kind, most=most, fails_above=unmet.get(pattern, 0.0)))
            for kind in _KINDS
            for pattern, most in raw.get(kind, {}).items()
        ]

    @classmethod
    def load(cls, yardstick: float) -> Budgets:
        """Read the file: in the package where it was installed, in ``bench/`` of a checkout."""
        here = Path(__file__)
        installed = here.with_name("budgets.toml")
        path = installed if installed.exists() else here.parent.with_name("budgets.toml")
        return cls(tomllib.loads(path.read_text("utf-8")), yardstick)

    def margin_of(self, figure_id: str) -> float:
        """Return how many times its limit a figure must be to break it."""
        found = (margin for pattern, margin in self._margins.items() if _fits(figure_id, pattern))
        return next(found, self._clear_margin)

    def limit_of(self, figure_id: str, unit: str) -> BudgetLimit | None:
        """Return the limit of a figure, or None; only microseconds are scaled to the machine."""
        for pattern, limit in self._limits:
            if _fits(figure_id, pattern):
                if unit == "us" and limit.kind != "ratio":
                    return replace(
                        limit,
                        most=limit.most * self.scale,
                        fails_above=limit.fails_above * self.scale,
                    )
                return limit
        return None


def _fits(figure_id: str, pattern: str) -> bool:
    """Return whether an id fits a pattern, in which ``*`` stands for one part of it."""
    return figure_id.count(".") == pattern.count(".") and fnmatchcase(figure_id, pattern)
