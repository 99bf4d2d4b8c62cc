"""The benchmarks: how they time, how they judge, and what they leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from linqi_bench.figures import Figure
from linqi_bench.timing import Sample, differences, fitting_batch, summarize, time_in_turn


class _Clock:
    """Stands still but for `pass_by`, which takes `step` nanoseconds."""

    def __init__(self, step: int) -> None:
        self._now = 0
        self._step = step

    def now(self) -> int:
        return self._now

    def pass_by(self) -> None:
        self._now += self._step


def _sample(low: float, median: float, high: float) -> Sample:
    return Sample(median=median, low=low, high=high, spread=0.0, rounds=9)


def _figure(sample: Sample, budget: float | None) -> Figure:
    return Figure(group="cache", name="hit", unit="us", sample=sample, budget=budget)


def test_blocks_are_timed_in_turn_and_every_other_round_backwards() -> None:
    """Neither block always follows the other, so drift and warm caches favour none."""
    order: list[str] = []
    time_in_turn([lambda: order.append("a"), lambda: order.append("b")], 1, 0)
    assert order[:6] == ["a", "b", "b", "a", "a", "b"]
    assert order.count("a") == order.count("b")


def test_time_is_given_per_call_in_microseconds() -> None:
    """A block of ten calls that takes 20 us by the clock took 2 us a call."""
    clock = _Clock(20_000)
    (taken,) = time_in_turn([clock.pass_by], 10, 0, clock=clock.now)
    assert set(taken) == {2.0}


def test_drift_of_the_machine_cancels_out_of_a_difference() -> None:
    """A machine that slows down tenfold still shows what one block takes longer."""
    drift = [10.0 + step for step in range(100)]
    found = differences([value + 8 for value in drift], drift)
    assert (found.median, found.low, found.high, found.spread) == (8, 8, 8, 0)


def test_interval_holds_the_median() -> None:
    """The interval comes from order statistics and narrows around the median."""
    found = summarize([float(value) for value in range(101)])
    assert found.median == 50
    assert 35 < found.low < 50 < found.high < 65
    assert found.spread == pytest.approx(1.02, abs=0.02)


@pytest.mark.parametrize(("took_ns", "calls"), [(1_000_000, 1), (20_000, 10), (100, 64)])
def test_quick_calls_are_timed_in_batches(took_ns: int, calls: int) -> None:
    """A block is long enough for the clock and no longer."""
    clock = _Clock(took_ns)
    assert fitting_batch(clock.pass_by, clock=clock.now) == calls


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (_sample(0.9, 1.0, 1.1), "within"),
        (_sample(1.0, 1.1, 1.2), "over"),
        (_sample(1.9, 2.0, 3.0), "over"),
        (_sample(2.1, 2.5, 3.0), "broken"),
    ],
)
def test_budget_is_broken_only_by_a_clear_margin(sample: Sample, verdict: str) -> None:
    """The whole interval must lie above twice the budget."""
    assert _figure(sample, 1.0).verdict == verdict
    assert _figure(sample, None).verdict == "none"


def test_restless_figure_calls_itself_noisy() -> None:
    """The spread of the whole call decides, not that of a small difference."""
    restless = Sample(median=1, low=1, high=1, spread=0.2, rounds=9)
    assert _figure(restless, None).is_noisy
    assert not Figure(group="g", name="n", unit="us", sample=restless, spread=0.02).is_noisy


def test_run_writes_each_figure_with_its_budget_and_the_machine(tmp_path: Path) -> None:
    """One quick figure, run as a user runs it, from a directory with a configuration of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    command = [sys.executable, "-m", "linqi_bench", "--quick", "--only", "test_hit"]
    ran = subprocess.run(
        [*command, "--json", "out.json", "--markdown", "out.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "hit, 800-byte token" in ran.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["format"] == 1
    assert {"processor", "cpus", "python", "libraries", "taken_at"} <= report["machine"].keys()
    (figure,) = report["figures"]
    assert figure["unit"] == "us"
    assert figure["budget"] == 1.5
    assert 0 < figure["sample"]["low"] <= figure["sample"]["median"] <= figure["sample"]["high"]
    assert 0 < figure["ratio_to_pyjwt"] < 1
    assert figure["ratio_to_raw"] > 0
    assert 800 <= figure["details"]["token_bytes"] <= 802
    assert "| hit, 800-byte token |" in (tmp_path / "out.md").read_text()


def test_run_that_measures_nothing_fails() -> None:
    """A misspelt name is an error, not an empty success."""
    command = [sys.executable, "-m", "linqi_bench", "--only", "no_such_figure"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "--only" in ran.stderr
