"""The benchmarks: their timing, their verdicts and their result files."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import socketserver
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linqi_bench.budgets import BudgetLimit, BudgetLimitKind, Budgets
from linqi_bench.comparison import compare
from linqi_bench.figures import Figure
from linqi_bench.load import HttpLoad
from linqi_bench.pytest_run import SUITES
from linqi_bench.recorder import Recorder
from linqi_bench.report import noise_of
from linqi_bench.result_page import result_page
from linqi_bench.results import Result, ResultError
from linqi_bench.settings import Settings
from linqi_bench.side_by_side import side_by_side
from linqi_bench.soak import soak
from linqi_bench.timing import TimedBlocks, batch_size, differences, ratios, summarize, time_in_turn
from linqi_bench.yardstick import read_yardstick

ROOT = Path(__file__).parent.parent


class _Clock:
    """Stands still but for `pass_by`, which takes `step` nanoseconds."""

    def __init__(self, step: int) -> None:
        self._now = 0
        self._step = step

    def now(self) -> int:
        return self._now

    def pass_by(self) -> None:
        self._now += self._step


def _sample(low: float, median: float, high: float) -> TimedBlocks:
    return TimedBlocks(median=median, low=low, high=high, spread=0.0, rounds=9, floor=low)


def _figure(sample: TimedBlocks, most: float | None, kind: BudgetLimitKind = "value") -> Figure:
    limit = None if most is None else BudgetLimit(kind=kind, most=most)
    return Figure(id="cache.hit", name="hit", unit="us", value=sample, limit=limit)


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
    assert batch_size(clock.pass_by, clock=clock.now) == calls


def test_budget_that_is_not_met_yet_fails_above_its_own_value() -> None:
    """It reads over up to that value, and broken beyond it; others keep the clear margin."""
    over, unmet = {"a.*": 10.0, "b.x": 10.0}, {"a.*": 50.0}
    raw = {
        "clear_margin": 2.0,
        "unresolved_share": 0.1,
        "yardstick_us": 1.0,
        "over": over,
        "unmet": unmet,
    }
    budgets = Budgets(raw, 2.0)
    limits = [budgets.limit_of(name, "us") for name in ("a.x", "b.x")]
    assert limits == [
        BudgetLimit(kind="over", most=20.0, fails_above=100.0),
        BudgetLimit(kind="over", most=20.0),
    ]
    for level, verdict in ((15.0, "within"), (90.0, "over"), (101.0, "broken")):
        sample = _sample(level, level, level)
        figure = replace(_figure(sample, None), over=sample, limit=limits[0])
        assert figure.verdict == verdict


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (_sample(0.9, 1.0, 1.1), "within"),
        (_sample(1.0, 1.1, 1.2), "over"),
        (_sample(1.9, 2.0, 3.0), "over"),
        (_sample(2.1, 2.5, 3.0), "broken"),
    ],
)
def test_budget_is_broken_only_by_a_clear_margin(sample: TimedBlocks, verdict: str) -> None:
    """The whole interval must lie above twice the budget."""
    assert _figure(sample, 1.0).verdict == verdict
    assert _figure(sample, None).verdict == "none"


def test_a_disturbed_run_breaks_no_budget() -> None:
    """Nine tenths of the measurements must exceed it: other processes disturb many, not all."""
    disturbed = summarize([1.0] * 3 + [5.0] * 17)
    assert disturbed.low > 2
    assert _figure(disturbed, 1.0).verdict == "over"
    bare, ours = [1.0] * 20, [2.0] * 3 + [9.0] * 17
    assert differences(ours, bare).floor == 1


def test_a_ratio_of_pairs_is_broken_by_a_regression_and_by_no_noise() -> None:
    """A pair in which one process was disturbed counts once; a real increase is in all of them."""
    quiet, limit = [100.0] * 9, BudgetLimit(kind="ratio", most=1.3)
    ours = [115.0] * 9
    noisy = [115.0, *[230.0] * 8]
    stolen = [100.0] * 4 + [250.0] * 5
    samples = {
        "within": ratios(ours, quiet),
        "over": ratios(noisy, quiet),
        "broken": ratios([150.0] * 9, quiet),
    }
    for verdict, ratio in samples.items():
        figure = replace(_figure(ratio, None), value=_sample(1, 1, 1), ratio=ratio, limit=limit)
        assert replace(figure, margin=1.1).verdict == verdict
    assert ratios(stolen, stolen).high == 1
    assert ratios(noisy, quiet).floor == 1.15


def test_a_margin_of_its_own_replaces_the_clear_margin() -> None:
    """Processes that are compared in pairs need no factor of two."""
    raw = {
        "clear_margin": 2.0,
        "unresolved_share": 0.1,
        "yardstick_us": 1.0,
        "margin": {"a.*": 1.1},
        "ratio": {"a.*": 1.3, "b.x": 1.3},
    }
    budgets = Budgets(raw, 1.0)
    ratio = _sample(1.5, 1.6, 1.7)
    figure = replace(_figure(ratio, None), id="a.x", ratio=ratio).with_limit(budgets)
    assert figure.verdict == "broken"
    assert replace(figure, id="b.x").with_limit(budgets).verdict == "over"


def test_a_difference_that_is_lost_in_its_baseline_breaks_no_budget() -> None:
    """A tenth of the baseline cannot be told; without a baseline every microsecond counts."""
    over = _sample(9.0, 10.0, 11.0)
    limit = BudgetLimit(kind="over", most=2.0)
    for raw, verdict in ((100.0, "over"), (40.0, "broken"), (None, "broken")):
        figure = replace(_figure(over, None), over=over, raw=raw, limit=limit)
        assert replace(figure, unresolved_share=0.1).verdict == verdict


def test_limit_of_a_difference_or_a_ratio_judges_that() -> None:
    """What is compared is what the budget names: the figure, what it adds, or its ratio."""
    figure = Figure(
        id="a.b", name="n", unit="us", value=_sample(9, 10, 11), over=_sample(2, 3, 4), raw=5.0
    )
    for kind, most, verdict in (
        ("value", 4.0, "broken"),
        ("over", 4.0, "within"),
        ("over", 2.0, "over"),
        ("ratio", 2.0, "within"),
        ("ratio", 0.8, "broken"),
    ):
        assert replace(figure, limit=BudgetLimit(kind=kind, most=most)).verdict == verdict


def test_restless_figure_calls_itself_noisy_and_widens_its_interval() -> None:
    """The spread shows a busy machine, which order statistics do not."""
    restless = TimedBlocks(median=10, low=9, high=11, spread=0.35, rounds=9, floor=9)
    figure = _figure(restless, None)
    assert figure.is_noisy
    widened = figure.widened(0.0)
    assert (widened.value.low, widened.value.high) == pytest.approx((8, 12))
    assert not _figure(_sample(9, 10, 11), None).widened(0.0).value.low < 9


def test_noisy_run_widens_intervals_and_says_so() -> None:
    """A yardstick that is slower around a figure tells how far that one may be off."""
    recorder = Recorder(1.0, lambda count, name: None)
    for reading in (10.0, 10.0, 10.1, 15.0, 10.0):
        recorder.yardsticks.append(reading)
        recorder.add(_figure(_sample(9, 10, 11), None))
    recorder.yardsticks.append(10.0)
    assert recorder.widenings == [0, 0, pytest.approx(0.5), pytest.approx(0.5), 0]
    widened = _figure(_sample(9, 10, 11), None).widened(0.2)
    assert (widened.value.low, widened.value.high) == (7, 13)
    counted = Figure(id="a.b", name="n", unit="MB", value=_sample(9, 10, 11))
    assert counted.widened(0.2) == counted
    result = _result(10, widened_by=0.2)
    assert result.is_noisy
    assert "Noisy run" in noise_of(result)
    assert not noise_of(_result(10))


def test_one_burst_of_load_does_not_make_the_machine_slow() -> None:
    """The yardstick is read three times, and the middle one counts."""
    now, speed = [0], [10_000]

    def clock() -> int:
        now[0] += speed[0]
        return now[0]

    def sleep(seconds: float) -> None:
        speed[0] = 90_000 if speed[0] == 10_000 else 11_000

    assert read_yardstick(clock, sleep) == pytest.approx(11_000 / 20 / 1000)


def test_difference_is_widened_by_its_own_size() -> None:
    """A machine that is slower by half makes what was added dearer by half, not by half of all."""
    pairs = differences([54.0, 108.0, 56.0], [40.0, 94.0, 42.0])  # the second was disturbed
    figure = Figure(id="a.b", name="n", unit="us", value=_sample(53, 54, 55), over=pairs)
    widened = figure.widened(0.5).over
    assert widened is not None
    assert (widened.low, widened.median, widened.high) == (7, 14, 21)


def test_budgets_of_times_are_scaled_to_the_machine() -> None:
    """Microseconds grow with the yardstick; megabytes and ratios do not."""
    raw = {
        "clear_margin": 2.0,
        "unresolved_share": 0.1,
        "yardstick_us": 5.0,
        "over": {"verify.cold.*": 6.0},
        "value": {"cache.memory": 80.0},
        "ratio": {"stores.*": 1.3},
    }
    budgets = Budgets(raw, 10.0)
    found = budgets.limit_of("verify.cold.RS256", "us")
    assert found == BudgetLimit(kind="over", most=12.0)
    assert budgets.limit_of("cache.memory", "MB") == BudgetLimit(kind="value", most=80.0)
    assert budgets.limit_of("stores.a", "us") == BudgetLimit(kind="ratio", most=1.3)
    assert budgets.limit_of("verify.cold.RS256.1KB", "us") is None
    assert budgets.limit_of("sign.RS256", "us") is None


def test_every_budget_names_a_figure_that_exists() -> None:
    """A pattern that matches no figure would never be checked."""
    raw = tomllib.loads((ROOT / "bench" / "budgets.toml").read_text())
    limits = {pattern for kind in ("over", "value", "ratio") for pattern in raw[kind]}
    assert limits >= raw["margin"].keys() | raw["unmet"].keys()
    source = "".join(path.read_text() for path in (ROOT / "bench" / "linqi_bench").glob("*.py"))
    for kind in ("over", "value", "ratio", "margin"):
        for pattern in raw[kind]:
            group, second = pattern.split(".")[:2]
            assert f'f"{group}.' in source or f'"{group}.{second}' in source, pattern


def test_the_wheel_holds_the_budgets() -> None:
    """Installed, the file lies in the package; in a checkout, where a reader looks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    forced = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert forced == {"bench/budgets.toml": "linqi_bench/budgets.toml"}
    assert Budgets.load(1.0).limit_of("cache.hit.800B", "us") is not None


def _result(median: float, *, half: float = 0.1, **members: Any) -> Result:
    low = median - half
    value = replace(_sample(low, median, median + half), spread=0.01)
    figure = Figure(id="cache.hit", name="hit", unit="us", value=value)
    names = ("processor", "taken_at", "system", "python", "openssl")
    machine = dict.fromkeys(names, "s") | {"libraries": {}, "cpus": 2, "load_1_minute": 0.1}
    return Result(figures=[figure.as_json()], machine=machine, **members)


@pytest.mark.parametrize(
    ("old", "new", "half", "kind"),
    [
        (10, 12, 0.1, "dearer"),
        (10, 8, 0.1, "cheaper"),
        (10, 12, 1.5, "same"),  # the intervals meet
        (10, 10.2, 0.01, "same"),  # below 3 %
    ],
)
def test_a_change_is_one_only_beyond_noise(old: float, new: float, half: float, kind: str) -> None:
    """Intervals lie apart, and by enough to be more than the layout of memory."""
    comparison = compare(_result(old, half=half), _result(new, half=half))
    assert [change.kind for change in comparison.changes] == [kind]
    assert len(comparison.beyond_noise) == (kind != "same")


def test_runs_on_a_machine_of_another_speed_are_scaled_before_they_are_compared() -> None:
    """Twice the time at half the speed is no change."""
    slow = compare(_result(10, yardstick_us=5.0), _result(20, half=0.2, yardstick_us=10.0))
    assert slow.speed == 2.0
    assert slow.beyond_noise == []
    near = compare(_result(10, yardstick_us=5.0), _result(12, yardstick_us=5.1))
    assert near.speed == 1.0


@pytest.mark.parametrize(("before", "after", "kind"), [(20, 10, "cheaper"), (20, 20.4, "same")])
def test_what_is_served_is_compared_over_the_bare_app(
    before: float, after: float, kind: str
) -> None:
    """Half of what a guard adds is a change, though it is a tenth of the whole request."""
    results = []
    for median in (before, after):
        result = _result(100, half=15)
        over = {"low": median - 1, "median": median, "high": median + 1}
        result.figures[0] |= {"id": "served.hit.10k.uvicorn.asgi", "over": over}
        results.append(result)
    (change,) = compare(*results).changes
    assert (change.kind, change.old, change.new) == (kind, before, after)


def test_figures_that_came_or_went_are_named() -> None:
    """A figure of one run only is neither better nor worse."""
    renamed = _result(10)
    renamed.figures[0]["id"] = "cache.other"
    kinds = {change.id: change.kind for change in compare(_result(10), renamed).changes}
    assert kinds == {"cache.other": "new", "cache.hit": "gone"}


def test_result_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What linqi tune reads is what linqi bench wrote; unknown members are passed over."""
    result = _result(10, yardstick_us=5.0, quick=True)
    result.write(tmp_path / "r.json")
    assert Result.read(tmp_path / "r.json") == result
    raw = json.loads((tmp_path / "r.json").read_text()) | {"later": 1}
    assert Result.of(raw, "r") == result


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"kind": "other"},
        {"figures": [{}]},
        {"figures": [{"id": "a"}]},
        {"figures": [{"id": "a", "value": {"low": 1, "median": 2}, "unit": "us"}]},
        {"figures": [{"id": "a", "value": {"low": 1, "median": 2, "high": 3}}]},
    ],
)
def test_files_that_are_no_results_are_refused(change: dict[str, Any]) -> None:
    """An older format, another file or a figure without an interval is told, not guessed at."""
    with pytest.raises(ResultError, match="file"):
        Result.of(_result(10).as_json() | change, "file")


def test_page_fetches_nothing_and_shows_every_figure() -> None:
    """The page opens without a network, and a name in it is never markup."""
    result = _result(10, widened_by=0.3, yardstick_drift=0.3)
    result.figures[0]["name"] = "<script>alert(1)</script>"
    html = result_page(result, compare(_result(20), result))
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img|src=", html)
    assert "&lt;script&gt;" in html
    assert "Noisy run" in html
    assert "What changed" in html


def test_page_shows_hits_new_tokens_and_another_environment_apart() -> None:
    """Each kind of served figure has bars of its own, over its own baseline."""
    result = _result(50)
    figure = result.figures.pop()
    over = {"low": 9, "median": 10, "high": 11}
    for name in ("hit.10k", "cold.HS256", "hit.10k.uvicorn.asgi.against"):
        result.figures.append(
            figure | {"id": f"served.{name}", "group": "served", "name": name, "over": over}
        )
    html = result_page(result)
    for said in ("whose token is cached", "with a new token", "over the linqi of the other"):
        assert said in html


def test_runs_of_several_pythons_stand_side_by_side(tmp_path: Path) -> None:
    """A column for each run, what is added over the baseline, and an empty cell for no figure."""
    old, new = _result(50), _result(50)
    new.machine["python"] = "CPython 3.13.0"
    over = {"low": 9, "median": 10, "high": 12}
    new.figures.append(new.figures[0] | {"id": "a", "name": "added", "over": over, "raw": 40.0})
    table = side_by_side([old, new])
    assert "| figure | s | CPython 3.13.0 |" in table
    assert "| hit | 50.00 µs | 50.00 µs |" in table
    assert "| added |  | +10.0 ±1.5 over 40.00 µs |" in table
    old.write(tmp_path / "old.json")
    command = [sys.executable, "-m", "linqi_bench.side_by_side", "old.json", "none.json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert (ran.returncode, "none.json" in ran.stderr) == (1, True)
    ran = subprocess.run(command[:-1], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert "| hit | 50.00 µs |" in ran.stdout


def test_settings_of_a_file_are_those_that_are_measured(tmp_path: Path) -> None:
    """The cache and the renewal are the user's; without a file they are the defaults."""
    (tmp_path / "linqi.toml").write_text(
        "[cache]\nmax_entries = 7\n[renewal]\nlifetime_seconds = 600\nbuffer_seconds = 60\n"
    )
    settings = Settings.find(tmp_path / "linqi.toml")
    assert settings.cache().max_entries == 7
    assert settings.cache(max_entries=9).max_entries == 9
    assert settings.renewal.buffer == 60
    assert Settings().as_json()["source"] == "defaults"


def _bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "linqi", "bench", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


def test_run_writes_each_figure_with_its_budget_and_the_machine(tmp_path: Path) -> None:
    """One quick figure, run as a user runs it, from a directory with a configuration of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    options = ("--quick", "--only", "test_hit", "--markdown", "out.md")
    ran = _bench(tmp_path, *options)
    assert ran.returncode == 0, ran.stderr
    assert "hit, 800-byte token" in ran.stdout
    result = Result.read(tmp_path / "linqi-bench.json")
    assert {"processor", "cpus", "python", "libraries", "taken_at"} <= result.machine.keys()
    (figure,) = result.figures
    assert (figure["id"], figure["unit"]) == ("cache.hit.800B", "us")
    assert figure["limit"]["kind"] == "value"
    assert figure["value"]["low"] <= figure["value"]["median"] <= figure["value"]["high"]
    assert 0 < figure["ratio_to_pyjwt"] < 1
    assert 800 <= figure["details"]["token_bytes"] <= 802
    assert "| hit, 800-byte token |" in (tmp_path / "out.md").read_text()
    assert "hit, 800-byte token" in (tmp_path / "linqi-bench.html").read_text()
    again = _bench(tmp_path, *options, "--compare", "linqi-bench.json")
    assert again.returncode == 0, again.stderr
    assert "1 figures compared" in again.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "no_such_figure"), "--only"),
        (("--compare", "none.json"), "none.json"),
        (("--config", "none.toml"), "none.toml"),
        (("--against", "no/python"), "no/python"),
    ],
)
def test_run_that_cannot_be_done_fails(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """A misspelt name or a missing file is an error, not an empty success."""
    ran = _bench(tmp_path, *options)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_server_is_measured_by_its_own_cpu_time(tmp_path: Path) -> None:
    """Real servers, load from another process, the added CPU of new tokens."""
    ran = _bench(tmp_path, "--quick", "--only", "test_served_cold and HS256 and uvicorn and asgi")
    assert ran.returncode == 0, ran.stderr
    (figure,) = Result.read(tmp_path / "linqi-bench.json").figures
    assert figure["id"] == "served.cold.HS256.uvicorn.asgi"
    assert 0 < figure["raw"] < figure["value"]["median"] < 5_000
    assert figure["limit"]["kind"] == "over"


@pytest.mark.long
def test_linqi_of_another_environment_is_served_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same linqi twice costs the same; without wrk, the load is a process of our own."""
    monkeypatch.setenv("PATH", "")
    only = ("--quick", "--only", "test_served_hit and 10k and uvicorn and asgi")
    ran = _bench(tmp_path, *only, "--against", sys.executable)
    assert ran.returncode == 0, ran.stderr
    ours, beside = Result.read(tmp_path / "linqi-bench.json").figures
    assert ours["raw_is"] == "the bare app, loaded by linqi_bench.load"
    assert beside["id"] == ours["id"] + ".against" == "served.hit.10k.uvicorn.asgi.against"
    assert ours["value"]["median"] == beside["value"]["median"] > ours["raw"]
    assert 0.5 < beside["raw"] / beside["value"]["median"] < 2
    assert beside["limit"] is None


def test_a_call_is_measured_after_other_work_too(tmp_path: Path) -> None:
    """A full run measures a call that is not ours after other work, too."""
    ran = _bench(tmp_path, "--only", "test_after_other_work and sha256")
    assert ran.returncode == 0, ran.stderr
    figures = Result.read(tmp_path / "linqi-bench.json").figures
    works = ["nothing", "socket", "copy", "both"]
    assert [figure["id"] for figure in figures] == [f"surroundings.sha256.{work}" for work in works]
    for figure in figures:
        assert 0 < figure["value"]["median"] < 5_000  # what it adds may be lost in noise
        assert figure["over"]["median"] <= figure["value"]["median"]


def test_the_first_request_of_a_process_is_measured(tmp_path: Path) -> None:
    """Time and memory beside those of PyJWT, in processes that load what they need alone."""
    ran = _bench(tmp_path, "--quick", "--only", "test_the_first_request_of_a_process and HS256")
    assert ran.returncode == 0, ran.stderr
    took, grown = Result.read(tmp_path / "linqi-bench.json").figures
    assert (took["id"], grown["id"]) == ("import.HS256.time", "import.HS256.memory")
    assert 20 < took["raw"] < 2 * took["value"]["median"] < 10_000
    assert 15 < grown["raw"] < grown["value"]["median"] < 1.3 * grown["raw"]
    assert (took["limit"]["kind"], took["limit"]["most"]) == ("ratio", 1.3)
    assert 150 < took["details"]["modules"] < 330


def test_soak_grows_by_no_object() -> None:
    """Tokens that come and go leave nothing behind: not in caches, memos or tables."""
    readings = soak(80_000, readings=4)
    assert len(readings) >= 4
    first, last = readings[1], readings[-1]
    assert abs(last.objects - first.objects) < 70  # of 4,000 sessions
    assert last.resident_bytes - first.resident_bytes < 2_700_000


def test_suites_run_as_ordinary_benchmarks(tmp_path: Path) -> None:
    """pytest-benchmark reports the figures that it takes, and leaves out those timed in pairs."""
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-p", "no:cacheprovider"]
    options = ["--benchmark-only", "-k", "test_judge or test_refreshing_auth"]
    quick = ["--benchmark-max-time=0.1", f"--benchmark-storage={tmp_path}", "--benchmark-autosave"]
    file = tmp_path / "out.json"
    first, second = (
        subprocess.run(
            [*command, *options, *quick, f"--benchmark-json={file}", *more],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if "XDIST" not in name},
            capture_output=True,
            text=True,
            timeout=200,
        )
        for more in ([], ["--benchmark-compare"])
    )
    assert "1 passed, 2 skipped" in first.stdout, first.stdout + first.stderr
    assert "client.judge: blocks of 500 calls" in first.stdout
    assert "test_judge (0001_" in second.stdout, second.stdout + second.stderr
    (found,) = json.loads(file.read_text())["benchmarks"]
    assert found["extra_info"] == {"figure": "client.judge", "calls_per_round": 500}
    assert 0 < found["stats"]["median"] / 500 < 1e-4


def test_pytest_collects_the_suites_that_linqi_bench_runs() -> None:
    """The list of ``bench/pytest.ini`` is that of `SUITES`."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "bench" / "pytest.ini")
    assert settings["pytest"]["python_files"].split() == [f"{name}.py" for name in SUITES]


class _ClosingHandler(socketserver.BaseRequestHandler):
    """Closes each connection after three requests."""

    requests = 3

    def handle(self) -> None:
        for _ in range(self.requests):
            if self.request.recv(4096):
                self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


class _SilentHandler(_ClosingHandler):
    """Closes each connection at once."""

    requests = 0


@contextlib.contextmanager
def _load_of(handler: type[_ClosingHandler]) -> Iterator[Callable[[], float]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        load = HttpLoad(["token"])
        yield lambda: load.send(server.server_address[1], 1)
        load.close()
        server.shutdown()


def test_load_opens_a_connection_again_that_the_server_closed() -> None:
    """A keep-alive that ends between two requests does not end the run."""
    with _load_of(_ClosingHandler) as send:
        assert all(send() > 0 for _ in range(10))


def test_load_ends_when_a_server_never_responds() -> None:
    """A connection is opened again three times, not for ever."""
    closed = pytest.raises(ConnectionError, match="closed the connection before")
    with _load_of(_SilentHandler) as send, closed:
        send()
