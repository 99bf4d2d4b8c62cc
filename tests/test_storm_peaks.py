"""Peaks are taken over sliding windows and compared with the level of chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.sessions.storm_factor import peak_window
from linqi_storm.run.peaks import noise_floor, peak_of, sliding_peak, sliding_rates


@given(
    st.lists(st.integers(0, 5_000), max_size=60).map(sorted),
    st.integers(1, 2_000),
)
def test_the_sliding_peak_is_the_fullest_window_anywhere(instants: list[int], window: int) -> None:
    """An exhaustive search over all windows finds the same number."""
    by_hand = max(
        (sum(begin <= one < begin + window for one in instants) for begin in instants), default=0
    )
    assert sliding_peak(instants, window) == by_hand


def test_a_peak_across_two_bins_is_seen_whole() -> None:
    """Ten events around a full second count ten, where bins of a second would count five."""
    around = [0.95 + 0.01 * place for place in range(10)]
    assert sliding_peak(around, 1.0) == 10


def test_events_one_window_apart_are_not_in_one_window() -> None:
    """The window is half-open."""
    assert sliding_peak([0.0, 1.0], 1.0) == 1


@pytest.mark.parametrize(("events", "span", "window"), [(600, 30, 1.5), (3_000, 60, 2.0)])
def test_the_noise_floor_is_exceeded_by_one_perfect_population_in_twenty(
    events: int, span: float, window: float
) -> None:
    """At least nine in ten new populations with an even spread stay below it."""
    floor = noise_floor(events, span, window)
    draw = random.Random(99)
    factors = [
        sliding_peak(sorted(draw.random() * span for _ in range(events)), window)
        / (events / span * window)
        for _ in range(100)
    ]
    assert 0.88 <= sum(factor <= floor for factor in factors) / 100 <= 1.0
    assert max(factors) > floor * 0.9


def test_the_noise_floor_falls_with_the_number_of_events() -> None:
    """The more events, the smaller their relative fluctuation."""
    assert noise_floor(100, 30, 1.5) > noise_floor(1_000, 30, 1.5) > noise_floor(10_000, 30, 1.5)


def test_the_storm_factor_of_an_even_spread_is_one_and_of_a_burst_the_ratio_of_lengths() -> None:
    """2,000 renewals over the period give about 1; the same within a tenth of it give 10."""
    even = dict.fromkeys(range(0, 40_000, 20), 1)
    burst = dict.fromkeys(range(0, 4_000, 2), 1)
    measured = [
        peak_of("first cycle", renewals, 0, 40, sessions=2_000, period=40).factor
        for renewals in (even, burst)
    ]
    assert measured == [pytest.approx(1.0, rel=0.01), pytest.approx(10.0, rel=0.01)]


def test_a_peak_counts_only_its_own_part() -> None:
    """Renewals before and after the part are not counted."""
    peak = peak_of("first cycle", {0: 5, 500: 7, 2_000: 9}, 0.2, 1.5, sessions=10, period=10)
    assert peak.renewals == 7


def test_the_window_scales_with_the_period() -> None:
    """Compression does not change the factor, because the window shrinks with the period."""
    assert peak_window(600) / peak_window(40) == pytest.approx(15)


def test_the_curve_of_rates_never_exceeds_the_peak_and_comes_near_it() -> None:
    """Windows an eighth apart find at most the highest rate, and at least 85 % of it."""
    draw = random.Random(5)
    renewals = {int(1000 * draw.gauss(12, 0.4)): 1 for _ in range(800)}
    curve = sliding_rates(renewals, 30, 20)
    peak = peak_of("first cycle", renewals, 0, 30, sessions=800, period=20)
    assert curve.window_seconds == peak.window_seconds
    assert 0.85 * peak.peak_per_second <= max(curve.per_second) <= peak.peak_per_second
    assert peak.at == pytest.approx(12, abs=0.5)


def test_a_window_counts_every_renewal_in_it_once() -> None:
    """Eight renewals within one window give a rate of eight over its length."""
    curve = sliding_rates({5_000 + ms: 1 for ms in range(8)}, 20, 20)
    assert max(curve.per_second) == pytest.approx(8)
    assert sum(rate > 0 for rate in curve.per_second) == 8
