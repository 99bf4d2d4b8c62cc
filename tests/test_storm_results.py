"""The result file of a storm: written, read, and refused if it is anything else."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from linqi import ConfigurationError
from linqi_storm.schema.result_file import load_run, save_run
from linqi_storm.schema.results import (
    Check,
    CheckKind,
    Generator,
    Histogram,
    Lags,
    Latencies,
    RequestLoad,
    Second,
    SessionCounts,
    Setup,
    Spectrum,
    StormRun,
    Target,
    Traffic,
)


def a_spectrum() -> Spectrum:
    """Return a spectrum of four responses."""
    return Spectrum(
        count=4,
        mean_ms=2.5,
        max_ms=4.0,
        percentiles=(
            0,
            50,
            75,
            100,
        ),
        values_ms=(
            1,
            2,
            3,
            4,
        ),
        hdr="",
    )


def a_run() -> StormRun:
    """Return a small run."""
    latencies = Latencies(service=a_spectrum(), intended=a_spectrum())
    return StormRun(
        setup=Setup(
            scenario="steady",
            summary="nothing happens",
            load=RequestLoad(
                sessions=2,
                duration_seconds=1,
                lifetime_seconds=30,
                buffer_seconds=10,
                compression=30,
                not_kept=(),
                seed=1,
                gaps="exponential",
                mean_gap_seconds=1,
                mean_parallel=1,
                login_spread_seconds=0,
            ),
            target=Target(
                kind="embedded",
                name="embedded",
                mode="sliding",
                policy="grid",
                algorithm="ES256",
                key_bits=256,
                workers=1,
                store="",
            ),
            generators=1,
            began_at=0,
            machine={"cpus": 2},
            versions={"linqi": "0"},
        ),
        timeline=(Second(second=0, requests=4, outcomes={"ok": 4}),),
        windows=(),
        peaks=(),
        sessions=SessionCounts(total=2, logins=0, renewals=0, cycles=0, lapsed=0, forced_out=0),
        latencies=latencies,
        lags=Lags(lags=Histogram()),
        traffic=Traffic(gaps=Histogram(), parallel=Histogram(), pages=4, requests=4),
        checks=(Check(name="forced logouts", limit=0, seen=0, passed=True),),
        generator=Generator(lag_p50_ms=0.1, lag_p99_ms=1, lag_max_ms=2, cpu_p95=0.2, is_valid=True),
    )


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading a run changes nothing."""
    save_run(a_run(), tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == a_run()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "1"}', '{"schema": 1}'])
def test_a_file_that_is_not_a_run_is_refused(tmp_path: Path, text: str) -> None:
    """A file without the fields of a run is refused with its name."""
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"run\.json"):
        load_run(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is a configuration error."""
    with pytest.raises(ConfigurationError, match=r"missing\.json"):
        load_run(tmp_path / "missing.json")


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    """A run of another schema is refused rather than misread."""
    save_run(replace(a_run(), schema=2), tmp_path / "run.json")
    with pytest.raises(ConfigurationError, match="schema 2"):
        load_run(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("kind", "is_broken", "is_late", "verdict"),
    [
        ("safety", False, False, "PASS"),
        ("safety", True, False, "FAIL"),
        ("safety", True, True, "FAIL"),
        ("safety", False, True, "VOID"),
        ("load", False, False, "PASS"),
        ("load", True, False, "FAIL"),
        ("load", True, True, "VOID"),
        ("load", False, True, "VOID"),
    ],
)
def test_a_late_generator_hides_no_violation_of_safety(
    kind: CheckKind, is_broken: bool, is_late: bool, verdict: str
) -> None:
    """What was accepted, leaked or lost is true of a void run; its rates are not."""
    run = a_run()
    check = Check(name="a rule", kind=kind, limit=0, seen=int(is_broken), passed=not is_broken)
    run = replace(run, checks=(check,), generator=replace(run.generator, is_valid=not is_late))
    assert run.verdict == verdict
    assert bool(run.broken) == (verdict == "FAIL")


def test_checks_of_earlier_results_keep_their_verdict(tmp_path: Path) -> None:
    """A check without a kind is void with its run, as it was when it was written."""
    run = a_run()
    save_run(
        replace(
            run,
            checks=(replace(run.checks[0], seen=1, passed=False),),
            generator=replace(run.generator, is_valid=False),
        ),
        tmp_path / "run.json",
    )
    text = re.sub(r'\s*"kind": "load",', "", (tmp_path / "run.json").read_text(), count=1)
    assert '"passed": false' in text
    assert 'load"' not in text.partition('"checks"')[2]
    (tmp_path / "run.json").write_text(text)
    assert load_run(tmp_path / "run.json").verdict == "VOID"


def test_a_spectrum_gives_the_latency_at_a_percentile() -> None:
    """The value is the first whose percentile reaches the one requested."""
    assert [a_spectrum().at(share) for share in (0, 50, 60, 99.9)] == [1, 2, 3, 4]


def test_the_share_above_is_counted_by_buckets() -> None:
    """The share of values above a bound is the share that a buffer of that length loses."""
    lags = Histogram(
        values=(
            0.1,
            1.0,
            5.0,
        ),
        counts=(
            6,
            3,
            1,
        ),
    )
    assert lags.share_above(0.5) == pytest.approx(0.4)
    assert lags.share_above(5.0) == 0
    assert Histogram().share_above(1) == 0
