"""Requirements on the figures of a storm: their form, their outcome, and where they are stated."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from linqi import ConfigurationError
from linqi.cli import main as linqi
from linqi_storm.report.comparison import changes, check_baseline, no_worse_than
from linqi_storm.report.headline import headline
from linqi_storm.run.invariants import every_invariant
from linqi_storm.run.required import read_required
from linqi_storm.schema.figures import FIGURES, figures_with, lost_sessions
from linqi_storm.schema.requirements import parse_requirements
from linqi_storm.schema.result_file import load_run, save_run
from linqi_storm.schema.results import OUTCOMES, StormRun

STORMS = Path(__file__).parent / "storms"
ALL = figures_with(every_invariant())


def plain() -> StormRun:
    """Return a recorded storm of the plain policy on a valid run."""
    return load_run(STORMS / "plain.json")


def outcome(text: str, run: StormRun) -> bool:
    """Return whether `run` meets the requirement `text`."""
    (requirement,) = parse_requirements([text], ALL)
    return requirement.judged(run).passed


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("sessions <= 300", True),
        ("sessions == 300", True),
        ("sessions < 300", False),
        ("sessions >= 300", True),
        ("sessions > 300", False),
        ("sessions<301", True),
        ("sessions > -.5", True),
    ],
)
def test_each_comparison_is_exact_at_its_limit(text: str, holds: bool) -> None:
    """A limit itself is met by <=, >= and ==, and by nothing else."""
    run = plain()
    run = replace(run, sessions=replace(run.sessions, total=300))
    assert outcome(text, run) is holds


def test_a_number_may_have_another_unit_of_the_same_kind() -> None:
    """Without a unit it is in that of the figure; 0.2 s are exactly 200 ms."""
    limits = {
        text: parse_requirements([text], ALL)[0].limit
        for text in (
            *("p99_in_ms <= 200", "p99_in_ms <= 200 ms", "p99_in_ms <= 0.2 s", "p99_ms < 1 min"),
            *("memory_mb < 1 GB", "requests_per_second > 60 /min", "cache_hit_percent >= 90%"),
        )
    }
    assert list(limits.values()) == [200, 200, 200, 60_000, 1000, 1, 90]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p99_im_ms <= 200", "no figure is named 'p99_im_ms'; did you mean p99_in_ms"),
        ("forced_sign_in <= 1", "did you mean forced_sign_ins"),
        ("qqq <= 1", "linqi storm --figures lists them"),
        ("p99_in_ms <= 200 MB", "p99_in_ms is in ms, but the requirement says 200 MB"),
        ("storm_factor <= 2 s", "storm_factor has no unit, but the requirement says 2 s"),
        ("storm_factor = 2", "'storm_factor = 2' is not a requirement"),
        ("deploy", "expected a figure, one of <= < >= > == and a number"),
        ("storm_factor <= nan", "is not a requirement"),
        ("storm_factor <= 1 <= 2", "is not a requirement"),
    ],
)
def test_what_is_no_requirement_is_refused_with_its_reason(text: str, message: str) -> None:
    """A misspelt limit must never count as met."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse_requirements(["sessions > 0", text], ALL)


def test_a_figure_that_was_not_measured_fails() -> None:
    """A run without windows, servers or a stored session has no such figure, and says so."""
    run = replace(plain(), inside=None)
    (requirement,) = parse_requirements(["p99_in_ms <= 1000"], ALL)
    judged = requirement.judged(run)
    assert (judged.passed, judged.seen, judged.measured) == (False, None, "not measured")
    assert "this run did not measure it" in judged.detail
    assert replace(run, requirements=(judged,)).verdict == "FAIL"
    assert not outcome("refresh_families_killed_without_theft == 0", run)


def test_every_figure_is_a_number_of_a_complete_run() -> None:
    """Each getter works on recorded runs, and the known ones equal what the result holds."""
    runs = [load_run(STORMS / f"{name}.json") for name in ("plain", "grid", "dual", "dual-tabs")]
    for name, figure in ALL.items():
        values = [figure.get(run) for run in runs]
        assert all(value is None or value == value for value in values), name
        assert name == figure.name
    run, grid = runs[0], runs[1]
    assert run.inside is not None
    of: Callable[[str], float | None] = lambda name: ALL[name].get(run)  # noqa: E731
    assert of("storm_factor") == run.peaks[0].factor
    assert of("storm_factor_whole") == run.peaks[-1].factor
    assert of("p99_in_ms") == run.inside.intended.at(99)
    assert of("p999_in_sent_ms") == run.inside.service.at(99.9)
    assert of("forced_sign_ins_per_1000_sessions") == pytest.approx(
        1000 * lost_sessions(run) / run.sessions.total
    )
    assert of("forced_logouts_of_honest_users") == run.sessions.forced_out
    assert sum(FIGURES[f"responses_{kind}"].get(grid) or 0 for kind in OUTCOMES) == sum(
        sum(second.outcomes.values()) for second in grid.timeline
    )


def test_every_invariant_is_a_figure_with_its_kind() -> None:
    """The value of each can be limited by name, and counts of wrong outcomes hold in void runs."""
    assert len(figures_with(every_invariant())) == len(FIGURES) + len(every_invariant())
    assert ALL["forged_tokens_accepted"].kind == "safety"
    assert ALL["signatures_per_renewal"].kind == "load"
    assert ALL["growth_of_a_worker_memory_per_cent"].kind == "load"


def test_a_requirement_on_a_latency_is_void_with_the_run() -> None:
    """A failed one does not fail a void run, and a requirement on safety does."""
    run = plain()
    void = replace(run, generator=replace(run.generator, is_valid=False))
    for text, verdict in (("p99_ms <= 0", "VOID"), ("forged_tokens_accepted > 0", "FAIL")):
        required = read_required([text]).judge(void)
        if verdict == "FAIL":
            checks = tuple(replace(check, kind="safety") for check in void.checks)
            required = read_required([text]).judge(replace(void, checks=checks))
        assert required.verdict == verdict


def test_requirements_of_the_file_and_of_the_options_hold_together(tmp_path: Path) -> None:
    """``[storm] require`` is read from linqi.toml; one stated twice counts once."""
    file = tmp_path / "linqi.toml"
    file.write_text('[storm]\nrequire = ["sessions >= 1", "storm_factor <= 1.5"]\n')
    required = read_required(["sessions >= 1", "requests >= 1"], file=file)
    assert [limit.text for limit in required.limits] == [
        *("sessions >= 1", "storm_factor <= 1.5", "requests >= 1")
    ]
    assert read_required([]).judge(plain()).requirements == ()


def test_the_file_refuses_what_has_not_the_form_of_a_requirement(tmp_path: Path) -> None:
    """``linqi check`` finds it without the load-test packages."""
    file = tmp_path / "linqi.toml"
    file.write_text('[storm]\nrequire = ["storm_factor"]\n')
    with pytest.raises(ConfigurationError, match=r"require.*p99_in_ms <= 200"):
        read_required([], file=file)


def test_a_baseline_names_each_figure_that_got_worse() -> None:
    """Plain after grid: the storm factor is worse, beyond noise; grid after plain is not."""
    grid = load_run(STORMS / "grid.json")
    worse = [check.figure for check in no_worse_than(grid, plain()) if not check.passed]
    assert "storm_factor" in worse
    assert all(check.passed for check in no_worse_than(plain(), plain()))
    (factor,) = (c for c in no_worse_than(plain(), grid) if c.figure == "storm_factor")
    assert factor.passed
    assert "at most" in factor.expected
    assert "noise: the 95 % interval" in factor.detail
    names = {change.figure.name for change in changes(grid, grid)}
    assert names >= {"storm_factor", "p99_in_ms", "cache_hit_percent", "signatures_per_renewal"}


def test_a_figure_that_only_the_baseline_has_is_worse() -> None:
    """A run that was not measured does not pass as equal."""
    unseen = replace(plain(), inside=None)
    (check,) = (c for c in no_worse_than(plain(), unseen) if c.figure == "p99_in_ms")
    assert (check.passed, check.measured) == (False, "not measured")
    assert "p99_in_ms" not in {check.figure for check in no_worse_than(unseen, plain())}


def test_a_baseline_of_another_load_is_refused() -> None:
    """Factors are only comparable at the same window; so is everything that follows from it."""
    run = plain()
    check_baseline(run, run.setup.scenario, replace(run.setup.load, seed=99))
    with pytest.raises(ConfigurationError, match="sessions is") as caught:
        check_baseline(run, "deploy", replace(run.setup.load, sessions=7))
    assert len(caught.value.faults) == 2
    void = replace(run, generator=replace(run.generator, is_valid=False))
    with pytest.raises(ConfigurationError, match="the baseline is void"):
        check_baseline(void, run.setup.scenario, run.setup.load)


def test_requirements_reach_the_exit_code_and_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``linqi storm report`` judges an earlier result again."""
    result, junit = tmp_path / "storm.json", tmp_path / "storm.xml"
    passed = replace(plain(), checks=tuple(replace(c, passed=True) for c in plain().checks))
    save_run(passed, result)
    arguments = ["storm", "report", str(result), "--junit", str(junit), "--require"]
    assert linqi([*arguments, "sessions >= 1", "storm_factor <= 1000"]) == 0
    assert "and 2 requirements held" in capsys.readouterr().out.replace("\n", " ")
    assert linqi([*arguments, "sessions >= 1", "storm_factor <= 1"]) == 1
    shown = capsys.readouterr().out
    assert "1 of 2 requirements did not hold: storm_factor <= 1" in shown.replace("\n", " ")
    cases = {case.get("name"): case for case in Xml.parse(junit).iter("testcase")}  # noqa: S314
    assert cases["storm_factor <= 1"].find("failure") is not None
    assert cases["sessions >= 1"].find("failure") is None
    page = (tmp_path / "storm.html").read_text()
    assert "storm_factor &lt;= 1" in page
    assert linqi(["storm", "--figures"]) == 0
    assert "forced_sign_ins_per_1000_sessions" in capsys.readouterr().out


def test_requirements_are_part_of_the_result_file(tmp_path: Path) -> None:
    """They are read as they were written, with what was measured."""
    run = read_required(["storm_factor <= 1"]).judge(plain())
    save_run(run, tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == run
    (written,) = json.loads((tmp_path / "run.json").read_text())["requirements"]
    assert (written["name"], written["passed"]) == ("storm_factor <= 1", False)
    assert "1 of 1 requirement did not hold" in headline(run)
