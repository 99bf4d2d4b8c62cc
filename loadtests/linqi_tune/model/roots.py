"""Where a condition ceases to hold: the roots that formulas of the tuner leave open."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

__all__ = ["root_above", "root_between"]

_HALVINGS: Final = 60


def root_between(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """Give where `is_below` ceases to hold between `low`, where it does, and `high`, where not."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def root_above(is_below: Callable[[float], bool], most: float = math.inf) -> float:
    """Give where `is_below` ceases to hold above 0; about `most` where it holds that far."""
    high = 1.0
    while high < most and is_below(high):
        high *= 2
    return root_between(is_below, 0.0, high)
