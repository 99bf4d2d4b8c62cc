"""Pauses, lags and intervals, against their limits and simulations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.errors import ConfigurationError
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.intervals import (
    bootstrap_interval,
    exact_interval,
    rule_of_three,
    wilson_interval,
)
from linqi_tune.model.lag_counts import LagCounts, loss_by_lags
from simulated import clicks_and_reads, exponential, play_sessions

GAPS = st.lists(st.floats(0.01, 5_000), min_size=1, max_size=40)


@given(GAPS, st.floats(0, 6_000), st.floats(0, 6_000))
def test_the_restricted_mean_rises_and_flattens(values: list[float], a: float, b: float) -> None:
    """``E[min(g, x)]`` is concave: it rises by at most dx, and never above the mean."""
    gaps = GapDistribution(values)
    less, more = sorted((a, b))
    rise = gaps.restricted_mean(more) - gaps.restricted_mean(less)
    assert -1e-9 <= rise <= more - less + 1e-9
    assert gaps.restricted_mean(more) <= gaps.mean + 1e-9
    assert gaps.restricted_mean(math.inf) == pytest.approx(gaps.mean)


def test_lags_at_one_buffer_predict_the_loss_at_another() -> None:
    """Lags measured at 60 s predict the losses at 120, 300 and 420 s within a factor of 2."""
    measured = play_sessions(
        sessions=500, lifetime=900, buffer=60, until=12_000, gap=clicks_and_reads, seed=5
    )
    lags = LagCounts.of(sorted(measured.lags), [1.0] * len(measured.lags))
    for buffer in (120, 300, 420):
        other = play_sessions(
            sessions=500, lifetime=900, buffer=buffer, until=12_000, gap=clicks_and_reads, seed=6
        )
        found = loss_by_lags(lags, buffer, measured.by_session)
        assert 0.5 < found.value / (other.lost / other.cycles) < 2
        assert found.low <= found.value <= found.high


def test_gaps_that_are_not_over_count_too() -> None:
    """In a log of three mean gaps, the mean without the open gaps is 30 % too short."""
    played = play_sessions(
        sessions=4_000, lifetime=900, buffer=90, until=180, gap=exponential(60), seed=7
    )
    seen = GapDistribution([gap for gaps in played.gaps for gap in gaps])
    assert seen.mean < 45
    assert seen.completed(GapDistribution(played.open_gaps)).restricted_mean(100) == pytest.approx(
        60 * (1 - math.exp(-100 / 60)), rel=0.05
    )


def test_a_lag_between_two_bounds_counts_as_late() -> None:
    """A bucket that contains the buffer counts as late as a whole."""
    lags = LagCounts(bounds=(10.0, 60.0), counts=(90.0, 95.0), total=100.0)
    assert lags.above(60) == 5
    assert lags.above(59) == 10
    assert lags.above(5) == 100


@given(st.integers(1, 10_000), st.data())
def test_an_interval_holds_its_value(trials: int, data: st.DataObject) -> None:
    """The score interval contains the observed share, and lies between 0 and 1."""
    seen = data.draw(st.integers(0, trials))
    found = wilson_interval(seen, trials)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_an_exact_interval_is_the_published_one() -> None:
    """The intervals are those of the tables of Clopper and Pearson."""
    found = exact_interval(2, 1_922)
    assert (found.low, found.high) == pytest.approx((0.000126, 0.003754), rel=0.01)
    assert exact_interval(0, 30).high == pytest.approx(0.1157, rel=0.001)
    five = exact_interval(5, 20)
    assert (five.low, five.high) == pytest.approx((0.0866, 0.4910), rel=0.001)
    assert (exact_interval(20, 20).high, exact_interval(0, 20).low) == (1.0, 0.0)
    assert exact_interval(0, 0).high == 1.0


def test_zero_in_n_shows_three_over_n() -> None:
    """The rule of three: 3,000 cycles without an event show 1e-3."""
    assert rule_of_three(3_000) == pytest.approx(3 / 3_000, rel=0.01)
    assert wilson_interval(0, 0).high == 1


def test_a_bootstrap_of_one_cluster_knows_nothing() -> None:
    """With one cluster the interval is unbounded."""
    assert bootstrap_interval([1.0], sum).high == 1.0


def test_a_gap_that_is_no_duration_is_refused() -> None:
    """Infinite, negative and undefined gaps are refused."""
    for value in (math.inf, -1.0, math.nan):
        with pytest.raises(ConfigurationError):
            GapDistribution([value])
