"""A storm is fitted to its load generator before it begins, and never in silence."""

from dataclasses import replace
from pathlib import Path

import pytest

from linqi import ConfigurationError
from linqi_storm.clients.calibration import MachinePace, calibrate
from linqi_storm.run.local_target import LocalTarget
from linqi_storm.run.pacing import PacedStorm, busy_rate, pace_storm
from linqi_storm.run.server_pace import overload_of, server_request_us
from linqi_storm.run.targets import plan_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import GeneratorPlan
from linqi_storm.schema.load import StormLoad

FAST = MachinePace(request_us=250, lag_p99_ms=0.3, requests=350)
EVEN = StormLoad(
    sessions=1_000, lifetime=60, buffer=20, duration=40, gap=1, pages=False, compression=15
)


def ordered(load: StormLoad, name: str = "storm-sliding") -> tuple[StormConfig, Scenario]:
    """Return the settings of a storm, and its scenario."""
    return StormConfig(scenario=name, load=load), find_scenario(name)(load, {})


def paced(
    load: StormLoad,
    pace: MachinePace = FAST,
    *,
    cores: int = 1,
    sessions: bool = False,
    processes: bool = False,
) -> PacedStorm:
    """Return a storm as it is fitted to a machine."""
    storm, scenario = ordered(load)
    return pace_storm(
        storm,
        scenario,
        pace,
        cores=cores,
        is_size_fixed=sessions,
        are_processes_fixed=processes,
    )


def test_a_storm_that_fits_stays_as_it_was_ordered() -> None:
    """What it needs is said, with nothing changed and no warning."""
    found = paced(EVEN)
    assert found.storm == ordered(EVEN)[0]
    assert found.warnings == ()
    (said,) = found.chosen
    assert "250 us" in said
    assert "of a core in 1 process" in said


def test_the_planned_rate_is_that_of_the_requests_that_are_sent() -> None:
    """1,000 sessions with a pause of a second send 1,000 requests per second and the hostile."""
    for sessions in (1_000, 20_000):
        rate = busy_rate(ordered(replace(EVEN, sessions=sessions))[1])
        assert rate == pytest.approx(sessions, rel=0.08)
    pages = busy_rate(ordered(replace(EVEN, pages=True))[1])
    assert pages == pytest.approx(1_000 * ordered(replace(EVEN, pages=True))[1].pages.mean, rel=0.1)
    tabs = busy_rate(ordered(replace(EVEN, sessions=250), "tabs")[1])
    assert tabs == pytest.approx(1_000, rel=0.1)
    polls = busy_rate(ordered(EVEN, "polling")[1])
    assert polls == pytest.approx(1_000, rel=0.1)  # half of the users leave
    ssr = busy_rate(ordered(replace(EVEN, sessions=50), "ssr")[1])
    assert ssr == pytest.approx(1_000, rel=0.3)
    assert busy_rate(ordered(EVEN, "garbage-flood")[1]) > 1_150


def test_processes_are_added_where_there_are_cores() -> None:
    """4,000 requests per second need a core: two processes, if two cores are free."""
    found = paced(replace(EVEN, sessions=4_000), cores=8)
    assert (found.storm.generators, found.storm.load.sessions) == (2, 4_000)
    assert "in 2 processes" in found.chosen[0]
    assert paced(replace(EVEN, sessions=4_000), cores=8, processes=True).storm.generators == 1


def test_sessions_that_were_not_set_are_reduced() -> None:
    """On one core 4,000 requests per second are cut to what 65 % of it can send."""
    found = paced(replace(EVEN, sessions=4_000))
    assert found.storm.load.sessions == pytest.approx(2_600, rel=0.08)
    assert f"{found.storm.load.sessions} sessions instead of 4000" in found.chosen[1]
    assert found.warnings == ()


def test_sessions_that_were_set_are_kept_with_a_warning() -> None:
    """The run may be void: its user learns so before it begins."""
    found = paced(replace(EVEN, sessions=4_000), sessions=True)
    assert found.storm.load.sessions == 4_000
    (warning,) = found.warnings
    assert "use --sessions 2" in warning
    assert "--processes 2" in warning


def test_a_load_far_beyond_the_machine_is_refused() -> None:
    """A tenth of a storm is another storm."""
    with pytest.raises(ConfigurationError, match="this machine can send the load of"):
        paced(replace(EVEN, sessions=40_000))


def test_late_timers_are_told_before_the_run() -> None:
    """Other processes make a run void whatever its load is."""
    (warning,) = paced(EVEN, replace(FAST, lag_p99_ms=25)).warnings
    assert "25 ms late" in warning


def test_the_calibration_measures_real_requests() -> None:
    """Its clients send some hundred requests to a real responder."""
    pace = calibrate()
    assert 2_800 < pace.requests < 5_200
    assert 20 < pace.request_us < 20_000
    assert pace.lag_p99_ms > 0


def test_servers_that_cannot_carry_the_load_are_told_before_the_run() -> None:
    """Two workers and a generator share two cores: 0.7 of 1.5 may be used."""
    _, scenario = ordered(replace(EVEN, sessions=4_000))
    assert overload_of(scenario, 200, 2, generators=1, cores=2) == ""
    note = overload_of(scenario, 500, 2, generators=1, cores=2)
    assert "500 us" in note
    assert "use --sessions 2" in note
    assert overload_of(scenario, 500, 4, generators=1, cores=8) == ""
    assert overload_of(scenario, 500, 1, generators=1, cores=8)


def test_a_request_of_the_servers_is_measured(tmp_path: Path) -> None:
    """The workers verify live tokens, and their own CPU time is what counts."""
    storm, scenario = ordered(EVEN)
    storm = replace(storm, alg="ES256", workers=1)
    target = LocalTarget(storm, scenario)
    with target.running(tmp_path):
        found = server_request_us(plan_of(storm, scenario, target), scenario, target.pids())
    assert found is not None
    assert 50 < found < 20_000


def test_servers_whose_processes_are_not_known_are_not_measured(tmp_path: Path) -> None:
    """Nothing is said of a service behind a URL."""
    storm, scenario = ordered(EVEN)
    plan = GeneratorPlan(
        scenario=storm.scenario, url="http://127.0.0.1:1", mode="sliding", load=EVEN
    )
    assert server_request_us(plan, scenario, ()) is None
