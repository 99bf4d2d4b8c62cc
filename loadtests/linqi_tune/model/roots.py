"""Root finding by bisection, for equations without a closed solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

__all__ = ["root_above", "root_between"]

_HALVINGS: Final = 60


def root_between(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """Return the end of `is_below`, which holds at `low` and does not hold at `high`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def root_above(is_below: Callable[[float], bool], most: float = math.inf) -> float:
    """Return where `is_below` ceases to hold above 0; about `most` if it holds until there."""
    high = 1.0
    while high < most and is_below(high):
        high *= 2
    return root_between(is_below, 0.0, high)
