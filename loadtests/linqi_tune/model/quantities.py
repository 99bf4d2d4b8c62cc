"""How shares, times, rates and counts are written in texts: plain decimals without exponents."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from linqi_tune.model.intervals import Interval
from linqi_tune.model.sign_ins import ForcedSignIns

__all__ = [
    "causes_text",
    "count_text",
    "days_text",
    "eased_text",
    "factor_text",
    "given_text",
    "interval_text",
    "number_text",
    "rate_text",
    "share_text",
    "sign_ins_text",
]

_LEAST: Final = 1e-6
"""Smaller numbers are sums of rounding errors, or nothing that a reader can use."""
_PER: Final = ((1.0, "second"), (60.0, "minute"), (3_600.0, "hour"), (86_400.0, "day"))
_LEAST_RATE: Final = 0.1


def number_text(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, thousands separated.

    Infinity is ``unlimited``, NaN is ``unknown``, and what lies within 1e-6 of 0 is 0.
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "unlimited" if value > 0 else "-unlimited"
    if abs(value) < _LEAST:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, places):,.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def given_text(value: float) -> str:
    """Return a limit exactly as it was given: every digit, and no exponent."""
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def eased_text(value: float, wanted: float) -> str:
    """Return a limit that was `wanted` and must be at least as far away as `value`, to be typed in.

    Whole from 100, else three digits, rounded away from `wanted`: rounded to the nearest, it might
    not resolve what it is the remedy for.
    """
    if not math.isfinite(value):
        return number_text(value)
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(min(0, exact.adjusted() - 2))
    rounding = ROUND_CEILING if value > wanted else ROUND_FLOOR
    return given_text(float(exact.quantize(step, rounding)))


def count_text(value: float) -> str:
    """Return a count as a whole number, and with one decimal below 10; thousands separated."""
    if math.isfinite(value) and abs(value) >= 10:
        return f"{round(value):,}"
    return number_text(round(value, 1) if math.isfinite(value) else value)


def share_text(share: float) -> str:
    """Return a share in per cent, with at most two significant digits below 10 %.

    Shares that are not 0 and below 0.001 % are ``below 0.001 %``: fewer cannot be measured here.
    """
    percent = share * 100
    if abs(percent) < _LEAST:
        return "0 %"
    if 0 < percent < 0.001:
        return "below 0.001 %"
    return f"{number_text(percent, 3 if percent >= 10 else 2)} %"


def sign_ins_text(value: float) -> str:
    """Return forced sign-ins per person and day, with two significant digits below 10."""
    if 0 < value < 1e-4:
        return "below 0.0001"
    return number_text(value, 3 if value >= 10 else 2)


def rate_text(per_second: float, what: str) -> str:
    """Return a rate of `what`, a plural, in the shortest unit in which it is at least 0.1."""
    for seconds, unit in _PER:
        if per_second * seconds >= _LEAST_RATE or unit == "day":
            return f"{number_text(per_second * seconds)} {what} per {unit}"
    raise AssertionError


def days_text(seconds: float) -> str:
    """Return a duration: seconds below two minutes, else minutes, hours or days."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{number_text(seconds / size, 2)} {unit}"
    return f"{number_text(seconds)} s"


def factor_text(factor: float, chance: float) -> str:
    """Return a storm factor; up to `chance` it says no more than that chance explains it."""
    if factor <= chance:
        return f"at most {number_text(chance)} (chance)"
    return number_text(factor)


def interval_text(interval: Interval, text: Callable[[float], str]) -> str:
    """Return a value with the ends of its interval in parentheses, each written by `text`."""
    return f"{text(interval.value)} ({text(interval.low)} to {text(interval.high)})"


def causes_text(forced: ForcedSignIns) -> str:
    """Return how many of the forced sign-ins have which cause; causes of none are left out."""
    causes = (
        (forced.beyond, "after pauses longer than the lifetime"),
        (forced.savable, "that a longer buffer would save"),
        (forced.capped, "at the end of a session"),
    )
    parts = [f"{sign_ins_text(rate)} {what}" for rate, what in causes if rate > 0]
    return ", ".join(parts) or "none seen"
