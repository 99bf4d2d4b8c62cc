"""How the tuner writes numbers: no exponents, no negative zero, limits as they were given."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi_tune.model.intervals import Interval
from linqi_tune.model.quantities import (
    count_text,
    days_text,
    eased_text,
    factor_text,
    given_text,
    interval_text,
    number_text,
    rate_text,
    share_text,
    sign_ins_text,
)

NUMBER = re.compile(r"-?\d{1,3}(,\d{3})*(\.\d+)?|-?\d+(\.\d+)?|-?unlimited|unknown")
ANY = st.floats(-1e12, 1e12) | st.sampled_from([math.inf, -math.inf, math.nan])
POSITIVE = st.floats(0, 1e9)


def value_of(text: str) -> float:
    """Return the number at the beginning of a text."""
    return float(text.split()[0].replace(",", ""))


@given(ANY)
def test_a_number_is_a_plain_decimal(value: float) -> None:
    """There is no exponent, no negative zero and no more than 3 significant digits."""
    text = number_text(value)
    assert NUMBER.fullmatch(text), text
    assert text not in ("-0", "-0.0")
    if math.isfinite(value):
        assert value_of(text) == pytest.approx(value, rel=6e-3, abs=1e-6)


@given(POSITIVE, st.sampled_from([number_text, count_text, sign_ins_text]))
def test_small_and_large_counts_have_no_exponent(value: float, text: object) -> None:
    """Every text of a count is one plain number, or says below which one it lies."""
    assert callable(text)
    found = str(text(value)).removeprefix("below ")
    assert NUMBER.fullmatch(found), found


@given(st.floats(0, 1))
def test_a_share_is_in_per_cent(share: float) -> None:
    """A share rounds to itself; one that rounding errors leave is 0 %."""
    text = share_text(share)
    assert text.endswith(" %")
    if text.startswith("below"):
        assert 0 < share < 1e-5
    else:
        assert value_of(text) == pytest.approx(share * 100, rel=0.06, abs=1e-3)
        assert "e" not in text


@given(st.floats(min_value=0, max_value=1e15, allow_subnormal=False))
def test_a_limit_is_reported_as_it_was_given(value: float) -> None:
    """Reading the text gives the same number back, and there is no exponent."""
    text = given_text(value)
    assert float(text) == value
    assert "e" not in text.lower()


@given(st.floats(0, 1e6))
def test_a_rate_names_a_unit_in_which_it_can_be_read(rate: float) -> None:
    """Rates below 0.1 per second are given per minute, hour or day."""
    text = rate_text(rate, "renewals")
    number, what, _, unit = text.split()
    assert what == "renewals"
    seconds = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}[unit]
    assert NUMBER.fullmatch(number)
    assert value_of(number) / seconds == pytest.approx(rate, rel=6e-3, abs=1e-6)


@given(st.floats(0, 1e8))
def test_a_duration_names_its_unit(seconds: float) -> None:
    """Two minutes and more are minutes, hours or days."""
    number, unit = days_text(seconds).split()
    size = {"s": 1, "minutes": 60, "hours": 3_600, "days": 86_400}[unit]
    assert value_of(number) * size == pytest.approx(seconds, rel=0.06, abs=1e-6)


@given(st.floats(0, 50), st.floats(1, 5))
def test_a_factor_below_the_level_of_chance_is_not_shown_as_one(
    factor: float, chance: float
) -> None:
    """Up to the level of chance the text names that level alone."""
    text = factor_text(factor, chance)
    assert text.endswith("(chance)") == (factor <= chance)
    if factor > chance:
        assert value_of(text) == pytest.approx(factor, rel=6e-3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (share_text(7.3e-17), "0 %"),
        (share_text(0.0023), "0.23 %"),
        (share_text(0.9512), "95.1 %"),
        (share_text(2e-6), "below 0.001 %"),
        (number_text(-1e-12), "0"),
        (number_text(86_400), "86,400"),
        (number_text(0.0000321), "0.0000321"),
        (given_text(1e-4), "0.0001"),
        (given_text(3_600.0), "3600"),
        (given_text(0.1), "0.1"),
        (given_text(86_400), "86400"),
        (rate_text(0.002, "renewals"), "0.12 renewals per minute"),
        (rate_text(12.34, "signatures"), "12.3 signatures per second"),
        (count_text(3.04), "3"),
        (count_text(51_234.4), "51,234"),
        (sign_ins_text(0.04213), "0.042"),
        (sign_ins_text(3e-5), "below 0.0001"),
        (days_text(28_800), "8 hours"),
        (days_text(90), "90 s"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    """What the texts look like."""
    assert text == expected


def test_an_interval_has_its_ends_in_parentheses() -> None:
    """Value and ends are written alike."""
    interval = Interval(value=0.42, low=0.4, high=0.45)
    assert interval_text(interval, sign_ins_text) == "0.42 (0.4 to 0.45)"


def test_a_remedy_is_typed_in_as_it_stands_and_resolves() -> None:
    """6.12025 rounded to 6.12 would miss the very limit that it is the remedy for."""
    assert eased_text(6.120252, 0.5) == "6.13"
    assert eased_text(2089.4, 0.001) == "2090"
    assert eased_text(46_812.0, 1.0) == "46812"
    assert eased_text(0.497, 120.0) == "0.497"
    assert eased_text(29.0, 120.0) == "29"
    assert eased_text(2.4579, 120.0) == "2.45"
    assert eased_text(math.inf, 1.0) == "unlimited"


@given(st.floats(1e-3, 1e9), st.floats(1e-3, 1e9))
def test_a_remedy_is_never_nearer_than_it_must_be(value: float, wanted: float) -> None:
    """Neither upwards nor downwards."""
    shown = float(eased_text(value, wanted))
    assert shown >= value if value > wanted else shown <= value
