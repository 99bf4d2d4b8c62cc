"""The tuner in continuous integration and in the demonstration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from linqi.config.reader import load
from linqi_storm.schema.result_file import load_run, save_run
from linqi_storm.schema.results import StormRun
from linqi_tune.demo.tune_and_prove import run_tuning
from linqi_tune.model.measurements import REFERENCE_COSTS
from linqi_tune.smoke import main, simulated_sign_ins, simulated_visits

STORMS = Path(__file__).parent / "storms"


def kept_up(name: str) -> StormRun:
    """Return a recorded storm whose generator kept up."""
    return load_run(STORMS / f"{name}.json")


def write_bench(path: Path, verify: Mapping[str, float], sign: Mapping[str, float]) -> None:
    """Write a result of ``linqi bench``."""
    figures = [
        {"id": name, "unit": "us", "value": {"low": us, "median": us, "high": us}}
        for name, us in (
            *((f"verify.cold.{alg}", us) for alg, us in verify.items()),
            *((f"sign.{alg}", us) for alg, us in sign.items()),
            ("middleware.hit", 3.0),
        )
    ]
    size = {"low": 9.0, "median": 900.0, "high": 9.0}
    figures.append({"id": "cache.bytes_per_entry.1", "unit": "bytes", "value": size})
    told = {"kind": "linqi-bench", "format": 2, "figures": figures, "machine": {}}
    path.write_text(json.dumps(told))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the folder of a demo, with a result of the benchmarks beside it."""
    write_bench(tmp_path / "bench.json", REFERENCE_COSTS.verify, REFERENCE_COSTS.sign)
    folder = tmp_path / "results"
    folder.mkdir()
    save_run(load_run(STORMS / "plain.json"), folder / "storm-plain.json")
    save_run(kept_up("grid"), folder / "storm-grid.json")
    return folder


def test_the_tuner_passes_on_results_of_every_kind(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A void storm is skipped, and the predicted sign-ins are those of the simulated log."""
    assert main([str(results.parent / "bench.json"), str(results)]) == 0
    assert "predicted" in capsys.readouterr().out


def test_a_tuner_that_cannot_read_fails_the_run(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails if the tuner fails."""
    (results.parent / "bench.json").write_text("{}")
    assert main([str(results.parent / "bench.json"), str(results)]) == 1
    assert "failed: the exit code is 2" in capsys.readouterr().out


def test_a_visit_after_expiry_is_a_forced_sign_in() -> None:
    """Of a token due at 840 s, a visit before 900 s renews and a visit at 900 s is too late."""
    assert simulated_sign_ins([[0.0, 850.0], [0.0, 839.0, 900.0], [0.0, 10.0]]) == 1
    assert simulated_visits() == simulated_visits()


def storms(**generator: Any) -> list[Any]:
    """Return a list of the storms that were run, and a function that runs recorded ones."""
    orders: list[Any] = []

    def run_storm(order: Any, progress: Any) -> StormRun:
        orders.append(order)
        run = kept_up("plain" if order.policy == "plain" else "grid")
        return replace(run, generator=replace(run.generator, **generator))

    return [orders, run_storm]


def test_the_demo_ends_with_settings_and_their_proof(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad file is tuned, and the page and the storms of both sides are written."""
    console = Console(record=True, width=80)
    orders, run_storm = storms()
    monkeypatch.setattr("linqi_storm.run.runner.run_storm", run_storm)
    save_run(kept_up("plain"), results / "storm-plain.json")
    # The recorded storms forced as many sign-ins before as after: that is no success.
    assert not run_tuning(console, results, kept_up("plain"))
    assert [order.policy for order in orders] == ["plain", "grid"]
    assert {order.load.sessions for order in orders} == {200}
    config = load(results / "linqi.toml")
    assert config.renewal.policy == "grid"
    assert config.renewal.buffer_seconds > 60
    assert "Predicted against measured" in (results / "tuning.html").read_text()
    printed = console.export_text()
    for text in ('-policy = "plain"', "measured (predicted)", "forced sign-ins per 1,000"):
        assert text in printed
    for name in ("before-1.html", "tuning.html"):
        assert name in printed


def test_a_demo_whose_storms_are_void_says_so_and_does_not_fail(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storm that is void three times ends the demo without a failure."""
    console = Console(record=True, width=80)
    orders, run_storm = storms(is_valid=False, faults=("late",))
    monkeypatch.setattr("linqi_storm.run.runner.run_storm", run_storm)
    assert run_tuning(console, results, load_run(STORMS / "void.json"))
    assert len(orders) == 3
    assert "void" in console.export_text()
    assert load(results / "linqi.toml").renewal.policy == "plain"
