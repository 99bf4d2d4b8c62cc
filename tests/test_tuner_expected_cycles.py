"""The cycles of a run of limited length, against simulations of the same length."""

from __future__ import annotations

import random
from array import array

import pytest

from linqi_tune.model.expected_cycles import (
    compressed_measurements,
    compressed_plan,
    expected_cycles,
)
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.measurements import Measurements, Visitors
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor
from simulated import Draw, clicks_and_reads, exponential, play_sessions


@pytest.mark.parametrize(
    ("policy", "width"), [("grid", 0.0), ("plain", 0.0), ("jitter", 0.25), ("jitter", 0.8)]
)
@pytest.mark.parametrize(("buffer", "duration"), [(60.0, 1_200.0), (300.0, 1_200.0), (60.0, 4e3)])
@pytest.mark.parametrize("draw", [exponential(40), clicks_and_reads])
def test_a_short_run_loses_what_is_predicted_of_it(
    policy: str, width: float, buffer: float, duration: float, draw: Draw
) -> None:
    """Cycles and losses within 15 % of a simulation that ends when the run does."""
    played = play_sessions(
        sessions=1_200,
        lifetime=900,
        buffer=buffer,
        until=duration,
        gap=draw,
        seed=91,
        policy=policy,
        width=width,
    )
    rng = random.Random(92)
    gaps = GapDistribution([draw(rng) for _ in range(40_000)])
    plan = SettingsPlan(lifetime=900, buffer=buffer, policy=policy, jitter_width=width)
    found = expected_cycles(gaps, plan, duration)
    assert found.cycles * 1_200 == pytest.approx(played.cycles, rel=0.15)
    if played.lost > 100:
        assert found.share == pytest.approx(played.lost / played.cycles, rel=0.2)


def test_the_end_of_a_run_hides_losses() -> None:
    """A run hardly longer than a lifetime contains a smaller share of losses than a long one."""
    gaps = GapDistribution([5.0] * 90 + [200.0] * 10)
    plan = SettingsPlan(lifetime=900, buffer=60)
    short, long = expected_cycles(gaps, plan, 1_000), expected_cycles(gaps, plan, 40_000)
    assert short.share < long.share
    assert expected_cycles(gaps, plan, 50).lost == 0


def test_compression_keeps_rates_and_shares() -> None:
    """Compression by k changes no prediction except the level of chance."""
    rng = random.Random(93)
    gaps = GapDistribution([clicks_and_reads(rng) for _ in range(20_000)])
    measurements = Measurements(visitors=Visitors(groups=[gaps], sessions=6_000))
    plan = SettingsPlan(lifetime=900, buffer=120, cache_entries=3_000, cache_lifetime=60, workers=2)
    real = Predictor(measurements).outcome(plan)
    run = Predictor(compressed_measurements(measurements, 30, 200)).outcome(
        compressed_plan(plan, 30)
    )
    assert run.renewals_per_second == pytest.approx(real.renewals_per_second)
    assert run.hit_ratio == pytest.approx(real.hit_ratio, rel=0.02)
    assert run.request_seconds == pytest.approx(real.request_seconds, rel=0.01)
    assert run.noise95 > real.noise95
    cycles = expected_cycles(gaps, plan, 6_000)
    small = expected_cycles(gaps.scaled(1 / 30), compressed_plan(plan, 30), 200)
    assert small.share == pytest.approx(cycles.share, rel=0.02)
    assert small.cycles == pytest.approx(cycles.cycles, rel=0.02)


def test_a_compressed_storm_has_no_histories() -> None:
    """The instants of real persons do not fit to compressed settings."""
    pages = [array("d", [0.0, 60.0])]
    real = Measurements(
        visitors=Visitors(groups=[GapDistribution([60.0])]),
        histories=Histories(pages=pages, seconds=60.0, persons=1),
    )
    assert compressed_measurements(real, 30, 10).histories is None
