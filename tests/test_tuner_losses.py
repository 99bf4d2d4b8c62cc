"""The loss of renewals, against its limits and simulations that do not know its formula."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.errors import ConfigurationError
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.intervals import (
    bootstrap_interval,
    exact_interval,
    rule_of_three,
    trials_needed,
    wilson_interval,
)
from linqi_tune.model.losses import LagCounts, loss_by_gaps, loss_by_lags, loss_by_rate, losses
from simulated import Draw, clicks_and_reads, exponential, play_sessions

GAPS = st.lists(st.floats(0.01, 5_000), min_size=1, max_size=40)
LIFETIME = 900.0


def law_of(draw: Draw, seed: int, count: int = 20_000) -> GapDistribution:
    """Return gaps drawn independently of each other."""
    rng = random.Random(seed)
    return GapDistribution([draw(rng) for _ in range(count)])


def total(gaps: GapDistribution, lifetime: float, buffer: float) -> float:
    """Return the sum of both losses."""
    savable, beyond, _ = loss_by_gaps(gaps, lifetime, buffer)
    return savable + beyond


@given(GAPS, st.floats(1, 440), st.floats(1, 440))
def test_a_longer_buffer_never_loses_more(values: list[float], one: float, other: float) -> None:
    """With the period kept, the loss falls with the buffer and lies between 0 and 1."""
    gaps, period = GapDistribution(values), 460.0
    less, more = sorted((one, other))
    assert 0 <= total(gaps, period + more, more) <= total(gaps, period + less, less) + 1e-9
    assert total(gaps, period + less, less) <= 1 + 1e-9


@given(GAPS, st.floats(1, 440))
def test_gaps_within_the_buffer_lose_nothing_and_endless_ones_everything(
    values: list[float], buffer: float
) -> None:
    """Gaps within the buffer lose nothing, and gaps beyond the lifetime lose every renewal."""
    assert total(GapDistribution([min(value, buffer) for value in values]), LIFETIME, buffer) == 0
    savable, beyond, _ = loss_by_gaps(
        GapDistribution([value + LIFETIME for value in values]), 900, buffer
    )
    assert savable == pytest.approx(0, abs=1e-9)
    assert beyond == pytest.approx(1)


@given(GAPS, st.floats(1, 440), st.floats(0.1, 10))
def test_only_ratios_of_durations_matter(values: list[float], buffer: float, k: float) -> None:
    """Dividing gaps, lifetime and buffer by the same k leaves the loss unchanged."""
    gaps = GapDistribution(values)
    assert total(gaps.scaled(k), LIFETIME * k, buffer * k) == pytest.approx(
        total(gaps, LIFETIME, buffer), abs=1e-9
    )


@given(GAPS, st.floats(0, 6_000), st.floats(0, 6_000))
def test_the_restricted_mean_rises_and_flattens(values: list[float], a: float, b: float) -> None:
    """``E[min(g, x)]`` is concave: it rises by at most dx, and never above the mean."""
    gaps = GapDistribution(values)
    less, more = sorted((a, b))
    rise = gaps.restricted_mean(more) - gaps.restricted_mean(less)
    assert -1e-9 <= rise <= more - less + 1e-9
    assert gaps.restricted_mean(more) <= gaps.mean + 1e-9
    assert gaps.restricted_mean(math.inf) == pytest.approx(gaps.mean)


def test_poisson_visits_are_lost_as_the_rate_alone_says() -> None:
    """For a Poisson process the integral is ``exp(-rate buffer)``, where gaps are far below A."""
    gaps = GapDistribution([-30 * math.log1p(-(n + 0.5) / 200_000) for n in range(200_000)])
    assert total(gaps, 900, 120) == pytest.approx(loss_by_rate(1 / 30, 120), rel=0.01)


def test_the_rate_alone_is_far_too_optimistic_for_long_pauses() -> None:
    """With a buffer of 300 s the rate alone predicts below 0.01 %, and above 20 % are lost."""
    gaps = law_of(clicks_and_reads, 1, 100_000)
    played = play_sessions(
        sessions=300, lifetime=900, buffer=300, until=15_000, gap=clicks_and_reads, seed=2
    )
    truth = played.lost / played.cycles
    assert loss_by_rate(1 / gaps.mean, 300) < 1e-4
    assert truth > 0.2
    assert total(gaps, 900, 300) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("policy", ["grid", "plain"])
@pytest.mark.parametrize(
    ("draw", "buffer"),
    [(clicks_and_reads, 60), (clicks_and_reads, 420), (exponential(30), 60), (exponential(60), 90)],
)
def test_predicted_losses_are_those_of_a_simulation(policy: str, draw: Draw, buffer: float) -> None:
    """The loss is within 15 % of a simulation, from the gaps of other sessions."""
    played = play_sessions(
        sessions=400, lifetime=900, buffer=buffer, until=15_000, gap=draw, seed=3, policy=policy
    )
    predicted = total(law_of(draw, 4, 60_000), 900, buffer)
    assert predicted == pytest.approx(played.lost / played.cycles, rel=0.15)


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


def test_gaps_beyond_the_lifetime_are_told_apart() -> None:
    """Gaps beyond the lifetime are lost with any buffer, and a longer lifetime saves them."""
    gaps = GapDistribution([10.0] * 99 + [1_200.0])
    savable, beyond, _ = loss_by_gaps(gaps, 900, 300)
    assert savable == 0
    assert beyond > 0
    assert loss_by_gaps(gaps, 3_600, 1_300)[1] == 0


def test_sessions_and_not_gaps_are_drawn() -> None:
    """The interval is wider where the gaps of a session resemble each other."""
    mixed = [GapDistribution([10.0] * 90 + [400.0] * 10) for _ in range(40)]
    alike = [GapDistribution([10.0] * 100) for _ in range(36)] + [
        GapDistribution([400.0] * 100) for _ in range(4)
    ]
    narrow, wide = losses(mixed, 900, 300).savable, losses(alike, 900, 300).savable
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


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


def test_no_loss_seen_is_no_promise() -> None:
    """With n cycles and no loss the interval still extends to 3/n."""
    few = losses([GapDistribution([10.0] * 50)] * 20, 900, 300).savable
    assert few.value == 0
    assert few.high > 0.1
    assert losses([GapDistribution([10.0] * 50)], 900, 300).savable.high > 0.5


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 40 logs of 60 sessions, at most 6 have an interval that misses the truth."""
    truth, _, _ = loss_by_gaps(law_of(exponential(60), 9, 200_000), 900, 90)
    missed = 0
    for seed in range(40):
        played = play_sessions(
            sessions=60, lifetime=900, buffer=90, until=6_000, gap=exponential(60), seed=100 + seed
        )
        pairs = zip(played.gaps, played.open_gaps, strict=True)
        found = losses(
            [GapDistribution(gaps).completed(GapDistribution([last])) for gaps, last in pairs],
            900,
            90,
        )
        missed += not found.savable.contains(truth)
    assert missed <= 6


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
    """The rule of three: 3,000 cycles show 1e-3, and 1e-4 needs 30,000."""
    assert rule_of_three(3_000) == pytest.approx(3 / 3_000, rel=0.01)
    assert trials_needed(1e-4) == pytest.approx(30_000, rel=0.01)
    assert wilson_interval(0, 0).high == 1


def test_a_bootstrap_of_one_cluster_knows_nothing() -> None:
    """With one cluster the interval is unbounded."""
    assert bootstrap_interval([1.0], sum).high == 1.0


def test_a_gap_that_is_no_duration_is_refused() -> None:
    """Infinite, negative and undefined gaps are refused."""
    for value in (math.inf, -1.0, math.nan):
        with pytest.raises(ConfigurationError):
            GapDistribution([value])
