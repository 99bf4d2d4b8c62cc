"""Stages of a load: who is active when, as a ramp says."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError
from linqi_storm.command import add_options
from linqi_storm.run.pacing import busy_rate
from linqi_storm.run.storm_options import config_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.stages import (
    Stage,
    joins_at,
    leaves_at,
    most_active,
    parse_stage,
    sessions_of,
)


def config(*arguments: str) -> StormConfig:
    """Parse a command line."""
    parser = ArgumentParser()
    add_options(parser)
    return config_of(parser.parse_args(arguments), arguments)


@pytest.mark.parametrize(
    ("text", "seconds", "sessions"),
    [("2m:500", 120, 500), ("1m30s:0", 90, 0), ("0s:7", 0, 7), ("1.5h:1", 5400, 1)],
)
def test_a_stage_is_read_as_k6_writes_durations(text: str, seconds: float, sessions: int) -> None:
    """Units follow each number; the sessions follow the colon."""
    assert parse_stage(text) == Stage(seconds=seconds, sessions=sessions)


@pytest.mark.parametrize("text", ["", "2m", "2:500", "m:5", "2m:-1", "2m:1.5", "2m :5", "-2m:5"])
def test_another_text_is_no_stage(text: str) -> None:
    """The message says what is expected."""
    with pytest.raises(ConfigurationError, match="expected DURATION:SESSIONS"):
        parse_stage(text)


STAGES = st.lists(
    st.builds(Stage, seconds=st.integers(1, 60).map(float), sessions=st.integers(0, 50)),
    min_size=1,
    max_size=5,
)


@given(stages=STAGES, share=st.floats(0.01, 0.99))
def test_as_many_sessions_are_active_as_the_ramp_says(stages: list[Stage], share: float) -> None:
    """At every instant the number of those that joined and did not leave is the ramp's height."""
    lives = [(joins_at(stages, i), leaves_at(stages, i)) for i in range(sessions_of(stages))]
    assert all(joins < leaves for joins, leaves in lives)
    begins, active = 0.0, 0
    for stage in stages:
        at = begins + share * stage.seconds
        wanted = active + share * (stage.sessions - active)
        there = sum(joins <= at < leaves for joins, leaves in lives)
        assert abs(there - wanted) <= 1
        begins, active = begins + stage.seconds, stage.sessions
    assert sum(leaves > begins for _, leaves in lives) >= active
    assert most_active(stages) == max(stage.sessions for stage in stages)


def test_stages_set_sessions_and_duration() -> None:
    """Their durations are those of the run, whatever the compression; lifetimes are compressed."""
    load = config("--stage", "10s:40", "--stage", "5s:10", "--stage", "5s:30").load
    assert (load.sessions, load.active, load.duration) == (60, 40, 20)
    assert load.lifetime == 60


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--stage", "5s:9", "--sessions", "9"), "both --stage and --sessions"),
        (("--stage", "5s:9", "--seconds", "9"), "both --stage and --seconds"),
        (("--stage", "0s:9"), "last 0 s"),
        (("--stage", "9s:0"), "no stage has a session"),
        (("--tag", "nightly"), "--tag takes NAME=VALUE"),
    ],
)
def test_contradicting_options_are_refused(arguments: tuple[str, ...], what: str) -> None:
    """What stages decide cannot be given as well."""
    with pytest.raises(ConfigurationError, match=what):
        config(*arguments)


def test_scenarios_with_a_plan_of_their_own_take_no_stages() -> None:
    """Sessions that sign out at planned instants would do so before they exist."""
    load = config("revoke", "--stage", "5s:9").load
    with pytest.raises(ConfigurationError, match="takes no --stage"):
        find_scenario("revoke")(load, {})


def test_the_load_that_is_planned_ends_with_its_sessions() -> None:
    """Sessions that have left need no core of the load generator."""
    stages = (Stage(seconds=1, sessions=50), Stage(seconds=39, sessions=0))
    ramped = StormLoad(sessions=50, duration=40, gap=1, pages=False, stages=stages)
    flat = StormLoad(sessions=50, duration=40, gap=1, pages=False)
    rates = [busy_rate(find_scenario("storm-sliding")(load, {})) for load in (ramped, flat)]
    assert rates[0] < rates[1]


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["storm-sliding", "lost-replies"])
def test_a_real_storm_follows_its_stages(tmp_path: Path, scenario: str) -> None:
    """Requests rise and fall with the sessions, and every invariant holds."""
    stages = ("--stage", "5s:120", "--stage", "5s:10", "--stage", "5s:10")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "linqi", "storm", scenario, *stages, "--alg", "ES256"),
            *("--gap-seconds", "10", "--tag", "branch=main", "--output", "run.json"),
            *("--csv", "run.csv", "--markdown", "run.md"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    run = json.loads((tmp_path / "run.json").read_text())
    counts = [second["requests"] for second in run["timeline"]]
    assert sum(counts[4:7]) > 3 * sum(counts[11:14])
    assert sum(counts[4:7]) > 2 * sum(counts[:3])
    assert run["setup"]["tags"] == {"branch": "main"}
    assert run["setup"]["load"]["sessions"] == 120
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 1 + len(counts)
    assert "branch main" in (tmp_path / "run.md").read_text()
